#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/fuzz/corpus, what libFuzzer's targets start from: for every reader a few right files and wrong ones.

    tools/make_fuzz_corpus.py BUILD tests/fuzz/corpus

Networks are those of tests/cli/make_model.c and a few of ONNX's node tests (Debian's libonnx-testdata); JPEGs and odd
PNGs come from tests/golden/resize; all else is written here."""
import io
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib

NODES = '/usr/share/libonnx-testdata/data/node'
NODE_TESTS = [
    'abs', 'add', 'cast_FLOAT16_to_FLOAT', 'concat_2d_axis_0', 'conv_with_strides_padding', 'dequantizelinear',
    'gemm_all_attributes', 'layer_normalization_2d_axis0', 'lstm_defaults', 'maxpool_2d_default', 'where_example',
    'reduce_mean_keepdims_random', 'reshape_reordered_all_dims', 'resize_upsample_scales_nearest', 'slice']
IMAGES = ['gray.jpg', 'rgb420.jpg', 'bits1.png', 'palette.png', 'palette_alpha.png', 'rgba.png']


def npy(descriptor, shape, values, version=1):
    text = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (descriptor, ''.join('%d, ' % d for d in shape))
    size, prefix = (2, '<H') if version == 1 else (4, '<I')
    text += ' ' * (-(len(text) + 7 + size + 2) % 64) + '\n'
    return b'\x93NUMPY' + bytes([version, 0]) + struct.pack(prefix, len(text)) + text.encode() + values


def npz(members, compression):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name + '.npy'), content, compression)
    return out.getvalue()


def idx(kind, dims, values):
    return struct.pack('>BBBB', 0, 0, kind, len(dims)) + b''.join(struct.pack('>I', d) for d in dims) + values


def png(width, height, color, channels):
    def chunk(name, content):
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))
    rows = b''.join(b'\0' + bytes((x * 7 + y * 11) & 255 for x in range(width * channels)) for y in range(height))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, color, 0, 0, 0)) +
            chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def arrays():
    floats = struct.pack('<24f', *[0.25 * i - 3 for i in range(24)])
    good = npy('<f4', (2, 3, 2, 2), floats)
    return {
        'f4': good, 'f8': npy('<f8', (3,), struct.pack('<3d', 1, 2, 3)), 'u1': npy('|u1', (2, 4), bytes(range(8))),
        'i8': npy('<i8', (2,), struct.pack('<2q', 5, -5)), 'f2': npy('<f2', (4,), struct.pack('<4e', 0, 1, 2, 65504)),
        'version2': npy('<f4', (2, 12), floats, 2), 'scalar': npy('<f4', (), floats[:4]),
        'big_endian': npy('>f4', (6,), floats),
        'short': good[:-5], 'header_only': good[:128], 'empty_dim': npy('<f4', (0, 3), b''),
        'overflow': npy('<f4', (1 << 40, 1 << 40), floats),
        'long_header': b'\x93NUMPY\x02\x00\xff\xff\xff\xff' + floats}


def archives():
    first = npy('<f4', (2, 3), struct.pack('<6f', *range(6)))
    second = npy('<i8', (2,), struct.pack('<2q', 0, 1))
    packed = npz({'x': first, 'y': second}, zipfile.ZIP_DEFLATED)
    return {'stored': npz({'x': first, 'y': second}, zipfile.ZIP_STORED), 'deflated': packed, 'short': packed[:-30],
            'empty': npz({}, zipfile.ZIP_STORED), 'no_array': npz({'x': b'text'}, zipfile.ZIP_STORED)}


def indexes():
    images = idx(8, (2, 3, 3), bytes(range(18)))
    return {'images.idx3-ubyte': images, 'labels.idx1-ubyte': idx(8, (4,), bytes([0, 3, 9, 255])),
            'floats.idx2': idx(13, (2, 2), struct.pack('>4f', 1, 2, 3, 4)), 'short.idx3-ubyte': images[:-4],
            'overflow.idx3-ubyte': idx(8, (0xffffffff, 0xffffffff, 0xffffffff), b''),
            'rank.idx': b'\0\0\x08\xff' + bytes(16)}


def images():
    good = png(5, 4, 2, 3)
    return {'rgb.png': good, 'gray8.png': png(3, 3, 0, 1), 'short.png': good[:50],
            'wide.png': good[:16] + b'\x7f\xff\xff\xff' + good[20:]}


def configs():
    head = '{"format": "octet-config", "version": 1, '
    method = head + '"calibration": {"method": "percentile", "percentile": 99.9, "limit": 16}'
    layers = ', "layers": [{"match": "fc*", "keep_float": true}, {"match": "c", "method": "mse"}]'
    other = ', "quantize": {"weights": "s8"}, "data": {"preprocess": "imagenet", "scale": "1/255"}'
    return {'all': method + other + layers + '}', 'method': method + '}', 'layers': head + layers[2:] + '}',
            'twice': method + ', "calibration": {}}', 'array': '["method"]', 'open': method,
            'type': method.replace('99.9', '"many"') + '}', 'range': method.replace('99.9', '101') + '}',
            'unknown': method.replace('method', 'metod') + '}', 'version': method.replace(': 1,', ': 9,') + '}'}


def networks(made):
    found = {name: open(os.path.join(made, name), 'rb').read() for name in ('net.onnx', 'norm.onnx', 'net.int8.onnx')}
    for name in NODE_TESTS:
        found[name + '.onnx'] = open(os.path.join(NODES, 'test_' + name, 'model.onnx'), 'rb').read()
    found['short.onnx'] = found['net.onnx'][:400]
    return found


def main():
    build, out = sys.argv[1:]
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as made:
        subprocess.run([os.path.join(build, 'tests/cli/cli_make_model'), made], check=True)
        data = ['--quiet', '--data', 'calib.npy', '-o']
        octet = os.path.abspath(os.path.join(build, 'octet'))
        subprocess.run([octet, 'quantize', 'net.onnx', *data, 'net.int8.onnx'], cwd=made, check=True)
        subprocess.run([octet, 'calibrate', 'net.onnx', *data, 'net.calib'], cwd=made, check=True)
        statistics = open(os.path.join(made, 'net.calib'), 'rb').read()
        models = networks(made)
    resize = os.path.join(os.path.dirname(__file__), '../tests/golden/resize')
    pictures = images() | {name: open(os.path.join(resize, name), 'rb').read() for name in IMAGES}
    targets = {'npy': {name + '.npy': content for name, content in arrays().items()},
               'npz': {name + '.npz': content for name, content in archives().items()}, 'idx': indexes(),
               'config': {name + '.json': text.encode() for name, text in configs().items()},
               'image': pictures, 'model': models,
               'statistics': {'net.calib': statistics, 'short.calib': statistics[:len(statistics) // 2]}}
    for target, files in targets.items():
        os.makedirs(os.path.join(out, target))
        for name, content in files.items():
            with open(os.path.join(out, target, name), 'wb') as file:
                file.write(content)


main()
