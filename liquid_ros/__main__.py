# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The command line: python -m liquid_ros COMMAND; a command is imported when it is asked for."""

import importlib
import sys
from typing import List, Optional

from liquid_ros import __version__

COMMANDS = {
    'evaluate': 'replay a recording and say whether smoothing helped',
    'smooth': 'smooth a bag, TUM or CSV recording',
    'demo': 'replay a noisy bag through the installed node and show what it gains',
    'circuit': "draw a cell's wiring and what its neurons do",
    'train': 'fit the weights to your own recordings, or to simulated ones',
}

USAGE = 'usage: liquid_ros [-h] [--version] COMMAND ...\n\n' + '\n'.join(
    f'  {name:8} {text}' for name, text in COMMANDS.items()) + (
    '\n\nliquid_ros COMMAND --help tells more.')


def main(argv: Optional[List[str]] = None) -> int:
    """Run a command; return its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    name = argv[0] if argv else ''
    if name in COMMANDS:
        return importlib.import_module(f'liquid_ros.cli.{name}').main(argv[1:])
    from liquid_ros.cli import guarded
    if name in ('-h', '--help', '--version'):
        text = __version__ if name == '--version' else USAGE
        return guarded(lambda: print(text), computes=False)
    print(f'liquid_ros: error: got command {name!r}, expected one of {", ".join(COMMANDS)}',
          file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main())
