#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_single.sh OCTET MAKE_MODEL: what is wanted of single tensors and layers (--overrides, --layer GLOB=s16), and that a
# dry run says of every node what the run makes of it. Prints every failed check; exit 0 only if there is none.
octet=$(realpath "$1") make_model=$(realpath "$2")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" && "$make_model" . || exit 1
failures=0

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*"
    sed 's/^/    /' err
}
quantize() { "$octet" quantize net.onnx --data calib.npy -f -q "$@" >out 2>err; }
# refused CODE TEXT OVERRIDES: one line, that names the file
refused() {
    echo "$3" >over.json
    quantize --overrides over.json -o n.onnx
    [ $? = "$1" ] || fail "$3: exit code is not $1"
    [ "$(wc -l <err)" = 1 ] && grep -q -e "^octet: error: over.json: .*$2" err || fail "$3: does not say '$2'"
    [ ! -e n.onnx ] || fail "$3: something was written"
}

refused 3 'x: .*need one of quant_type, axis' '{"x": [{"quant_typ": "QInt8"}]}'
refused 3 'x: quant_type: need QInt8' '{"x": [{"quant_type": "QFloat8"}]}'
refused 3 'x: the value: need a list' '{"x": {"quant_type": "QInt8"}}'
refused 3 'x: scale: need a number' '{"x": [{"scale": "1"}]}'
refused 3 'w: scale: need one for each channel' '{"w": [{"scale": 1, "zero_point": 0}, {}]}'
refused 3 'duplicate' '{"x": [{}], "x": [{}]}'
refused 3 'need an object' '[]'
refused 2 "'nosuch'.*no such tensor" '{"nosuch": [{"quant_type": "QInt8"}]}'
refused 2 "'y'.*stays real" '{"y": [{"quant_type": "QInt8"}]}'
refused 2 "'w'.*axis" '{"w": [{"axis": 1}]}'

echo '{"x": [{"scale": 0.5, "zero_point": 3}], "r": [{"quant_type": "QUInt16"}], "w": [{"axis": 0, "rmin": -1, "rmax": 1}]}' >over.json
quantize --overrides over.json -o q.onnx --json=q.json || fail 'overrides that are right are refused'
"$octet" inspect q.onnx --json >i.json 2>err || fail 'inspect'
quantize --layer conv=s16 -o s16.onnx --json=s16.json || fail '--layer GLOB=s16'
quantize --activations u16 -o u16.onnx --json=u16.json || fail '--activations u16'
quantize -o q.onnx --json=run.json || fail 'quantize'
quantize -n --json=dry.json || fail 'quantize --dry-run'
python3 - <<'PY' 2>err || fail 'what was said is not so'
import json
read = lambda name: json.load(open(name + '.json'))
run, dry = read('run'), read('dry')
assert dry['nodes'] == run['nodes'] and dry['float_nodes'] == run['float_nodes'] and dry['macs_int8'] == run['macs_int8'], (dry, run)
assert dry['nodes']['int8'] > 2
assert read('u16')['output_sqnr_db'] > run['output_sqnr_db'], 'sixteen bits are no better'
PY
[ "$failures" = 0 ]
