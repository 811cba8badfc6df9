# SPDX-License-Identifier: Apache-2.0
"""Processes that run in turns, for bench/speed and bench/train. Who has no turn is stopped (SIGSTOP): ONNX Runtime's
threads spin for 60 ms and more after their last work, libgomp's for 10."""
import glob, json, os, select, signal, statistics, subprocess, tempfile, time

TURN = 0.05        # seconds that a turn should take
STUCK = 300        # seconds without an answer
MOST = 2000        # runs of a turn


class WorkerFailed(RuntimeError):
    pass


class Worker:
    def __init__(self, words, env):
        self.messages = tempfile.TemporaryFile('w+')
        self.answers, self.seconds, self.rounds, self.changed, self.stolen = b'', [], [], 0, 0.0
        self.used = []
        began = time.perf_counter()
        self.process = subprocess.Popen([str(w) for w in words], env={**os.environ, **env}, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.messages)
        try:
            self.found = self.answer()
            self.found['start'] = time.perf_counter() - began
            self.found.update(self.answer())
        except WorkerFailed:
            self.kill()
            raise
        self.plan(self.found['fastest'])
        self.stop()

    def plan(self, seconds):
        """How many runs fill the next turn, if one takes so long. Planned by the fastest run: by the typical one, slow
        rounds would have fewer runs, and count for less in a median over all."""
        self.count = max(1, min(MOST, round(TURN / seconds)))

    def answer(self):
        deadline = time.monotonic() + STUCK
        while b'\n' not in self.answers:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise WorkerFailed(f'no answer for {STUCK} s')
            piece = os.read(self.process.stdout.fileno(), 1 << 20)
            if not piece:
                raise WorkerFailed(self.last_words())
            self.answers += piece
        line, self.answers = self.answers.split(b'\n', 1)
        return json.loads(line)

    def last_words(self):
        self.messages.seek(0)
        lines = self.messages.read().strip().splitlines()
        return lines[-1][-300:] if lines else f'ended with {self.process.wait()}'

    def ask(self, text):
        try:
            self.process.stdin.write(text.encode() + b'\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerFailed(self.last_words()) from None
        return self.answer()

    def turn(self):
        before = self.cpu()
        self.process.send_signal(signal.SIGCONT)
        answer = self.ask(f'run {self.count}')
        self.stop()
        self.used.append((self.cpu() - before) / self.count)
        self.seconds += answer['seconds']
        self.rounds.append(statistics.median(answer['seconds']))
        self.changed += answer.get('changed', 0)
        self.plan(min(self.seconds))

    def threads(self, name):
        """What /proc has under that name for each of its threads."""
        for path in glob.glob(f'/proc/{self.process.pid}/task/*/{name}'):
            try:
                with open(path) as text:
                    yield text.read()
            except OSError:  # the thread has ended
                pass

    def stop(self):
        """On return no thread of it runs."""
        self.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline and any(text.rpartition(')')[2].split()[0] in 'RSD'
                                                  for text in self.threads('stat')):
            time.sleep(0.0005)

    def cpu(self):
        """Seconds that all its threads have used."""
        return sum(int(text.split()[0]) for text in self.threads('schedstat')) * 1e-9

    def end(self):
        """Everything measured, and the process is gone."""
        if self.seconds:
            ordered = sorted(self.seconds)
            self.found.update(median=statistics.median(ordered), min=ordered[0], runs=len(ordered),
                              p99=ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
                              cpu=statistics.median(self.used))
        self.process.send_signal(signal.SIGCONT)
        self.found.update(rounds=self.rounds, changed=self.changed, stolen=self.stolen, **self.ask('end'))
        self.kill()
        return self.found

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.messages):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


def take_turns(workers, rounds, patience):
    """Who begins changes from round to round. An engine that has run for patience seconds is done (its rounds are the
    first ones). stolen: the share of a turn that the others used, who should do nothing."""
    everybody = list(workers.values())
    for index in range(rounds):
        shift = index % max(1, len(everybody))
        for worker in everybody[shift:] + everybody[:shift]:
            if sum(worker.seconds) > patience:
                continue
            idle = [w for w in everybody if w is not worker]
            before, began = sum(w.cpu() for w in idle), time.perf_counter()
            worker.turn()
            used = sum(w.cpu() for w in idle) - before
            worker.stolen = max(worker.stolen, used / (time.perf_counter() - began))
