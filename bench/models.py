# SPDX-License-Identifier: Apache-2.0
"""The models of the accuracy table: which samples calibrate, which are evaluated, how they are prepared, and what is
promised. octet gets this as command line options, other tools as arrays made here (numpy and Pillow, from bench/.venv)."""
import dataclasses, gzip, os, pathlib

SHARED = pathlib.Path(os.environ.get('OCTET_SHARED') or pathlib.Path(__file__).resolve().parent.parent.parent / 'shared')
DATA, MODELS = SHARED / 'data', SHARED / 'models'
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
MUST_BE_INT8 = {'Conv', 'Gemm', 'MatMul', 'Add', 'Mul', 'Concat', 'AveragePool', 'MaxPool', 'GlobalAveragePool',
                'LayerNormalization', 'Gelu'}


@dataclasses.dataclass(frozen=True)
class Model:
    name: str
    kind: str                 # of data: a case of source() and arrays()
    preprocess: tuple = ()    # octet's options
    scale: float = 1.0        # the same for the peers: (x * scale - mean) / std
    mean: tuple = (0.0,)
    std: tuple = (1.0,)
    nhwc: bool = False        # the model's own input
    metric: str = 'top1'
    drop: float = None        # promised: points lost at most (mse: the error itself, psnr: the score itself)
    sqnr: float = None        # dB at least, target native
    portable: float = None    # dB at least, target portable

    @property
    def path(self):
        return MODELS / f'{self.name}.onnx'


def cifar(name, drop, sqnr, portable, normalised=True, nhwc=False):
    if normalised:
        return Model(name, 'cifar', ('--preprocess', 'imagenet'), 1 / 255, *IMAGENET, nhwc, 'top1', drop, sqnr, portable)
    return Model(name, 'cifar', ('--preprocess', 'none'), nhwc=nhwc, drop=drop, sqnr=sqnr, portable=portable)


TABLE = [
    cifar('resnet20_cifar10_jpegft', 0.2, 34.5, 33.0),
    cifar('resnet20_cifar10', 0.1, 30.5, 29.5),
    cifar('resnet20_cifar10_natural', 0.1, 30.5, 29.5),
    cifar('resnet8_cifar10', 0.3, 28.0, 27.0, normalised=False),
    cifar('resnet8_cifar10_nhwc', 0.3, 28.0, 27.0, normalised=False, nhwc=True),
    Model('mobilenetv2_1.0_224', 'imagenet', ('--preprocess', 'imagenet'), 1 / 255, *IMAGENET, drop=0.6, sqnr=21.8,
          portable=21.0),
    Model('mobilenetv1_0.75_224', 'imagenet', ('--preprocess', 'tf'), 1 / 127.5, (1.0,), (1.0,), drop=0.8, sqnr=24.0,
          portable=23.5),
    Model('lenet_mnist', 'mnist', ('--preprocess', 'none', '--color', 'gray', '--scale', '1/256'), 1 / 256, drop=0.05,
          sqnr=51.0, portable=50.0),
    Model('vit_mnist', 'mnist', ('--preprocess', 'mnist'), 1 / 255, (0.1307,), (0.3081,), drop=0.1, sqnr=30.0,
          portable=30.0),
    Model('kws_dscnn', 'kws', drop=0.2, sqnr=28.0, portable=27.0),
    Model('vww_mobilenetv1', 'vww', ('--preprocess', 'unit'), 1 / 255, drop=0.0, sqnr=36.0, portable=36.0),
    Model('ad01_autoencoder', 'ad', metric='mse', drop=9.50, sqnr=45.0, portable=44.0),
    Model('sww_dscnn1d', 'sww', drop=0.0, metric='agreement'),
    Model('super_resolution_x3', 'sr', ('--preprocess', 'none', '--color', 'gray', '--scale', '1/255'), 1 / 255,
          metric='psnr', drop=27.3, portable=27.3),
    Model('fastestdet_coco', 'detector', ('--preprocess', 'unit', '--size', '352x352', '--color', 'bgr'), 1 / 255,
          metric='sqnr'),
]


@dataclasses.dataclass(frozen=True)
class Source:
    calibrate: tuple  # octet's options
    evaluate: tuple


def detector_folder(work):
    """The photographs of coco_images and every 8th of the ImageNet pictures that do not calibrate, as links."""
    folder = pathlib.Path(work) / 'detector'
    if not folder.is_dir():
        folder.mkdir(parents=True)
        names = [line.split('\t')[0] for line in (DATA / 'imagenet500/labels.tsv').read_text().splitlines()]
        rest = [name for i, name in enumerate(names) if i % 4][::8]
        for path in [*sorted((DATA / 'coco_images').glob('*.jpg')), *(DATA / 'imagenet500' / name for name in rest)]:
            (folder / path.name).symlink_to(path)
    return folder


