# SPDX-License-Identifier: Apache-2.0
"""What the tests that kill octet share: checks that are counted, runs, digests, files left behind."""
import hashlib, os, pathlib, resource, subprocess

failures = 0


def check(good, text):
    global failures
    if not good:
        failures += 1
        print('FAILED:', text)


def run(words, **how):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


def run_on_full_disk(words, size):
    """As if the disk took no file larger than size."""
    return run(words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def leftovers(name):
    return [path for path in os.listdir('.') if path.startswith('.' + name)]


def verdict():
    """Prints it and gives the exit code."""
    print(f'{failures} failed')
    return 1 if failures else 0
