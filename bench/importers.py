# SPDX-License-Identifier: Apache-2.0
"""Quantized files as other tools write them: name -> make(out, path, samples). Runs in bench/.venv."""
import pathlib

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from peers import Reader, input_of, raise_opset

U8, S8, U16, S16, S4, U4 = (QuantType.QUInt8, QuantType.QInt8, QuantType.QUInt16, QuantType.QInt16, QuantType.QInt4,
                            QuantType.QUInt4)


def prepared(path, out, least=13):
    """Shapes inferred and opset raised, as ONNX Runtime's documentation advises."""
    raised, ready = (pathlib.Path(out).with_suffix(f'.{word}.onnx') for word in ('raised', 'ready'))
    quant_pre_process(str(raise_opset(path, raised, least)), str(ready), skip_symbolic_shape=True)
    return ready


def ort(activations=U8, weights=S8, per_channel=True, operators=False, least=13, method='MinMax', **extra):
    def make(out, path, samples):
        quantize_static(str(prepared(path, out, least)), str(out), Reader(input_of(path).name, samples),
                        quant_format=QuantFormat.QOperator if operators else QuantFormat.QDQ, per_channel=per_channel,
                        activation_type=activations, weight_type=weights, calibrate_method=getattr(CalibrationMethod, method),
                        extra_options=extra)
    return make


def ort_dynamic(weights, per_channel):
    def make(out, path, samples):
        quantize_dynamic(str(prepared(path, out)), str(out), per_channel=per_channel, weight_type=weights)
    return make


def optimized(make_plain=None):
    """As ONNX Runtime's optimizer writes it: fused operators of its own domain."""
    def make(out, path, samples):
        import onnxruntime
        plain = path
        if make_plain:
            plain = pathlib.Path(out).with_suffix('.plain.onnx')
            make_plain(plain, path, samples)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(out)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        onnxruntime.InferenceSession(str(plain), options, providers=['CPUExecutionProvider'])
    return make


def nncf_static(preset='performance', transformer=False):
    def make(out, path, samples):
        import nncf
        nncf.set_log_level(40)
        name = input_of(path).name
        model = onnx.load(str(raise_opset(path, pathlib.Path(out).with_suffix('.raised.onnx'))))
        quantized = nncf.quantize(model, nncf.Dataset([{name: s[None]} for s in samples]), subset_size=len(samples),
                                  preset=nncf.QuantizationPreset(preset),
                                  model_type=nncf.ModelType.TRANSFORMER if transformer else None)
        onnx.save(quantized, str(out))
    return make


def nncf_weights(mode, **options):
    def make(out, path, samples):
        import nncf
        nncf.set_log_level(40)
        model = onnx.load(str(raise_opset(path, pathlib.Path(out).with_suffix('.raised.onnx'), 21)))
        # NNCF 3.4 gives a Conv's scales three dimensions and a turned Gemm's blocks the wrong axis: nothing reads such files
        options['ignored_scope'] = nncf.IgnoredScope(types=['Conv', 'Gemm'], validate=False)
        if 'group_size' in options:  # smaller groups where the size does not divide the channels
            options['advanced_parameters'] = nncf.AdvancedCompressionParameters(
                group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST, min_adjusted_group_size=2)
        onnx.save(nncf.compress_weights(model, mode=nncf.CompressWeightsMode(mode), **options), str(out))
    return make


def ort_blocks(signed, size=16, pairs=True):
    """MatMul weights of 4 bits in blocks, as DequantizeLinear with block_size or as MatMulNBits."""
    def make(out, path, samples):
        from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
        config = DefaultWeightOnlyQuantConfig(block_size=size, is_symmetric=signed,
                                               quant_format=QuantFormat.QDQ if pairs else QuantFormat.QOperator)
        model = onnx.load(str(raise_opset(path, pathlib.Path(out).with_suffix('.raised.onnx'), 21)))
        quantizer = MatMulNBitsQuantizer(model, algo_config=config)
        quantizer.process()
        quantizer.model.save_model_to_file(str(out))
    return make


def has(path, *operators):
    return any(node.op_type in operators for node in onnx.load(str(path)).graph.node)


def fits(name, model):
    """Whether that maker finds something to do, and its runtime can read what it makes."""
    if name.startswith('nncf weights') or 'in blocks' in name or 'MatMulNBits' in name:
        return has(model.path, 'MatMul')
    if 'transformer' in name:
        return has(model.path, 'Softmax', 'LayerNormalization') and has(model.path, 'MatMul')
    return True


