#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/resize with Debian's python3-pil: pixels that octet's resize and decoders must equal.

    tools/make_resize_golden.py tests/golden/resize

resize.tsv: name, filter, input width, height, channels, fill, output width, height;
resize.raw: the outputs' bytes, one after the other.
Inputs are not stored: byte i of an input is state >> 24 after i + 1 steps of
state = state * 1664525 + 1013904223 mod 2^32 from state = width * 65536 + height; fill "extreme" turns it into 0 or 255.
decode.tsv: file, width, height, channels; decode.raw: what Pillow decodes (modes L and RGB), one after the other."""
import os
import sys
from PIL import Image

FILTERS = {'bilinear': Image.BILINEAR, 'bicubic': Image.BICUBIC, 'nearest': Image.NEAREST}
CASES = [  # input width, height, channels, output width, height
    (97, 61, 3, 32, 20), (13, 9, 3, 40, 31), (50, 20, 3, 20, 50), (300, 1, 1, 7, 1), (1, 1, 3, 5, 4), (200, 150, 1, 17, 11),
    (64, 48, 3, 64, 19), (64, 48, 3, 21, 48), (33, 47, 1, 34, 46), (128, 96, 3, 64, 48), (5, 7, 1, 3, 3), (640, 3, 3, 9, 29)]


def noise(width, height, channels, fill):
    state, out = (width * 65536 + height) & 0xffffffff, bytearray()
    for _ in range(width * height * channels):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        byte = state >> 24
        out.append((255 if byte > 127 else 0) if fill == 'extreme' else byte)
    return Image.frombytes('L' if channels == 1 else 'RGB', (width, height), bytes(out))


def smooth(width, height):
    return Image.frombytes('RGB', (width, height), bytes(
        v for y in range(height) for x in range(width)
        for v in ((x * 7 + y) % 256, (y * 9) % 256, (255 - x * 3 + y * 2) % 256)))


def write_resizes(folder):
    with open(os.path.join(folder, 'resize.tsv'), 'w') as index, \
            open(os.path.join(folder, 'resize.raw'), 'wb') as raw:
        for number, (w, h, c, ow, oh) in enumerate(CASES):
            for name, code in FILTERS.items():
                for fill in ('noise', 'extreme') if number in (0, 1) else ('noise',):
                    out = noise(w, h, c, fill).resize((ow, oh), code)
                    case = '%dx%dx%d_%dx%d_%s_%s' % (w, h, c, ow, oh, name, fill)
                    raw.write(out.tobytes())
                    index.write('\t'.join(map(str, (case, name, w, h, c, fill, ow, oh))) + '\n')


def encoded(folder):
    """Small files of every kind that the decoders accept, with the mode that Pillow's pixels are compared in."""
    color, gray = smooth(37, 29), noise(23, 17, 1, 'noise')
    alpha = color.copy()
    alpha.putalpha(noise(37, 29, 1, 'noise'))
    yield 'rgb420.jpg', 'RGB', color, dict(quality=75)
    yield 'rgb422.jpg', 'RGB', color, dict(quality=80, subsampling='4:2:2')
    yield 'rgb444.jpg', 'RGB', noise(19, 31, 3, 'noise'), dict(quality=95, subsampling='4:4:4')
    yield 'progressive.jpg', 'RGB', color, dict(quality=85, progressive=True)
    yield 'gray.jpg', 'L', gray, dict(quality=85)
    yield 'rgb.png', 'RGB', color, {}
    yield 'rgba.png', 'RGB', alpha, {}
    yield 'gray.png', 'L', gray, {}
    yield 'grayalpha.png', 'L', alpha.convert('LA'), {}
    yield 'palette.png', 'RGB', color.quantize(17), {}
    yield 'palette_alpha.png', 'RGB', color.quantize(5), dict(transparency=2)
    yield 'bits1.png', 'L', gray.convert('1'), {}


def write_decodes(folder):
    with open(os.path.join(folder, 'decode.tsv'), 'w') as index, \
            open(os.path.join(folder, 'decode.raw'), 'wb') as raw:
        for name, mode, image, options in encoded(folder):
            path = os.path.join(folder, name)
            image.save(path, **options)
            pixels = Image.open(path).convert(mode)
            raw.write(pixels.tobytes())
            index.write('\t'.join(map(str, (name,) + pixels.size + (len(pixels.getbands()),))) + '\n')


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    write_resizes(sys.argv[1])
    write_decodes(sys.argv[1])
