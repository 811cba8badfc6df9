# SPDX-License-Identifier: Apache-2.0
"""Steps of bench/speed that need numpy or a peer, each a process of its own.
prepare.py data NAME MODEL FOLDER | ort MODEL CALIBRATION OUT | openvino MODEL CALIBRATION OUT"""
import pathlib, sys

import numpy as np

from models import DATA, arrays
from speed_models import CONTESTS

CALIBRATION, SAMPLES = 64, 32


def random_samples(count):
    """Smooth noise of about mean 0 and deviation 1, where no pictures are at hand."""
    coarse = np.random.default_rng(1).normal(size=(count, 3, 28, 28)).astype(np.float32)
    return coarse.repeat(8, 2).repeat(8, 3)


def samples_of(contest, folder):
    if contest.built and not DATA.is_dir():
        both = random_samples(CALIBRATION + SAMPLES)
        return both[:CALIBRATION], both[CALIBRATION:]
    calibration, evaluation, _ = arrays(contest.model, folder)
    return calibration[:CALIBRATION], evaluation[:SAMPLES]


def write_data(name, model, folder):
    """What calibrates, what is run, and the float outputs for that."""
    from peers import run_ort
    folder = pathlib.Path(folder)
    calibration, inputs = samples_of(next(c for c in CONTESTS if c.name == name), folder)
    np.save(folder / 'calibration.npy', np.ascontiguousarray(calibration))
    np.save(folder / 'inputs.npy', np.ascontiguousarray(inputs))
    np.save(folder / 'reference.npy', run_ort(model, inputs, 8))


def quantize_with_ort(model, calibration, out):
    from peers import quantize_ort
    quantize_ort(out, model, np.load(calibration), 'minmax', False)


def quantize_with_nncf(model, calibration, out):
    import nncf
    import openvino
    nncf.set_log_level(40)
    samples = np.load(calibration)
    quantized = nncf.quantize(openvino.convert_model(model), nncf.Dataset([s[None] for s in samples]),
                              preset=nncf.QuantizationPreset.PERFORMANCE, subset_size=len(samples))
    openvino.save_model(quantized, out)


def main():
    {'data': write_data, 'ort': quantize_with_ort, 'openvino': quantize_with_nncf}[sys.argv[1]](*sys.argv[2:])


main()
