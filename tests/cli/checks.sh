# SPDX-License-Identifier: Apache-2.0
# What scripts that test the command line share; they set $octet and read $failures at the end.
failures=0

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*"
    [ ! -s err ] || sed 's/^/    stderr: /' err
}
# expect CODE ARGUMENT...: runs octet, keeps stdout in out and stderr in err, compares the exit code.
expect() {
    want=$1
    shift
    timeout 60 "$octet" "$@" >out 2>err </dev/null
    got=$?
    [ "$got" = "$want" ] || fail "octet $*: exit $got, need $want"
}
# refused CODE TEXT ARGUMENT...: the same, and stderr is one error line of at most 300 bytes that contains TEXT.
refused() {
    code=$1 text=$2
    shift 2
    expect "$code" "$@"
    [ "$(grep -c '^octet: error: ' err)" = 1 ] || fail "octet $*: not exactly one error line"
    [ "$(grep -vc -e '^octet: error: ' -e '^hint: ' -e '^octet: warning: ' err)" = 0 ] || fail "octet $*: other lines on stderr"
    grep '^octet: error: ' err | grep -qi -e "$text" || fail "octet $*: error does not say '$text'"
    [ "$(grep '^octet: error: ' err | wc -c)" -le 301 ] || fail "octet $*: error line too long"
    ! LC_ALL=C tr -d '\n' <err | LC_ALL=C grep -q '[[:cntrl:]]' || fail "octet $*: control bytes"
}
# has FILE TEXT
has() { grep -q -e "$2" "$1" || fail "$1 has no '$2'"; }
