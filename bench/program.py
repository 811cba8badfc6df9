# SPDX-License-Identifier: Apache-2.0
"""Runs octet and returns its JSON."""
import json, os, subprocess, tempfile


def octet(program, *words):
    # nothing is timed here; spinning threads starve a busy machine
    env = {**os.environ, 'OMP_WAIT_POLICY': os.environ.get('OMP_WAIT_POLICY', 'passive')}
    with tempfile.NamedTemporaryFile(suffix='.json') as out:
        run = subprocess.run([program, *map(str, words), '-f', '-q', f'--json={out.name}'], capture_output=True, text=True,
                             env=env)
        if run.returncode:
            raise RuntimeError(run.stderr.strip() or f'exit {run.returncode}')
        return json.load(open(out.name))
