# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The installed node as a process of its own."""

import os
from pathlib import Path
import re
import signal
import subprocess
import sys
from types import TracebackType
from typing import List, Optional, Sequence, Type

from liquid_ros.errors import LiquidError

EXECUTABLE = Path('lib', 'liquid_ros', 'smoother_node')
WORKSPACE_SETUP = Path('install', 'local_setup.bash')
STOP_DEADLINE_S = 5.0

# [INFO] [1700000000.123456789] [namespace.smoother]: text
LOG_PREFIX = re.compile(r'^(\[[^]]*\] *)+: *')

# Set by the start-up hook of ROS wheels, which must run anew in a process of another kind.
HOOK_DONE = '_ROS_WHEELS_BOOTSTRAP_COMPLETE'


def find_node(workspace: Path) -> Optional[List[str]]:
    """
    Return the command of the installed node, None where it is not installed.

    First what is sourced (AMENT_PREFIX_PATH), then what colcon built in the workspace.
    """
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if prefix and os.access(Path(prefix) / EXECUTABLE, os.X_OK):
            return [str(Path(prefix) / EXECUTABLE)]
    built = workspace / 'install' / 'liquid_ros' / EXECUTABLE
    if os.access(built, os.X_OK) and (workspace / WORKSPACE_SETUP).is_file():
        return ['bash', '-c', '. "$0" && exec "$@"', str(workspace / WORKSPACE_SETUP), str(built)]
    return None


class NodeProcess:
    """A running smoother node; what it says goes to a file."""

    def __init__(self, command: Sequence[str], arguments: Sequence[str], log: Path) -> None:
        """Start the node."""
        self.log = log
        environment = {k: v for k, v in os.environ.items() if k != HOOK_DONE}
        with open(log, 'wb') as stream:
            self._process = subprocess.Popen(
                [*command, *arguments], stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, env=environment)

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._process.pid

    def check(self) -> None:
        """Raise LiquidError where the node has ended."""
        status = self._process.poll()
        if status is not None:
            raise LiquidError(f'the node ended with status {status}: {self.last_words()}')

    def last_words(self) -> str:
        """Return the last line that the node said, and where the others stand."""
        lines = self.log.read_text(errors='replace').split('\n')
        last = next((line.strip() for line in reversed(lines) if line.strip()), 'no word')
        return f'{LOG_PREFIX.sub("", last)} (see {self.log})'

    def stop(self) -> int:
        """Ask the node to end, and make it; return its exit status."""
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(sent)
            try:
                return self._process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                continue
        return self._process.wait()

    def __enter__(self) -> 'NodeProcess':
        """Return the running node."""
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        """Stop the node."""
        self.stop()


def module_command() -> List[str]:
    """Return the command that runs the node from this very package, installed or not."""
    return [sys.executable, '-m', 'liquid_ros.ros.main']
