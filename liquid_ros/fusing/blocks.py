# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Which groups of operations share their outermost loop, so that what one leaves the next finds near.

An operation may join where each round of the loop reads only what the same round wrote.
"""

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from liquid_ros.fusing.graph import Node
from liquid_ros.fusing.schedule import loops


class Block(NamedTuple):
    """Groups one behind the other in a loop of so many rounds; 0: a single group, no such loop."""

    groups: List[List[int]]
    rounds: int


def rounds_of(node: Node) -> int:
    """Return the length of an operation's outermost loop, 0 where it has none to share."""
    if node.kind == 'map':
        shape = loops(node)
    elif node.kind == 'reduce':
        shape = tuple(size for size in node.args[0].places.shape[:-1] if size > 1)
    else:
        return 0
    return shape[0] if shape else 0


def blocks(nodes: Sequence[Node], groups: Sequence[List[int]], placed: Set[Tuple[int, int]],
           kind: Callable[[List[int]], bool]) -> List[Block]:
    """
    Return groups in blocks, each after what it needs.

    placed: parts of joins that are written in place. kind: groups of one block have the same.
    """
    home = {n: at for at, group in enumerate(groups) for n in group}
    needs = [{home[view.node] for n in group for view in nodes[n].args if view.node in home} - {at}
             for at, group in enumerate(groups)]
    left = list(range(len(groups)))
    done: Set[int] = set()
    found: List[Block] = []
    while left:
        first = left[0]
        rounds, inside = rounds_of(nodes[groups[first][0]]), [first]
        when: Dict[int, np.ndarray] = {}
        if rounds:
            _enter(nodes, groups[first], rounds, when, placed)
            for at in left[1:]:
                if (needs[at] <= done | set(inside) and kind(groups[at]) == kind(groups[first])
                        and _enter(nodes, groups[at], rounds, when, placed)):
                    inside.append(at)
        done.update(inside)
        left = [at for at in left if at not in done]
        found.append(Block([groups[at] for at in inside], rounds if len(inside) > 1 else 0))
    return found


def _enter(nodes: Sequence[Node], group: Sequence[int], rounds: int,
           when: Dict[int, np.ndarray], placed: Set[Tuple[int, int]]) -> bool:
    """Return whether a group can be in a block; note in which round what it writes is written."""
    new: Dict[int, np.ndarray] = {}
    for n in group:
        node = nodes[n]
        written = _rounds(node, n, rounds, when, placed)
        if written is None:
            return False
        new[n] = written
        if node.kind == 'join':
            continue
        for view in node.args:
            read = new.get(view.node, when.get(view.node))
            if read is not None:
                each = read[view.places].reshape(rounds, -1)
                if ((each != np.arange(rounds)[:, None]) & (each >= 0)).any():
                    return False
    when.update(new)
    return True


def _rounds(node: Node, n: int, rounds: int, when: Dict[int, np.ndarray],
            placed: Set[Tuple[int, int]]) -> Optional[np.ndarray]:
    """Return the round that writes each element, -1 for earlier; None where that is impossible."""
    if node.kind != 'join':
        same = rounds_of(node) == rounds
        return np.repeat(np.arange(rounds), node.size // rounds) if same else None
    written = np.full(node.size, -1)
    for part, (view, packed) in enumerate(zip(node.args, node.what)):
        if (n, part) not in placed:
            return None
        if view.node in when:
            written[np.frombuffer(packed, np.int64)] = when[view.node][view.places.reshape(-1)]
    return written
