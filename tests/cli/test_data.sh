#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_data.sh OCTET MAKE_MODEL: data as users have it: levels in and out, several inputs and outputs, samples of any
# shape, list files, CIFAR-100, plain numbers. Prints every failed check; exit 0 only if there is none.
octet=$(realpath "$1") make_model=$(realpath "$2") here=$(dirname "$(realpath "$0")")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" && "$make_model" . || exit 1
. "$here/checks.sh"

# ---- what the checks read: .npy by hand, so that nothing but python3 is needed ----
cat >files.py <<'PY'
import json, os, random, struct, zipfile, io
random.seed(1)
def npy(type, shape, values):
    code = {'<f4': 'f', '|u1': 'B', '<i8': 'q'}[type]
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (type, ''.join('%d,' % d for d in shape))
    head += ' ' * (-(11 + len(head)) % 64) + '\n'
    return b'\x93NUMPY\1\0' + struct.pack('<H', len(head)) + head.encode() + struct.pack('<%d%s' % (len(values), code), *values)
def write(name, data):
    os.makedirs(os.path.dirname(name) or '.', exist_ok=True)
    open(name, 'wb').write(data)
def read(name):
    data = open(name, 'rb').read()
    n = struct.unpack('<H', data[8:10])[0]
    head = eval(data[10:10 + n])
    code = {'<f4': 'f', '|u1': 'B', '|i1': 'b'}[head['descr']]
    body = data[10 + n:]
    return head['descr'], head['shape'], struct.unpack('<%d%s' % (len(body) // struct.calcsize(code), code), body)
reals = lambda n: [random.uniform(-1, 1) for _ in range(n)]
PY
python3 - <<'PY' || exit 1
from files import *
write('bytes.npy', npy('|u1', (16, 3, 8, 8), [random.randrange(256) for _ in range(16 * 192)]))
archive = zipfile.ZipFile('two.npz', 'w')
archive.writestr('x.npy', npy('<f4', (16, 3, 8, 8), reals(16 * 192)))
archive.writestr('m.npy', npy('<f4', (16, 8), reals(16 * 8)))
archive.close()
for i in range(8):
    h, w = 6 + i % 3, 7 + i % 2
    write('sizes/%d.npy' % i, npy('<f4', (3, h, w), reals(3 * h * w)))
    write('both/x/%d.npy' % i, npy('<f4', (1, 3, 8, 8), reals(192)))
    write('both/m/%d.npy' % i, npy('<f4', (1, 8), reals(8)))
write('sizes.txt', b''.join(b'sizes/%d.npy\n' % i for i in range(8)))
write('sizes.tsv', b''.join(b'sizes/%d.npy\t%d\n' % (i, i % 4) for i in range(8)))
write('plain.f32', struct.pack('<%df' % (2 * 192), *reals(2 * 192)))
write('plain.u8', bytes(random.randrange(256) for _ in range(2 * 192)))
write('cifar100.bin', b''.join(bytes([i % 20, i % 100]) + bytes(3072) for i in range(10)))
PY

# ---- levels in and out ----
for type in u8 int8; do
    expect 0 quantize net.onnx --data bytes.npy --preprocess unit --input-type $type --output-type $type -f -o l.onnx --json=l.json
    has out '^input  *x: .*bytes of samples'
    expect 0 inspect l.onnx
    has out '^inputs .*levels, real = (level - '
    expect 0 eval l.onnx --data bytes.npy --baseline net.onnx
    has out '^SQNR'
    expect 0 compare net.onnx l.onnx --data bytes.npy --no-effects
    expect 0 diff l.onnx --engine native --against reference --data bytes.npy
    expect 0 bench l.onnx --data bytes.npy --runs 2
    expect 0 run l.onnx bytes.npy -f -o levels.npy
done
expect 0 quantize net.onnx --data bytes.npy --preprocess unit -f -o r.onnx
expect 0 quantize net.onnx --data bytes.npy --preprocess unit --input-type uint8 --output-type u8 -f -o l.onnx --json=l.json
expect 0 run l.onnx bytes.npy -f -o levels.npy
expect 0 run l.onnx bytes.npy --preprocess none -f -o straight.npy
expect 0 run l.onnx bytes.npy --top 1
python3 - <<'PY' || fail 'levels are not what they should be'
from files import *
kind, shape, levels = read('levels.npy')
said = json.load(open('l.json'))
assert kind == '|u1' and shape == (16, 4), (kind, shape)
assert levels == read('straight.npy')[2], 'a byte is not its level'
assert said['inputs'][0]['type'] == 'u8' and said['inputs'][0]['zero_point'] == 0, said['inputs']
assert abs(said['inputs'][0]['scale'] * 255 - 1) < 1e-6, said['inputs']
assert len(set(levels)) > 4, 'outputs do not differ'
PY
expect 0 quantize net.onnx --data calib.npy --input-type u8 -f -o l.onnx
expect 0 run l.onnx calib.npy
refused 2 'unknown word' quantize net.onnx --data calib.npy --input-type u16 -f -o no.onnx
refused 2 'stay real' quantize net.onnx --dynamic --input-type u8 -f -o no.onnx
refused 2 'symmetric s8' quantize net.onnx --data calib.npy --target tensorrt --input-type u8 -f -o no.onnx

# ---- several inputs and outputs ----
for data in two.npz both; do
    expect 0 quantize two.onnx --data $data -f -o q.onnx
    expect 0 eval q.onnx --data $data --baseline two.onnx --json=e.json
    has out '^SQNR of all .*of output y'
    expect 0 eval q.onnx --data $data --baseline two.onnx --output-name f --json=f.json -f
    expect 0 compare two.onnx q.onnx --data $data --no-effects
    has out '^times '
    expect 0 report two.onnx q.onnx --data $data -f -o page.html
    expect 0 diff q.onnx --engine native --against reference --data $data
    rm -f e.json.old && python3 - <<'PY' || fail "outputs of eval on $data"
import json
e, f = json.load(open('e.json')), json.load(open('f.json'))
assert [o['name'] for o in e['outputs']] == ['y', 'f'], e['outputs']
assert e['sqnr_db'] == e['outputs'][0]['sqnr_db'] and f['sqnr_db'] == e['outputs'][1]['sqnr_db'] != e['sqnr_db']
PY
    rm -f e.json f.json
done
refused 2 "no output 'z'" eval q.onnx --data two.npz --baseline two.onnx --output-name z
refused 6 'has 2 inputs' eval q.onnx --data calib.npy
refused 6 'need one, of float32' quantize two.onnx --data two.npz --bias-correct -f -o no.onnx

# ---- any shape ----
for data in sizes sizes.txt sizes.tsv; do
    expect 0 run free.onnx $data
    expect 0 quantize free.onnx --data $data -f -o q.onnx
    expect 0 calibrate free.onnx --data $data -f -o free.calib
    expect 0 eval q.onnx --data $data --baseline free.onnx
    has out '^samples  *8'
    expect 0 compare free.onnx q.onnx --data $data --no-effects
    has err 'samples vary in shape: [1-4] of 8'
done
has out 'output: SQNR'
refused 3 'sizes/0.npy: wrong shape of sample.*need .1, 3, 8, 8. for input' run net.onnx sizes
refused 6 'is free.*--shape' quantize free.onnx --data sizes --bias-correct -f -o no.onnx
expect 0 inspect free.onnx --shape x=1,3,20,24 --json
has out '"dims"'
expect 0 quantize free.onnx --data calib.npy --shape x=N,3,8,8 --bias-correct --round feedback -f -o q.onnx
refused 2 "no input 'y'" inspect free.onnx --shape y=1,3,8,8
refused 2 'cannot be .1, 4, 8, 8.' run free.onnx sizes --shape x=1,4,8,8
refused 2 'not the shape of an input' inspect free.onnx --shape x=1,3,0,8
refused 2 'need NAME' inspect free.onnx --shape 3,8,8

# ---- plain numbers, CIFAR-100, list files ----
expect 0 run net.onnx plain.f32 --shape 3,8,8
has out '^#1'
expect 0 run net.onnx plain.u8 --shape u8:3,8,8 --preprocess unit
expect 0 run free.onnx plain.f32 --shape 3,8,8 --shape x=1,3,8,8
refused 2 'not the shape of a sample' run net.onnx plain.f32 --shape 3,8,x
refused 3 'no whole number of samples' run net.onnx plain.f32 --shape 3,8,7
refused 3 'wrong shape of samples' run net.onnx plain.f32 --shape 3,4,16
expect 0 eval free.onnx --data cifar100.bin --preprocess unit --baseline free.onnx
has out '^samples  *10'
echo sizes/none.npy >list.txt
refused 3 'none.npy.*cannot open' run free.onnx list.txt
printf 'sizes/0.npy\nsizes/0.npy\n' >list.txt
refused 3 'line 2.*stands in line 1' run free.onnx list.txt
: >list.txt
refused 3 'list.txt' run free.onnx list.txt
[ "$failures" = 0 ]
