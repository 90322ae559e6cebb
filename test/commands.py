# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The train command as tests call it: in this process, or as one of its own."""

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
import subprocess
import sys
from typing import NamedTuple

from liquid_ros.__main__ import main

ROOT = Path(__file__).resolve().parents[1]


class Done(NamedTuple):
    """What came of a command in this process."""

    returncode: int
    stdout: str
    stderr: str


def command(*args, settings=()):
    """Run the command here: starting a process with torch takes longer than most of them."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as told:
        try:
            status = main(['train', *map(str, args), '--set', *settings])
        except SystemExit as end:
            status = end.code
    return Done(status, out.getvalue(), told.getvalue())


def process(*args, settings=(), launch=('-m', 'liquid_ros'), **more):
    """Run it as a process of its own."""
    return subprocess.run(
        [sys.executable, *launch, 'train', *map(str, args), '--set', *settings],
        cwd=ROOT, capture_output=True, text=True, timeout=300, **more)
