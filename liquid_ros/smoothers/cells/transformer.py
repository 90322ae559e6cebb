# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A small causal Transformer (Vaswani et al. 2017): one block over the last WINDOW messages.

The state is the window: embedded features and whether there is a message, oldest first. One block
needs only the newest query, and a head's scores are e_j . (K^T q): no key or value is kept. Layers
are normalised by their root mean square before attention and before the two-layer perceptron.
"""

from typing import Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers.cells.base import CellKind, Shapes, Weights

WINDOW = 16
HEADS = 2  # each as wide as the embedding
ABSENT = 1e4  # off the score of a place that has no message yet


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Move the window on by one message; time is what the features say of it."""
    xp = namespace(x)
    embedded = x @ w['embed'].T
    size = embedded.shape[-1]
    newest = xp.concatenate([embedded, 0.0 * embedded[..., :1] + 1.0], -1)
    h = xp.concatenate([h[..., size + 1:], newest], -1)
    window = h.reshape(tuple(h.shape[:-1]) + (WINDOW, size + 1))
    tokens, there = window[..., :size], window[..., size]
    normal = unit(tokens)
    out = embedded
    for head in range(HEADS):
        query = unit(embedded) @ w[f'query_{head}'].T
        scores = (normal @ (query @ w[f'key_{head}'])[..., None])[..., 0] / size**0.5
        scores = scores + w[f'place_{head}'] - ABSENT * (1.0 - there)
        shares = xp.exp(scores - xp.amax(scores, -1)[..., None])
        shares = shares / shares.sum(-1)[..., None]
        mean = (shares[..., None, :] @ normal)[..., 0, :]
        out = out + mean @ w[f'value_{head}'].T
    inner = unit(out) @ w['mlp_in'].T
    out = out + xp.maximum(inner, 0.0 * inner) @ w['mlp_out'].T
    return h, unit(out)


def unit(rows: Array) -> Array:
    """Return rows over their root mean square."""
    return rows / namespace(rows).sqrt((rows * rows).mean(-1)[..., None] + 1e-6)


def shapes(hidden: int, features: int) -> Shapes:
    """Return the embedding, each head's weights and places, and the perceptron's."""
    found: Shapes = {'embed': (hidden, features)}
    for head in range(HEADS):
        found.update({f'{name}_{head}': (hidden, hidden) for name in ('query', 'key', 'value')})
        found[f'place_{head}'] = (WINDOW,)
    return {**found, 'mlp_in': (2 * hidden, hidden), 'mlp_out': (hidden, 2 * hidden)}


KIND = CellKind(step, shapes, state=lambda hidden: WINDOW * (hidden + 1))
