# SPDX-License-Identifier: Apache-2.0
"""What a process that is measured knows of itself, and how it talks to the one that measures."""
import json, os, sys, time


def memory(field):
    """Bytes that /proc/self/status gives for VmRSS or VmHWM. Not getrusage: its peak starts with the parent's."""
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))


def forget_peak():
    with open('/proc/self/clear_refs', 'w') as refs:
        refs.write('5')


def timed(run):
    began = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - began) * 1e-9


class Worker:
    """Its only argument is a job as JSON; its answers are JSON lines. load() and serve() are the kind's own."""
    def __init__(self, job, answers):
        self.job, self.answers = job, answers

    def tell(self, **answer):
        print(json.dumps(answer), file=self.answers, flush=True)


def work(kind):
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # what a library prints is not an answer
    worker = kind(json.loads(sys.argv[1]), answers)
    worker.load()
    worker.serve()
    os._exit(0)  # past destructors: they are nobody's measurement
