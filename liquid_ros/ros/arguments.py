# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What stands behind the node's name on the command line, and what of it does nothing."""

from pathlib import Path
import re
from typing import Dict, List, Sequence, Tuple

from liquid_ros.params_text import plain_text

HELP = ('-h', '--help')
FILE = '--params-file'
OWN = 'ros__parameters'
WILD = {'**': '(/.*)?', '*': '/[^/]+'}

USAGE = """\
usage: smoother_node --ros-args [-p NAME:=VALUE]... [--params-file FILE] [-r OLD:=NEW]...

Smooth noisy pose and point topics. A lifecycle node: with -p autostart:=true it configures and
activates by itself, else it waits for that.

parameters (* also for a named input, as INPUT.NAME):
"""


def wants_help(args: Sequence[str]) -> bool:
    """Return whether help is asked for."""
    return any(word in HELP for word in args)


def help_text() -> str:
    """Return the usage and all parameters."""
    return USAGE + plain_text()


def idle(args: Sequence[str], node: str) -> List[str]:
    """Return, in words, the arguments that do nothing; node: the fully qualified name."""
    told = [f'the argument {word!r} does nothing: expected --ros-args before it'
            for word in _others(args)]
    for word, path in zip(args, args[1:]):
        if word == FILE and Path(path).is_file():
            names = _names(Path(path).read_text(encoding='utf-8-sig', errors='replace'))
            if names and not any(_is(node, name) for name in names):
                told.append(f'{path} has no parameters for {node}, but for {", ".join(names)}')
    return told


def _others(args: Sequence[str]) -> List[str]:
    """Return what is not between --ros-args and --; rclpy's own raises for what is wrong there."""
    found, of_ros = [], False
    for word in args:
        if word == '--ros-args':
            of_ros = True
        elif of_ros and word == '--':
            of_ros = False
        elif not of_ros:
            found.append(word)
    return found


def _names(yaml: str) -> List[str]:
    """Return which nodes a file has parameters for; nothing where that cannot be told."""
    above: Dict[int, str] = {}
    found = []
    for line in yaml.splitlines():
        indent, name = _key(line)
        if not name:
            continue
        above = {depth: one for depth, one in above.items() if depth < indent}
        if name == OWN:
            found.append('/' + '/'.join(above.values()).replace('//', '/').lstrip('/'))
        above[indent] = name
    # written in braces a file has more of them than lines that begin so
    all_there = re.findall(rf'^[^#\n]*\b{OWN}\b', yaml, re.MULTILINE)
    return found if len(found) == len(all_there) else []


def _key(line: str) -> Tuple[int, str]:
    found = re.match(r"""( *)(["']?)([^\s#"'{}\[\]-][^"'{}#]*?)\2\s*:(\s|$)""", line)
    return (len(found[1]), found[3]) if found else (0, '')


def _is(node: str, name: str) -> bool:
    """Return whether a name, with * for a word and ** for any, is the node's."""
    pattern = ''.join(WILD.get(word, '/' + re.escape(word)) for word in name[1:].split('/'))
    return re.fullmatch(pattern, node) is not None
