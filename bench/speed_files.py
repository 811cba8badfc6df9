# SPDX-License-Identifier: Apache-2.0
"""What bench/speed needs before it can run: networks, samples, int8 networks of every tool. All lie in bench/work, under
names that hold what they depend on: the network's bytes, and the tool's version (octet's: its bytes)."""
import hashlib, json, pathlib, shutil, subprocess, tempfile, time

from models import DATA

SCRIPTS = pathlib.Path(__file__).resolve().parent
PYTHON, WORK = SCRIPTS / '.venv/bin/python', SCRIPTS / 'work'
PACKAGES = {'ort': 'onnxruntime', 'openvino': 'openvino', 'nncf': 'nncf'}


class ToolFailed(RuntimeError):
    pass


def digest(*paths):
    found = hashlib.sha256()
    for path in paths:
        found.update(pathlib.Path(path).read_bytes())
    return found.hexdigest()[:12]


def library_of(program):
    return pathlib.Path(program).resolve().parent / 'src/liboctet.so'


def peak_of(pid):
    """Bytes, or 0 where the process has just ended."""
    try:
        with open(f'/proc/{pid}/status') as status:
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith('VmHWM')), 0)
    except OSError:
        return 0


def run(words):
    """(seconds, peak bytes) of a process. Its peak is looked at while it runs: wait4's is at least that of this process."""
    peak, began = 0, time.monotonic()
    with tempfile.TemporaryFile('w+') as messages:
        process = subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=messages)
        while process.poll() is None:
            peak = max(peak, peak_of(process.pid))
            time.sleep(0.004)
        seconds = time.monotonic() - began
        if process.returncode:
            messages.seek(0)
            lines = messages.read().strip().splitlines()
            raise ToolFailed(lines[-1][-300:] if lines else f'ended with {process.returncode}')
    return seconds, peak


def script(name, *words):
    return run([PYTHON, SCRIPTS / name, *words])


def versions():
    names = json.dumps(sorted(PACKAGES.values()))
    text = subprocess.run([str(PYTHON), '-c', f'import json; from importlib.metadata import version\n'
                           f'print(json.dumps({{n: version(n) for n in {names}}}))'],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(text)


class Files:
    def __init__(self, program, fresh=False):
        self.fresh, self.program, self.versions = fresh, pathlib.Path(program).resolve(), versions()
        self.octet_digest = digest(self.program, library_of(program))
        self.versions['octet'] = self.octet_digest
        maker = self.program.parent / 'bench/make_models'
        self.networks, self.folders = WORK / f'networks-{digest(maker)}', {}
        if not self.networks.exists():
            made = self.networks.with_suffix('.part')
            made.mkdir(parents=True, exist_ok=True)
            run([maker, made])
            made.rename(self.networks)

    def available(self, contest):
        return contest.path(self.networks).exists()

    def folder(self, contest):
        """With the samples in it."""
        if contest.name not in self.folders:
            path = contest.path(self.networks)
            folder = WORK / f'{contest.name}-{digest(path)}{"" if DATA.is_dir() else "-noise"}'
            if not (folder / 'reference.npy').exists():
                folder.mkdir(parents=True, exist_ok=True)
                script('prepare.py', 'data', contest.name, path, folder)
            self.folders[contest.name] = folder
        return self.folders[contest.name]

    def samples(self, contest):
        return {name: str(self.folder(contest) / f'{name}.npy') for name in ('inputs', 'reference')}

    def quantize(self, contest, tool):
        """{'seconds', 'peak', 'size'} of the tool's int8 network, made now or earlier."""
        folder, path, out = self.folder(contest), contest.path(self.networks), self.int8(contest, tool)
        note = out.parent / 'made.json'
        if self.fresh or not note.exists():
            shutil.rmtree(out.parent, ignore_errors=True)
            out.parent.mkdir()
            calibration = folder / 'calibration.npy'
            if tool == 'octet':
                seconds, peak = run([self.program, 'quantize', path, '--data', calibration, '-q', '-o', out])
            else:
                seconds, peak = script('prepare.py', tool, path, calibration, out)
            note.write_text(json.dumps({'seconds': seconds, 'peak': peak, 'size': self.size(out)}))
        return json.loads(note.read_text())

    def int8(self, contest, tool):
        version = {'octet': self.octet_digest, 'ort': self.versions['onnxruntime'],
                   'openvino': f'{self.versions["openvino"]}-{self.versions["nncf"]}'}[tool]
        return self.folder(contest) / f'{tool}-{version}' / ('int8.xml' if tool == 'openvino' else 'int8.onnx')

    @staticmethod
    def size(path):
        """With the weights beside OpenVINO's."""
        return sum(p.stat().st_size for p in (path, path.with_suffix('.bin')) if p.exists())

    def quantize_all(self, contest, tools):
        """{tool: figures, or why there are none}, and the float network's size."""
        found = {'float': {'size': self.size(contest.path(self.networks))}}
        for tool in tools:
            try:
                found[tool] = self.quantize(contest, tool)
            except ToolFailed as problem:
                found[tool] = {'failed': str(problem)}
                print(f'    {tool} quantize: {problem}', flush=True)
        return found

    def network(self, contest, tool, kind):
        if kind == 'float':
            return contest.path(self.networks)
        path = self.int8(contest, tool)
        if not (path.parent / 'made.json').exists():
            raise ToolFailed('no int8 network')
        return path