def torch(out, path, samples):
    """As PyTorch's exporter writes fbgemm's qconfig: activations 0..127 with a Clip between QuantizeLinear and
    DequantizeLinear, weights as QuantizeLinear of real constants, real biases."""
    from onnx import helper, numpy_helper
    ort(QuantizeBias=False)(out, path, samples)
    model = onnx.load(str(out))
    graph, constants, nodes = model.graph, {t.name: t for t in model.graph.initializer}, []
    value = lambda name: numpy_helper.to_array(constants[name])

    def replace(name, array):
        constants[name].CopyFrom(numpy_helper.from_array(np.asarray(array), name))
    for name in {tuple(n.input[1:3]) for n in graph.node if n.op_type == 'QuantizeLinear'}:
        replace(name[0], np.float32(value(name[0]) * np.float32(255 / 127)))
        replace(name[1], np.uint8(np.rint(value(name[1]) * (127 / 255))))
    graph.initializer.append(numpy_helper.from_array(np.uint8(0), 'level_low'))
    graph.initializer.append(numpy_helper.from_array(np.uint8(127), 'level_high'))
    for node in graph.node:
        nodes.append(node)
        if node.op_type == 'QuantizeLinear':
            levels, node.output[0] = node.output[0], node.output[0] + '_wide'
            nodes.append(helper.make_node('Clip', [node.output[0], 'level_low', 'level_high'], [levels]))
        if node.op_type != 'DequantizeLinear' or node.input[0] not in constants:
            continue
        axis = next((a.i for a in node.attribute if a.name == 'axis'), 1)
        levels, scale, real = value(node.input[0]), value(node.input[1]), node.input[0] + '_real'
        shape = [-1 if i == axis and scale.ndim else 1 for i in range(levels.ndim)]
        graph.initializer.append(numpy_helper.from_array(np.float32(levels * scale.reshape(shape)), real))
        nodes.insert(-1, helper.make_node('QuantizeLinear', [real, *node.input[1:3]], [real + '_q'], axis=axis))
        node.input[0] = real + '_q'
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, str(out))


MAKERS = {
    'ort u8 s8': ort(),
    'ort s8 s8 symmetric': ort(S8, ActivationSymmetric=True),
    'ort s8 s8': ort(S8),
    'ort u8 u8 per tensor': ort(U8, U8, False),
    'ort s8 s8 per tensor': ort(S8, S8, False),
    'ort entropy': ort(method='Entropy'),
    'ort percentile': ort(method='Percentile'),
    'ort operators u8 s8': ort(operators=True),
    'ort operators u8 u8 per tensor': ort(U8, U8, False, True),
    'ort operators s8 s8': ort(S8, operators=True),
    'ort all pairs': ort(DedicatedQDQPair=True, AddQDQPairToWeight=True, QDQKeepRemovableActivations=True),
    'ort real bias': ort(QuantizeBias=False),
    'ort u16 s8, own domain': ort(U16),
    'ort s16 s8, opset 21': ort(S16, least=21),
    'ort u8 s4': ort(U8, S4, least=21),
    'ort u8 u4 per tensor': ort(U8, U4, False, least=21),
    'ort dynamic s8 per channel': ort_dynamic(S8, True),
    'ort dynamic u8 per tensor': ort_dynamic(U8, False),
    'ort s4 in blocks': ort_blocks(True),
    'ort u4 in blocks': ort_blocks(False),
    'ort s4 MatMulNBits': ort_blocks(True, 32, False),
    'ort u4 MatMulNBits': ort_blocks(False, 16, False),
    'ort float, optimized': optimized(),
    'ort u8 s8, optimized': optimized(ort()),
    'ort dynamic, optimized': optimized(ort_dynamic(S8, False)),
    'torch': torch,
    'nncf': nncf_static(),
    'nncf mixed': nncf_static('mixed'),
    'nncf transformer': nncf_static('mixed', True),
    'nncf weights s8': nncf_weights('int8_sym'),
    'nncf weights u8': nncf_weights('int8_asym'),
    'nncf weights s4': nncf_weights('int4_sym', group_size=8, all_layers=True, ratio=1.0),
    'nncf weights u4': nncf_weights('int4_asym', group_size=8, all_layers=True, ratio=1.0),
}
