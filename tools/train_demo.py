#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains demo/glyphs.onnx, the float network of `octet demo`, on the pictures that `octet demo --data-only` writes.

    build/octet demo --data-only -o DIR
    python3 -m venv VENV && VENV/bin/pip install jax onnx
    VENV/bin/python tools/train_demo.py DIR demo/glyphs.onnx

A small residual network with a depthwise part: every operator that quantization treats differently occurs once. Batch
normalisation stays in the file, so that the demo folds it. The seed is fixed; other versions of jax or another CPU may
round differently and end within a few tenths of a point."""
import gzip, pathlib, sys, time

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN, STD = 0.1307, 0.3081  # the preset "mnist" of octet's --preprocess
EPOCHS, BATCH, RATE, DECAY = 24, 64, 0.004, 2e-3
EPSILON = 1e-5

# name, kind, inputs, then channels out, kernel, stride. A conv is followed by batch normalisation.
LAYERS = [
    ('stem', 'conv', 'x', 12, 3, 1), ('stem_relu', 'relu', 'stem'),
    ('down', 'conv', 'stem_relu', 24, 3, 2), ('down_relu', 'relu', 'down'),
    ('left', 'conv', 'down_relu', 24, 3, 1), ('left_relu', 'relu', 'left'),
    ('right', 'conv', 'left_relu', 24, 3, 1), ('sum', 'add', 'right', 'down_relu'), ('sum_relu', 'relu', 'sum'),
    ('wide', 'conv', 'sum_relu', 64, 1, 1), ('wide_clip', 'clip', 'wide'),
    ('depth', 'depthwise', 'wide_clip', 64, 3, 2), ('depth_clip', 'clip', 'depth'),
    ('narrow', 'conv', 'depth_clip', 48, 1, 1), ('narrow_relu', 'relu', 'narrow'),
    ('last', 'conv', 'narrow_relu', 64, 3, 2), ('last_relu', 'relu', 'last'),
    ('pool', 'pool', 'last_relu'), ('logits', 'linear', 'pool', 10),
]


def read_idx(path):
    raw = pathlib.Path(path).read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b'\x1f\x8b' else raw
    rank = raw[3]
    dims = np.frombuffer(raw, '>u4', rank, 4).astype(int)
    return np.frombuffer(raw, np.uint8, -1, 4 + 4 * rank).reshape(dims)


def read_pair(folder, name):
    images = read_idx(folder / f'{name}-images-idx3-ubyte').astype(np.float32)[:, None] / 255
    return (images - MEAN) / STD, read_idx(folder / f'{name}-labels-idx1-ubyte').astype(np.int32)


def initial(random):
    weights, running, channels = {}, {}, {'x': 1}
    for name, kind, source, *rest in LAYERS:
        width = channels[source]
        if kind in ('conv', 'depthwise'):
            out, kernel, _ = rest
            fan = (1 if kind == 'depthwise' else width) * kernel * kernel
            shape = (out, 1 if kind == 'depthwise' else width, kernel, kernel)
            weights[name] = {'w': random.normal(0, (2 / fan) ** 0.5, shape).astype(np.float32),
                             'gamma': np.ones(out, np.float32), 'beta': np.zeros(out, np.float32)}
            running[name] = {'mean': np.zeros(out, np.float32), 'var': np.ones(out, np.float32)}
            width = out
        elif kind == 'linear':
            weights[name] = {'w': random.normal(0, width ** -0.5, (rest[0], width)).astype(np.float32),
                             'b': np.zeros(rest[0], np.float32)}
        channels[name] = width
    return weights, running


def forward(weights, running, x, training):
    values, moved = {'x': x}, {}
    for name, kind, source, *rest in LAYERS:
        v = values[source]
        if kind in ('conv', 'depthwise'):
            p, (_, kernel, stride) = weights[name], rest
            v = jax.lax.conv_general_dilated(v, p['w'], (stride, stride), [(kernel // 2, kernel // 2)] * 2,
                                             feature_group_count=v.shape[1] if kind == 'depthwise' else 1)
            mean = v.mean((0, 2, 3)) if training else running[name]['mean']
            var = v.var((0, 2, 3)) if training else running[name]['var']
            moved[name] = {'mean': 0.9 * running[name]['mean'] + 0.1 * mean, 'var': 0.9 * running[name]['var'] + 0.1 * var}
            scale = p['gamma'] / jnp.sqrt(var + EPSILON)
            v = v * scale[:, None, None] + (p['beta'] - mean * scale)[:, None, None]
        elif kind == 'relu':
            v = jnp.maximum(v, 0)
        elif kind == 'clip':
            v = jnp.clip(v, 0, 6)
        elif kind == 'add':
            v = v + values[rest[0]]
        elif kind == 'pool':
            v = v.mean((2, 3))
        elif kind == 'linear':
            v = v @ weights[name]['w'].T + weights[name]['b']
        values[name] = v
    return v, moved


def loss_of(weights, running, x, y):
    logits, moved = forward(weights, running, x, True)
    smooth = 0.95 * jax.nn.one_hot(y, 10) + 0.005
    return -(jax.nn.log_softmax(logits) * smooth).sum(1).mean(), moved


@jax.jit
def step(weights, running, state, count, rate, x, y):
    """One step of AdamW."""
    (loss, moved), grads = jax.value_and_grad(loss_of, has_aux=True)(weights, running, x, y)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state[0], grads)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state[1], grads)

    def update(w, m, v):
        moved_by = m / (1 - 0.9 ** count) / (jnp.sqrt(v / (1 - 0.999 ** count)) + 1e-8)
        return w - rate * (moved_by + (DECAY * w if w.ndim > 1 else 0))
    return jax.tree.map(update, weights, first, second), moved, (first, second), loss


def shifted(random, x):
    """Every picture moved by up to two pixels, for variety."""
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), mode='edge')
    dy, dx = random.integers(0, 5, 2)
    return padded[:, :, dy:dy + 28, dx:dx + 28]


def train(train_set, test_set):
    random = np.random.default_rng(20)
    weights, running = initial(random)
    state, count = (jax.tree.map(np.zeros_like, weights),) * 2, 0
    steps = len(train_set[0]) // BATCH
    infer = jax.jit(lambda w, r, x: forward(w, r, x, False)[0])

    def accuracy(images, labels):
        found = np.concatenate([np.argmax(infer(weights, running, images[i:i + 500]), 1)
                                for i in range(0, len(images), 500)])
        return float((found == labels).mean())
    for epoch in range(EPOCHS):
        began, total = time.time(), 0.0
        order = random.permutation(len(train_set[0]))
        for k in range(steps):
            count += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * count / (EPOCHS * steps)))
            pick = order[k * BATCH:(k + 1) * BATCH]
            weights, running, state, loss = step(weights, running, state, float(count), rate,
                                                 shifted(random, train_set[0][pick]), train_set[1][pick])
            total += float(loss)
        print(f'epoch {epoch + 1}/{EPOCHS}: loss {total / steps:.4f}, test {accuracy(*test_set):.4f}, '
              f'{time.time() - began:.1f} s', flush=True)
    print(f'train {accuracy(*train_set):.4f}, test {accuracy(*test_set):.4f}')
    return weights, running


def export(path, weights, running):
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name
    for name, kind, source, *rest in LAYERS:
        sources = [source]
        if kind in ('conv', 'depthwise'):
            out, kernel, stride = rest
            p, r = weights[name], running[name]
            nodes.append(helper.make_node(
                'Conv', [source, constant(f'{name}.weight', p['w'])], [f'{name}.conv'], name=f'{name}.conv',
                kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4,
                group=out if kind == 'depthwise' else 1))
            parts = [('scale', p['gamma']), ('bias', p['beta']), ('mean', r['mean']), ('var', r['var'])]
            nodes.append(helper.make_node('BatchNormalization', [f'{name}.conv'] + [
                constant(f'{name}.{part}', value) for part, value in parts], [name], name=name, epsilon=EPSILON))
        elif kind == 'clip':
            bounds = [constant(f'{name}.min', 0.0), constant(f'{name}.max', 6.0)]
            nodes.append(helper.make_node('Clip', [source] + bounds, [name], name=name))
        elif kind == 'pool':
            nodes.append(helper.make_node('GlobalAveragePool', [source], [f'{name}.map'], name=f'{name}.map'))
            nodes.append(helper.make_node('Flatten', [f'{name}.map'], [name], name=name))
        elif kind == 'linear':
            parts = [constant(f'{name}.weight', weights[name]['w']), constant(f'{name}.bias', weights[name]['b'])]
            nodes.append(helper.make_node('Gemm', [source] + parts, [name], name=name, transB=1))
        else:
            nodes.append(helper.make_node({'relu': 'Relu', 'add': 'Add'}[kind], sources + rest, [name], name=name))
    graph = helper.make_graph(
        nodes, 'glyphs', [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 1, 28, 28])],
        [helper.make_tensor_value_info('logits', TensorProto.FLOAT, ['N', 10])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7,
                              producer_name='octet tools/train_demo.py')
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main():
    folder, path = pathlib.Path(sys.argv[1]), sys.argv[2]
    weights, running = train(read_pair(folder, 'train'), read_pair(folder, 'test'))
    export(path, weights, running)
    print(f'{path}: {pathlib.Path(path).stat().st_size} bytes')


main()
