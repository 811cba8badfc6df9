# SPDX-License-Identifier: Apache-2.0
"""PyTorch training one network, for bench/train. Speaks as speed_worker.py does: its only argument is a job as JSON, its
answers are JSON lines, it reads "run N" and "end". train_step.c is octet's process of the same shape."""
import sys, time

import process
from process import forget_peak, memory, timed

LIVE_STEPS = 2  # before anything is frozen: observers have then seen data


def batches(job, suffix, dtype, shape):
    import numpy as np
    flat = np.fromfile(job['data'] + suffix, dtype)
    return list(flat.reshape(-1, job['batch'], *shape))


class Worker(process.Worker):
    def __init__(self, job, answers):
        super().__init__(job, answers)
        self.losses = []

    def step(self):
        self.losses.append(self.training.step(len(self.losses)))

    def load(self):
        inputs, labels = batches(self.job, '.f32', 'float32', (3, 32, 32)), batches(self.job, '.i64', 'int64', ())
        import train_torch
        self.before = memory('VmRSS')
        forget_peak()
        began = time.perf_counter()
        self.training = train_torch.Training(self.job, inputs, labels)
        self.tell(load=time.perf_counter() - began)
        live = [timed(self.step) for _ in range(LIVE_STEPS)]
        if self.job['mode'] == 'frozen':
            self.training.freeze()
            live = [timed(self.step) for _ in range(LIVE_STEPS)]
        self.tell(fastest=min(live))

    def serve(self):
        for line in sys.stdin:
            word, *count = line.split()
            if word == 'end':
                return self.tell(peak=memory('VmHWM'), before=self.before, losses=self.losses)
            self.tell(seconds=[timed(self.step) for _ in range(int(count[0]))])


process.work(Worker)
