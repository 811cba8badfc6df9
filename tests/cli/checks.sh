# SPDX-License-Identifier: Apache-2.0
# What scripts that test the command line share; they set $octet and read $checks and $failures at the end.
checks=0 failures=0

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*"
    [ ! -s err ] || sed 's/^/    stderr: /' err
}
# expect CODE ARGUMENT...: runs octet, keeps stdout in out and stderr in err, compares the exit code.
expect() {
    want=$1
    shift
    checks=$((checks + 1))
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
has() {
    checks=$((checks + 1))
    grep -q -e "$2" "$1" || fail "$1 has no '$2' "
}
is_json() {
    checks=$((checks + 1))
    python3 -c 'import json, sys; json.load(open(sys.argv[1]), parse_constant=lambda c: 1 / 0)' "$1" 2>/dev/null ||
        fail "$1 is not JSON"
}
# keys FILE KEY...: the document has them ("a.b": nested).
keys() {
    file=$1
    shift
    checks=$((checks + 1))
    python3 - "$file" "$@" <<'PY' || fail "$file lacks keys"
import json, sys
document = json.load(open(sys.argv[1]))
for key in ["octet", "verb", "schema"] + sys.argv[2:]:
    at = document
    for part in key.split("."):
        at = at[0] if isinstance(at, list) else at
        if part not in at: sys.exit("no key " + key)
        at = at[part]
PY
}
no_leftovers() {
    checks=$((checks + 1))
    [ -z "$(find . -name '.*.??????' -type f)" ] || fail "$1: temporary files are left: $(find . -name '.*.??????')"
}
