# SPDX-License-Identifier: Apache-2.0
"""Writes small Keras networks with random weights through tf2onnx: for each a file keras_NAME.VARIANT.onnx and its
inputs, keras_NAME.npz. Runs in bench/.venv-export-keras.
Usage: python exporters_keras.py DIR [NAME...]"""
import os, pathlib, sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers as l

SAMPLES = 8  # rows of every input


def chain(shape, *steps, dtype=None):
    x = first = keras.Input(shape, dtype=dtype)
    for step in steps:
        x = step(x)
    return keras.Model(first, x)


def conv(filters, size=3, **more):
    return l.Conv2D(filters, size, padding='same', use_bias=False, **more)


def plain():
    return chain((16, 16, 3), l.Rescaling(1 / 2, offset=0.1), l.Conv2D(8, 3, strides=2, padding='same'), l.BatchNormalization(),
                 l.ReLU(6.0), l.MaxPooling2D(), l.Conv2D(12, 3), l.LeakyReLU(negative_slope=0.2), l.Flatten(),
                 l.Dropout(0.5), l.Dense(10, activation='softmax'))


def separable():
    return chain((20, 20, 3), l.ZeroPadding2D(((0, 1), (0, 1))), conv(8, strides=2), l.BatchNormalization(), l.Activation('swish'),
                 l.DepthwiseConv2D(3, padding='same'), l.BatchNormalization(), l.Activation('hard_sigmoid'),
                 l.SeparableConv2D(16, 5, padding='same'), l.Activation('elu'), l.GlobalAveragePooling2D(), l.Dense(5))


def dilated():
    return chain((20, 20, 2), conv(6, dilation_rate=2), l.PReLU(shared_axes=[1, 2]), l.DepthwiseConv2D(3, dilation_rate=3),
                 l.SpatialDropout2D(0.2), l.AveragePooling2D(3, 2, padding='same'), l.GlobalMaxPooling2D(),
                 l.Dense(4, activation='sigmoid'))


def unet():
    first = keras.Input((16, 16, 3))
    a = l.Conv2D(8, 3, padding='same', activation='relu')(first)
    b = l.Conv2D(12, 3, padding='same', activation='relu')(l.MaxPooling2D()(a))
    c = l.Conv2D(16, 3, padding='same', activation='relu')(l.MaxPooling2D()(b))
    b = l.Concatenate()([l.Conv2DTranspose(12, 3, strides=2, padding='same', activation='relu')(c), b])
    a = l.Concatenate()([l.UpSampling2D(interpolation='bilinear')(l.Conv2D(8, 1)(b)), a])
    return keras.Model(first, l.Conv2D(2, 1, activation='sigmoid')(l.UpSampling2D()(a)))


def squeeze_excite():
    first = keras.Input((12, 12, 3))
    x = l.Conv2D(8, 3, activation='relu')(first)
    s = l.GlobalAveragePooling2D(keepdims=True)(x)
    s = l.Conv2D(8, 1, activation='hard_sigmoid')(l.Conv2D(4, 1, activation='relu')(s))
    x = l.Multiply()([x, s])
    return keras.Model(first, l.Dense(3)(l.Flatten()(l.Add()([x, l.Conv2D(8, 1)(x)]))))


def text():
    return chain((14,), l.Embedding(40, 8), l.Conv1D(12, 3, padding='causal', activation='relu'), l.SpatialDropout1D(0.1),
                 l.GlobalMaxPooling1D(), l.Dense(3), dtype='int32')


def recurrent(layer, bidirectional=False, sequences=False):
    cells = layer(10, return_sequences=sequences, unroll=True)  # else a Loop, which octet does not read
    return chain((9, 6), l.Bidirectional(cells) if bidirectional else cells, l.Dense(4))


def gelu(x):
    return keras.activations.gelu(x, approximate=True)  # tf2onnx knows no Erfc


def transformer():
    first = keras.Input((10, 16))
    y = l.LayerNormalization()(first)
    x = l.Add()([first, l.MultiHeadAttention(2, 8)(y, y)])
    y = l.Dense(16)(l.Dense(32, activation=gelu)(l.LayerNormalization()(x)))
    return keras.Model(first, l.Dense(4)(l.GlobalAveragePooling1D()(l.Add()([x, y]))))


def volume():
    return chain((8, 10, 10, 1), l.Conv3D(4, 3, padding='same', activation='relu'), l.MaxPooling3D(),
                 l.Conv3D(6, 3, activation='tanh'), l.GlobalAveragePooling3D(), l.Dense(3))


