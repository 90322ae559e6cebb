# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The linters, run as tests; their settings are in ruff.toml and mypy.ini."""

from importlib.util import find_spec
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[1]

LINTERS = {
    'ruff': ['check', '--quiet', '--output-format', 'concise', '.'],
    'mypy': ['--no-error-summary', '--no-color-output'],
}


@pytest.mark.parametrize('name', LINTERS)
def test_linter_finds_nothing(name: str) -> None:
    if find_spec(name) is None:
        pytest.skip(f'{name} is not installed')
    done = subprocess.run([sys.executable, '-m', name, *LINTERS[name]], cwd=ROOT, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600)
    if done.returncode:
        pytest.fail(f'{name} found:\n{done.stdout}', pytrace=False)