def source(model, work):
    d = lambda *names: [str(DATA / n) if '/' in n else n for n in names]
    if model.kind == 'cifar':
        return Source(d('--data', 'cifar10/data_batch_1.bin.gz', '--limit', '128'), d('--data', 'cifar10/test5k.bin.gz'))
    if model.kind == 'mnist':
        return Source(d('--data', 'mnist/train10k-images-idx3-ubyte.gz', '--limit', '128'),
                      d('--data', 'mnist/t10k-images-idx3-ubyte.gz', '--labels', 'mnist/t10k-labels-idx1-ubyte.gz'))
    if model.kind == 'detector':
        return Source(['--data', str(DATA / 'imagenet500'), '--every', '4'], ['--data', str(detector_folder(work))])
    data, labels, every = {
        'imagenet': (['--data', str(DATA / 'imagenet500')], [], '4'),
        'kws': (d('--data', 'kws/kws_x.npy'), d('--labels', 'kws/kws_y.npy'), '8'),
        'vww': (d('--data', 'vww/vww_x_uint8_nhwc.npy', '--layout', 'nhwc'), d('--labels', 'vww/vww_y.npy'), '3'),
        'ad': (d('--data', 'ad/ad_normal_id_01_x.npy'), [], '4'),
        'sww': (d('--data', 'sww/sww_x.npy'), d('--labels', 'sww/sww_y.npy'), '3'),
        'sr': (d('--data', 'sr/sr_lo_y_uint8.npy'), d('--reference', 'sr/sr_hi_y_uint8.npy', '--border', '6'), '3'),
    }[model.kind]
    return Source([*data, '--every', every], [*data, *labels, '--skip-every', every])


# ---- the same samples as arrays ----

def split(x, every):
    """(calibration, evaluation) by index."""
    import numpy as np
    chosen = np.arange(len(x)) % every == 0
    return x[chosen], x[~chosen]


def read_cifar(name):
    import numpy as np
    records = np.frombuffer(gzip.open(DATA / 'cifar10' / name).read(), np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(int)


def read_idx(name):
    import numpy as np
    raw = gzip.open(DATA / 'mnist' / name).read()
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3])


def read_picture(path, size):
    """size: None for a centre crop of 224 after the short side became 256, or the exact (width, height)."""
    import numpy as np
    from PIL import Image
    picture = Image.open(path).convert('RGB')
    if size:
        return np.asarray(picture.resize(size, Image.BILINEAR)).transpose(2, 0, 1)
    w, h = picture.size
    if min(w, h) != 256:
        picture = picture.resize((256, round(256 * h / w)) if w < h else (round(256 * w / h), 256), Image.BILINEAR)
    w, h = picture.size
    left, top = int(round((w - 224) / 2.0)), int(round((h - 224) / 2.0))
    return np.asarray(picture.crop((left, top, left + 224, top + 224))).transpose(2, 0, 1)


def read_imagenet(size=None):
    import numpy as np
    rows = [line.split('\t') for line in (DATA / 'imagenet500/labels.tsv').read_text().splitlines()]
    return (np.stack([read_picture(DATA / 'imagenet500' / name, size) for name, _ in rows]),
            np.array([int(label) for _, label in rows]))


def arrays(model, work):
    """(calibration inputs, evaluation inputs, truth): what the model's input wants, float32; truth is labels, a
    reference or None."""
    import numpy as np
    load = lambda name: np.load(DATA / name)
    if model.kind == 'cifar':
        calibration, (evaluation, truth) = read_cifar('data_batch_1.bin.gz')[0][:128], read_cifar('test5k.bin.gz')
    elif model.kind == 'mnist':
        calibration = read_idx('train10k-images-idx3-ubyte.gz').reshape(-1, 1, 28, 28)[:128]
        evaluation = read_idx('t10k-images-idx3-ubyte.gz').reshape(-1, 1, 28, 28)
        truth = read_idx('t10k-labels-idx1-ubyte.gz').astype(int)
    elif model.kind == 'detector':
        calibration = split(read_imagenet((352, 352))[0], 4)[0][:, ::-1]
        names = sorted(detector_folder(work).iterdir())
        evaluation, truth = np.stack([read_picture(name, (352, 352)) for name in names])[:, ::-1], None
    else:
        x, y, every = {
            'imagenet': lambda: (*read_imagenet(), 4),
            'kws': lambda: (load('kws/kws_x.npy'), load('kws/kws_y.npy'), 8),
            'vww': lambda: (load('vww/vww_x_uint8_nhwc.npy').transpose(0, 3, 1, 2), load('vww/vww_y.npy'), 3),
            'ad': lambda: (load('ad/ad_normal_id_01_x.npy'), load('ad/ad_normal_id_01_x.npy'), 4),
            'sww': lambda: (load('sww/sww_x.npy'), load('sww/sww_y.npy'), 3),
            'sr': lambda: (load('sr/sr_lo_y_uint8.npy')[:, None], load('sr/sr_hi_y_uint8.npy')[:, None] / 255.0, 3),
        }[model.kind]()
        (calibration, evaluation), truth = split(x, every), split(y, every)[1]

    def prepare(x):
        shape = (1, -1) + (1,) * (x.ndim - 2)
        if model.scale == 1.0 and model.mean == (0.0,):
            y = x.astype(np.float32)
        else:
            y = ((x * model.scale - np.reshape(model.mean, shape)) / np.reshape(model.std, shape)).astype(np.float32)
        return np.ascontiguousarray(y.transpose(0, 2, 3, 1) if model.nhwc else y)
    return prepare(calibration), prepare(evaluation), truth
