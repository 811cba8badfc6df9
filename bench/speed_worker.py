# SPDX-License-Identifier: Apache-2.0
"""One engine with one network, for bench/speed: loads, warms up, and runs when told to. Its only argument is a job as
JSON; its answers are JSON lines; it reads "run N" and "end" from its standard input."""
import sys, time

from engines import ENGINES
import process
from process import forget_peak, memory, timed


def pool_of(path, batch, most):
    """Up to most arrays of batch samples, all different."""
    import numpy as np
    samples = np.load(path)
    def cut(i):
        return np.ascontiguousarray(samples[(i * batch + np.arange(batch)) % len(samples)])
    return [cut(i) for i in range(max(1, min(most, len(samples) // batch)))]


def score(outputs, reference):
    """First output against the float one of the same samples: SQNR in dB and the share with the same top class."""
    import numpy as np
    measured = np.concatenate([o[0] for o in outputs]).astype(np.float64)
    wanted = reference[:len(measured)].astype(np.float64)
    error, flat = np.linalg.norm(measured - wanted), lambda v: v.reshape(len(v), -1).argmax(1)
    return {'sqnr_db': float(20 * np.log10(np.linalg.norm(wanted) / error)) if error else None,
            'agreement': float((flat(measured) == flat(wanted)).mean()), 'samples': len(measured)}


class Worker(process.Worker):
    next = 0

    def look(self, index):
        return [o.copy() for o in self.calls[index][1]()]

    def load(self):
        import numpy as np
        job = self.job
        pool = pool_of(job['inputs'], job['batch'], job['pool'])
        engine = ENGINES[job['engine']](job)
        self.before = memory('VmRSS')
        forget_peak()
        load = timed(lambda: engine.load(job['path'], job['threads'], list(pool[0].shape)))
        self.calls = [engine.call(x) for x in pool[:1]]
        first = timed(self.calls[0][0])
        self.expected = [self.look(0)]
        self.tell(load=load, first=first, about=engine.about())
        self.engine, self.pool = engine, pool
        self.warm_up(np.load(job['reference']))

    def warm_up(self, reference):
        """Every input once; its outputs are what later runs must give again. Then until the time per run is known."""
        deadline = time.perf_counter() + self.job['patience']
        for x in self.pool[1:]:
            if time.perf_counter() > deadline:
                break
            self.calls.append(self.engine.call(x))
            self.calls[-1][0]()
            self.expected.append(self.look(len(self.calls) - 1))
        seconds, wanted = [], time.perf_counter() + self.job['warm_up']
        while not seconds or time.perf_counter() < wanted:
            seconds.append(timed(self.calls[len(seconds) % len(self.calls)][0]))
        self.tell(fastest=min(seconds), inputs=len(self.calls), **score(self.expected, reference))

    def run(self, count):
        import numpy as np
        seconds, changed = [], 0
        for _ in range(count):
            self.next = (self.next + 1) % len(self.calls)
            seconds.append(timed(self.calls[self.next][0]))
            changed += not all(map(np.array_equal, self.calls[self.next][1](), self.expected[self.next]))
        self.tell(seconds=seconds, changed=changed)

    def serve(self):
        for line in sys.stdin:
            word, *count = line.split()
            if word == 'end':
                return self.tell(peak=memory('VmHWM'), before=self.before)
            self.run(int(count[0]))


process.work(Worker)
