# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Run the compiled step on an emulated AArch64 and compare it with the plain step on this machine.

    pip install ziglang qiling
    PYTHONPATH=. python tools/on_arm64.py

Clang builds the source for AArch64 (a static program, minutes); the emulator runs it on points and
poses with outliers, without and with the knobs. Fails where a number is off by 1e-9.
"""

import ast
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import List, Tuple

import numpy as np

from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import load, SHIPPED
from liquid_ros.fused import packed_weights
from liquid_ros.fusing.source import function, sources, state_layout
from liquid_ros.packing import estimate_layout
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.smoothers.tuning import Tuning

STEPS, ALLOWED = 120, 1e-9
TUNINGS = Tuning(), Tuning(0.4, 0.01)
EMULATE = """
import sys
from qiling import Qiling
from qiling.const import QL_VERBOSE
from qiling.extensions.pipe import SimpleOutStream
machine = Qiling(sys.argv[1:2], sys.argv[2], verbose=QL_VERBOSE.OFF)
machine.os.stdout = SimpleOutStream(1)
machine.run()
sys.stdout.buffer.write(machine.os.stdout.read(2**30))
sys.exit(machine.os.exit_code)
"""


def flags() -> List[str]:
    """Return what setup.py compiles with."""
    path = Path(__file__).parents[1] / 'setup.py'
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'FLAGS':
            return list(ast.literal_eval(node.value))
    raise SystemExit(f'on_arm64: {path} has no FLAGS')


def array(name: str, numbers: np.ndarray, kind: str) -> str:
    """Return an array's definition in C, exact."""
    each = ('(0.0 / 0.0)' if np.isnan(x) else float(x).hex() for x in np.ravel(numbers))
    return f'static {kind} {name}[] = {{{", ".join(each)}}};\n'


def stream(rng: np.random.Generator, width: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return rows (T, width) with outliers and dt (T, 1)."""
    rows = np.cumsum(0.01 * rng.standard_normal((STEPS, width)), 0)
    rows += 0.02 * rng.standard_normal(rows.shape)
    rows[::17, :3] += 3.0
    if width == 7:
        rows[:, 6] += 1.0
        rows[:, 3:] /= np.linalg.norm(rows[:, 3:], axis=1, keepdims=True)
    return rows, 0.03 * np.exp(0.3 * rng.standard_normal((STEPS, 1)))


def program(plain: Liquid) -> Tuple[str, np.ndarray]:
    """Return a program that writes what the step says, and that by the plain step."""
    rng = np.random.default_rng(3)
    parts, calls, expected = ['#include <stdio.h>\nstatic double said[4096];\n'], [], []
    for at, tuning in enumerate(TUNINGS):
        smoother = plain.tuned(tuning)
        single, exact = packed_weights(smoother)
        parts += [array(f'single{at}', single, 'float'), array(f'exact{at}', exact, 'double')]
        for width, axes in ((3, 3), (7, 6)):
            name, its = function(width, bool(tuning.smoothing)), f'{at}_{width}'
            said = estimate_layout(width)
            rows, dt_s = stream(rng, width)
            given = np.hstack([rows, dt_s, np.full((STEPS, axes), np.nan)])
            state, _ = smoother.init(rows[:1])
            parts += [f'void {name}(long, const float *, const double *, double *, '
                      'const double *, double *);\n',
                      array(f'state{its}', state_layout(smoother, width).pack(state), 'double'),
                      array(f'given{its}', given[1:], 'double')]
            calls.append(f"""
    for (int k = 0; k < {STEPS - 1}; k++) {{
        {name}(1, single{at}, exact{at}, state{its}, given{its} + k * {given.shape[1]}, said);
        fwrite(said, 8, {said.size}, stdout);
    }}""")
            for k in range(1, STEPS):
                state, estimate = smoother.step(state, rows[k:k + 1], dt_s[k:k + 1])
                expected.append(said.pack(estimate._asdict())[0])
    text = ''.join([*parts, 'int main(void) {', *calls, '\n    return fflush(stdout);\n}\n'])
    return text, np.concatenate(expected)


def main() -> None:
    """Build, run, compare."""
    plain = load('liquid', SHIPPED, NumpyBackend())
    assert isinstance(plain, Liquid)
    text, expected = program(plain)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        texts = {'main': text, **sources(plain.config, plain.weights)}
        for name, content in texts.items():
            (folder / f'{name}.c').write_text(content, encoding='utf-8')
        subprocess.run([sys.executable, '-m', 'ziglang', 'cc', '-target', 'aarch64-linux-musl',
                        *flags(), '-static', *(f'{name}.c' for name in texts), '-lm',
                        '-o', 'program'],
                       cwd=folder, check=True)
        ran = subprocess.run([sys.executable, '-c', EMULATE, str(folder / 'program'), made],
                             check=True, stdout=subprocess.PIPE)
    got = np.frombuffer(ran.stdout)
    if got.shape != expected.shape:
        raise SystemExit(f'on_arm64: got {len(got)} numbers, expected {len(expected)}')
    off = np.abs(got - expected) / np.maximum(np.abs(expected), 1e-3)
    print(f'{len(got)} numbers on AArch64, the largest difference {off.max():.1g}')
    if not off.max() < ALLOWED:
        raise SystemExit(1)


if __name__ == '__main__':
    main()
