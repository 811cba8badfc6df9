# SPDX-License-Identifier: Apache-2.0
"""Other quantizers on the same samples: ONNX Runtime's quantize_static and NNCF with OpenVINO. Runs in bench/.venv."""
import pathlib, sys, tempfile, warnings

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime as ort
from onnxruntime.quantization import (CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static)
from onnxruntime.quantization.shape_inference import quant_pre_process

from models import arrays

warnings.filterwarnings('ignore')
ort.set_default_logger_severity(3)

METHODS = {'minmax': CalibrationMethod.MinMax, 'percentile': CalibrationMethod.Percentile,
           'entropy': CalibrationMethod.Entropy}


class Reader(CalibrationDataReader):
    def __init__(self, name, samples):
        self.samples = iter([{name: sample[None]} for sample in samples])

    def get_next(self):
        return next(self.samples, None)


def input_of(path):
    return ort.InferenceSession(str(path), providers=['CPUExecutionProvider']).get_inputs()[0]


def run_ort(path, x, batch=50, plain=False):
    """All outputs of x as one array. A model with a fixed batch of 1 is fed one by one. plain: nothing is fused."""
    options = ort.SessionOptions()
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    port = session.get_inputs()[0]
    step = 1 if port.shape[0] == 1 else batch
    return np.concatenate([session.run(None, {port.name: x[i:i + step]})[0] for i in range(0, len(x), step)])


def run_openvino(path, x):
    """The same in OpenVINO, one sample at a time, in float32 where nothing is quantized."""
    import openvino as ov
    compiled = ov.Core().compile_model(ov.convert_model(str(path)), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    return np.concatenate([compiled(sample[None])[0] for sample in x])


def raise_opset(path, out, least=13):
    """The model at that opset at least: per-channel DequantizeLinear does not exist before 13."""
    model = onnx.load(str(path))
    if model.opset_import[0].version >= least:
        return path
    onnx.save(onnx.version_converter.convert_version(model, least), str(out))
    return out


def quantize_ort(out, path, samples, method, signed):
    """As its documentation advises: pre-processed, QDQ, weights per channel. Without CalibMaxIntermediateOutputs: version
    1.32 forgets what it has collected each time that many are reached (MinMaxCalibrater.collect_data), so that only the
    rest of the samples would count."""
    ready = pathlib.Path(out).with_suffix('.ready.onnx')
    raised = raise_opset(path, pathlib.Path(out).with_suffix('.raised.onnx'))
    quant_pre_process(str(raised), str(ready), skip_symbolic_shape=True)
    quantize_static(str(ready), str(out), Reader(input_of(path).name, samples), quant_format=QuantFormat.QDQ,
                    per_channel=True, activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
                    weight_type=QuantType.QInt8, calibrate_method=METHODS[method],
                    extra_options={'ActivationSymmetric': signed})


def run_nncf(path, samples, x, preset, fast):
    import nncf
    import openvino as ov
    nncf.set_log_level(40)
    model = ov.convert_model(str(path))
    quantized = nncf.quantize(model, nncf.Dataset([s[None] for s in samples]), preset=nncf.QuantizationPreset(preset),
                              subset_size=len(samples), fast_bias_correction=fast)
    compiled = ov.Core().compile_model(quantized, 'CPU')
    return np.concatenate([compiled(sample[None])[0] for sample in x])


def scores(model, measured, reference, inputs, truth):
    """Against the float outputs, and against the truth where there is one."""
    error = np.linalg.norm((reference - measured).astype(np.float64))
    found = {'sqnr_db': float(20 * np.log10(np.linalg.norm(reference.astype(np.float64)) / error)) if error else None}
    if model.metric in ('top1', 'agreement'):
        best = measured.reshape(len(measured), -1).argmax(1)
        found['top1'] = float((best == truth).mean())
        found['agreement'] = float((best == reference.reshape(len(measured), -1).argmax(1)).mean())
    elif model.metric == 'mse':
        found['mse'] = float(((measured - truth) ** 2).mean())
    elif model.metric == 'psnr':
        inner = (slice(None), slice(None), slice(6, -6), slice(6, -6))
        squares = ((measured[inner].astype(np.float64).clip(0, 1) - truth[inner]) ** 2).mean((1, 2, 3))  # as octet eval
        found['psnr_db'] = float(-10 * np.log10(squares).mean())
    return found


def settings(model, samples, x, work):
    """(name, function that gives the outputs on x) for every setting of every peer."""
    for signed in (False, True):
        for method in METHODS:
            def run_one(signed=signed, method=method):
                out = pathlib.Path(work) / 'ort.onnx'
                quantize_ort(out, model.path, samples, method, signed)
                return run_ort(out, x)
            yield f'ort {method} {"s8" if signed else "u8"}', run_one
    for preset in ('performance', 'mixed'):
        for fast in (True, False):
            yield (f'nncf {preset}{"" if fast else " slow bias"}',
                   lambda preset=preset, fast=fast: run_nncf(model.path, samples, x, preset, fast))


def measure(model, work):
    """{setting: scores}; a setting that its tool refuses carries the reason instead."""
    samples, x, truth = arrays(model, work)
    reference = run_ort(model.path, x)
    found = {'float': scores(model, reference, reference, x, truth)}
    with tempfile.TemporaryDirectory() as scratch:
        for name, run_one in settings(model, samples, x, scratch):
            try:
                found[name] = scores(model, run_one(), reference, x, truth)
            except Exception as problem:
                found[name] = {'refused': f'{type(problem).__name__}: {problem}'.splitlines()[0][:200]}
            print(f'  {model.name}: {name}: {found[name]}', file=sys.stderr, flush=True)
    return found
