#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# octet demo as a user meets it. Usage: test_demo.sh OCTET
set -u
octet=$(realpath "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 2
failed=0
fail()
{
    echo "FAILED: $1"
    failed=1
}
# The first number that stands under a key of the document.
number() { sed -n "s/^ *\"$1\": *\([-0-9.e]*\).*/\1/p" result.json | head -n 1; }
holds() { awk "BEGIN { exit !($1) }" || fail "$1"; }

"$octet" demo -o out --json=result.json >story.txt 2>errors.txt || fail "demo: $(cat errors.txt)"
holds "$(number float_top1) > 0.94 && $(number float_top1) < 1"
holds "$(number int8_top1) > $(number float_top1) - 0.01"
holds "$(number sqnr_db) > 25 && $(number sqnr_db) < 60"
holds "$(number macs_int8) == 1"
grep -q 'depth' story.txt || fail 'no layers in the story'
[ "$(od -An -tx1 -N8 out/train-images-idx3-ubyte)" = ' 00 00 08 03 00 00 27 10' ] || fail 'head of the idx file'
[ "$(wc -c <out/test-labels-idx1-ubyte)" = 2008 ] || fail 'size of the test labels'
[ "$(wc -c <out/glyphs.int8.onnx)" -lt "$(($(wc -c <out/glyphs.onnx) / 2))" ] || fail 'int8 file is not smaller'

# The files are what the other verbs take, and give the same figure.
"$octet" eval out/glyphs.int8.onnx --data out/test-images-idx3-ubyte --labels out/test-labels-idx1-ubyte -q -f \
    --json=again.json || fail 'eval of the written network'
first=$(number int8_top1)
mv again.json result.json
holds "$first == $(number top1)"

# Nothing is replaced without -f, and that is known before the work.
before=$(cksum <out/glyphs.int8.onnx)
"$octet" demo -o out >story.txt 2>errors.txt && fail 'an existing folder was overwritten'
[ "$(wc -l <errors.txt)" -le 2 ] && grep -q '^octet: error: .*out/' errors.txt || fail "message: $(cat errors.txt)"
[ ! -s story.txt ] || fail 'work began before the refusal'
[ "$before" = "$(cksum <out/glyphs.int8.onnx)" ] || fail 'a refused run changed a file'

"$octet" demo --data-only -o pictures -q || fail 'data only'
cmp -s pictures/train-images-idx3-ubyte out/train-images-idx3-ubyte || fail 'pictures differ from run to run'
[ ! -e pictures/glyphs.onnx ] || fail 'data only wrote a network'
"$octet" demo -o missing/folder 2>errors.txt && fail 'a folder in a missing folder'
"$octet" demo surplus 2>errors.txt
[ $? = 2 ] || fail 'a surplus operand'
exit $failed
