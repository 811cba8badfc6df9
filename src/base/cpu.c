/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction sets by CPUID, confirmed by the registers that the operating system saves. */
#include "base/cpu.h"

#include <octet/engine.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__)

#include <sys/syscall.h>
#include <unistd.h>

/* Granted once, it holds for the process and all its threads; asking again changes nothing. */
bool octet_cpu_allow_tiles(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

#else

bool octet_cpu_allow_tiles(void) { return false; }

#endif

#if defined(__x86_64__)

#include <cpuid.h>

typedef struct cpu_leaf {
    unsigned eax, ebx, ecx, edx;
} cpu_leaf;

static cpu_leaf leaf(unsigned number, unsigned sub)
{
    cpu_leaf found = { 0 };
    if (!__get_cpuid_count(number, sub, &found.eax, &found.ebx, &found.ecx, &found.edx))
        memset(&found, 0, sizeof found);
    return found;
}

/* Which register sets the operating system saves (XCR0); 0 where it saves none. */
static unsigned saved_registers(void)
{
    enum { OSXSAVE = 1u << 27 };
    if (!(leaf(1, 0).ecx & OSXSAVE)) return 0;
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static unsigned detect(void)
{
    enum { YMM = 0x6, ZMM = 0xe6, TILE = 0x60000 };
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL in leaf 7 ebx */
    const unsigned tiles  = 1u << 24 | 1u << 25;                       /* TILE, INT8 in leaf 7 edx */
    const unsigned saved  = saved_registers();
    const cpu_leaf seven = leaf(7, 0), more = leaf(7, 1);
    unsigned       sets = 0;
    if ((saved & YMM) == YMM && seven.ebx & 1u << 5) sets |= OCTET_CPU_AVX2;
    if (sets && more.eax & 1u << 4) sets |= OCTET_CPU_AVXVNNI;
    if (sets && (saved & ZMM) == ZMM && (seven.ebx & avx512) == avx512 && seven.ecx & 1u << 11)
        sets |= OCTET_CPU_AVX512VNNI;
    if (sets & OCTET_CPU_AVX512VNNI && (saved & TILE) == TILE && (seven.edx & tiles) == tiles) sets |= OCTET_CPU_AMX;
    return sets;
}

#elif defined(__aarch64__)

#include <sys/auxv.h>

/* The kernels need the dot product of bytes, which ARMv8.0 does not have. */
static unsigned detect(void)
{
    enum { DOT_PRODUCT = 1 << 20 }; /* HWCAP_ASIMDDP */
    return getauxval(AT_HWCAP) & DOT_PRODUCT ? OCTET_CPU_NEON : 0;
}

#else

static unsigned detect(void) { return 0; }

#endif

typedef struct cpu_cap {
    const char *name;
    unsigned    sets;
} cpu_cap;

static const cpu_cap caps[] = {
    { "scalar", 0 },
    { "avx2", OCTET_CPU_AVX2 },
    { "avxvnni", OCTET_CPU_AVX2 | OCTET_CPU_AVXVNNI },
    { "avx512vnni", OCTET_CPU_AVX2 | OCTET_CPU_AVXVNNI | OCTET_CPU_AVX512VNNI },
    { "amx", OCTET_CPU_AVX2 | OCTET_CPU_AVXVNNI | OCTET_CPU_AVX512VNNI | OCTET_CPU_AMX },
    { "neon", OCTET_CPU_NEON },
};

/* What OCTET_CPU names; NULL: nothing. */
static const cpu_cap *find_cap(void)
{
    const char *const asked = getenv("OCTET_CPU");
    for (size_t i = 0; asked && i < sizeof caps / sizeof *caps; i++)
        if (strcmp(asked, caps[i].name) == 0) return &caps[i];
    return NULL;
}

bool octet_cpu_capped(void) { return find_cap() != NULL; }

unsigned octet_cpu_sets(void)
{
    const cpu_cap *const cap  = find_cap();
    const unsigned       sets = detect() & (cap ? cap->sets : ~0u);
    return sets & OCTET_CPU_AMX && !octet_cpu_allow_tiles() ? sets & ~(unsigned)OCTET_CPU_AMX : sets;
}

const char *octet_cpu_features(void)
{
    static const char *const texts[] = { /* by the bits below OCTET_CPU_NEON; AMX comes with AVX-512 only */
        "", "avx2", "", "avx2 avxvnni",
        "", "avx2 avx512vnni", "", "avx2 avxvnni avx512vnni",
        "", "", "", "",
        "", "avx2 avx512vnni amx", "", "avx2 avxvnni avx512vnni amx",
    };
    const unsigned sets = octet_cpu_sets();
    if (sets & OCTET_CPU_NEON) return "neon";
    return sets ? texts[sets] : "scalar";
}

/* The number in a file of one line, or the largest size where it has none ("max"). */
static size_t number_in(const char *path)
{
    FILE *const file = fopen(path, "re");
    if (!file) return SIZE_MAX;
    unsigned long long number = 0;
    const int          read   = fscanf(file, "%llu", &number);
    fclose(file);
    return read == 1 ? (size_t)number : SIZE_MAX;
}

/* What the cgroup leaves; the largest size where there is no limit. */
static size_t cgroup_available(void)
{
    const size_t limit = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
    if (limit == SIZE_MAX || used == SIZE_MAX) return SIZE_MAX;
    return limit > used ? limit - used : 0;
}

size_t octet_memory_available(void)
{
    FILE *const file = fopen("/proc/meminfo", "re");
    if (!file) return 0;
    char               line[128];
    unsigned long long kilobytes = 0;
    while (!kilobytes && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kilobytes) != 1) kilobytes = 0;
    fclose(file);
    const size_t machine = (size_t)kilobytes * 1024, group = cgroup_available();
    return machine < group ? machine : group;
}

const char *octet_version(void) { return OCTET_VERSION; }

size_t octet_memory_allowed(size_t limit)
{
    const size_t usual = octet_memory_available() / 4 * 3;
    if (limit) return limit;
    return usual ? usual : SIZE_MAX / 4; /* the system does not say */
}