def group_norm():
    return chain((12, 12, 3), conv(8), l.GroupNormalization(4), l.Activation('mish'), l.Conv2D(8, 3),
                 l.UnitNormalization(), l.Activation('selu'), l.Permute((3, 1, 2)), l.Reshape((8, -1)), l.Dense(2))


def two():
    image, numbers = keras.Input((10, 10, 1)), keras.Input((5,))
    x = l.Concatenate()([l.Flatten()(l.Conv2D(4, 3, strides=3, activation='relu')(image)), l.Dense(6, activation='softplus')(numbers)])
    return keras.Model([image, numbers], [l.Dense(2, activation='softmax')(x), l.Dense(1)(x)])


def application(name, size, **more):
    return lambda: getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10, **more)


NETS = {
    'plain': plain, 'separable': separable, 'dilated': dilated, 'unet': unet, 'squeeze_excite': squeeze_excite, 'text': text,
    'lstm': lambda: recurrent(l.LSTM), 'gru': lambda: recurrent(l.GRU, sequences=True),
    'bidirectional': lambda: recurrent(l.LSTM, True, True), 'simple_rnn': lambda: recurrent(l.SimpleRNN),
    'transformer': transformer, 'volume': volume, 'group_norm': group_norm, 'two': two,
    'mobilenet': application('MobileNet', 64, alpha=0.25), 'mobilenet_v2': application('MobileNetV2', 64, alpha=0.35),
    'mobilenet_v3': application('MobileNetV3Small', 64),
    'efficientnet_v2': application('EfficientNetV2B0', 64, include_preprocessing=False), 'densenet121': application('DenseNet121', 64),
    'nasnet': application('NASNetMobile', 64), 'resnet50_v2': application('ResNet50V2', 64),
}
VARIANTS = {'13': (13, False), '18_dynamic': (18, True), '15_nchw': (15, False)}


def settle(net, arrays):
    """Norms that have seen the inputs, so that random layers neither vanish nor explode."""
    random = np.random.default_rng(5)
    for layer in net.layers:
        if isinstance(layer, l.BatchNormalization):
            layer.momentum = 0.0
            for weight in (layer.gamma, layer.beta):
                if weight is not None:
                    weight.assign(random.uniform(0.7, 1.3, weight.shape) if weight is layer.gamma else
                                  random.uniform(-0.2, 0.2, weight.shape))
    net(arrays, training=True)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [name.removeprefix('keras_') for name in sys.argv[2:] if name.startswith('keras_')]
    for name in wanted if len(sys.argv) > 2 else NETS:
        keras.utils.set_random_seed(5)
        random, net = np.random.default_rng(11), None
        for variant, (opset, dynamic) in VARIANTS.items():
            path = folder / f'keras_{name}.{variant}.onnx'
            if path.exists() or path.with_suffix('.why').exists():
                continue
            try:
                if not net:
                    net = NETS[name]()
                    arrays = [random.integers(0, 40, (SAMPLES, *x.shape[1:])).astype(np.int32) if 'int' in str(x.dtype) else
                              random.normal(size=(SAMPLES, *x.shape[1:])).astype(np.float32) for x in net.inputs]
                    settle(net, arrays if len(arrays) > 1 else arrays[0])
                nchw = ['in0'] if variant.endswith('nchw') and len(net.inputs[0].shape) == 4 else None
                if variant.endswith('nchw') and not nchw:
                    continue
                given = [tf.TensorSpec((None if dynamic else 1, *x.shape[1:]), x.dtype, name=f'in{i}')
                         for i, x in enumerate(net.inputs)]
                call = tf.function(lambda *x: net(list(x) if len(x) > 1 else x[0], training=False), input_signature=given)
                tf2onnx.convert.from_function(call, given, opset=opset, inputs_as_nchw=nchw, output_path=str(path))
                turned = [x.transpose(0, 3, 1, 2) if nchw and i == 0 else x for i, x in enumerate(arrays)]
                np.savez(folder / (f'keras_{name}.nchw.npz' if nchw else f'keras_{name}.npz'),
                         **{f'in{i}': x for i, x in enumerate(turned)})
            except Exception as problem:
                path.unlink(missing_ok=True)
                text = f'{type(problem).__name__}: {problem}'
                path.with_suffix('.why').write_text(text + '\n')
                print(f'{path.stem}: not exported: {text.splitlines()[0][:200]}', file=sys.stderr, flush=True)


main()
