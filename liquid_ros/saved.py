# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A stream bank's state as arrays and text, and whether such a state fits a bank."""

import hashlib
import json
from typing import Any, Dict, Hashable, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from liquid_ros.backend import Backend
from liquid_ros.beginnings import Beginnings
from liquid_ros.errors import CheckpointError, InputError
from liquid_ros.manifold import unit_row
from liquid_ros.smoothers.base import Smoother, State

STAMPS, YOUNG, USUAL = 'last_ns', 'young', 'usual_s'
PREFIX = 'state.'  # of a state's array


class Streams(NamedTuple):
    """
    N streams: names, stamps and frames of the last messages, and rows of state.

    young, usual_s: as Beginnings.state() and Leaps.state() have it.
    """

    keys: List[Hashable]
    last_ns: List[int]
    frames: List[Optional[str]]
    rows: State
    young: np.ndarray
    usual_s: np.ndarray


def pack(smoother: Smoother, width: int, backend: Backend, streams: Streams
         ) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    """
    Return streams as arrays and metadata for safetensors.save.

    Errors: InputError for a key that is neither text, number, nor a tuple of such.
    """
    try:
        keys = json.dumps(streams.keys)
        same = _keys(keys) == streams.keys
    except TypeError:
        same = False
    if not same:
        raise InputError("a stream's key cannot be written, expected texts, numbers or tuples")
    arrays = {STAMPS: np.array(streams.last_ns, dtype=np.int64), YOUNG: streams.young,
              USUAL: streams.usual_s}
    for name, array in streams.rows.items():
        arrays[PREFIX + name] = backend.to_numpy(array).copy()
    return arrays, {'keys': keys, 'frames': json.dumps(streams.frames),
                    **identity(smoother, width, backend)}


def unpack(smoother: Smoother, width: int, backend: Backend, arrays: Mapping[str, np.ndarray],
           meta: Mapping[str, str]) -> Streams:
    """
    Return what pack() was given.

    Errors: CheckpointError where another smoother, other weights or other widths wrote it,
    or where it is damaged.
    """
    for name, mine in identity(smoother, width, backend).items():
        if meta.get(name) != mine:
            raise CheckpointError(f'the saved state has {name} {meta.get(name)!r}, '
                                  f'expected {mine!r}')
    try:
        keys, frames = _keys(meta['keys']), json.loads(meta['frames'])
        stamps = arrays[STAMPS]
        rows = {name[len(PREFIX):]: np.array(array) for name, array in arrays.items()
                if name.startswith(PREFIX)}
        fits = isinstance(frames, list) and stamps.dtype == np.int64
        fits = fits and stamps.shape == (len({*keys}),) == (len(keys),) == (len(frames),)
        fits = fits and all(frame is None or isinstance(frame, str) for frame in frames)
        young = np.array(arrays[YOUNG])
        fits = fits and young.shape == (len(keys), Beginnings(width).layout.size)
        usual_s = np.array(arrays[USUAL])
        fits = fits and usual_s.shape == (len(keys),)
        fits = fits and all(array.dtype == np.float64
                            for array in (young, usual_s, *rows.values()))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f'the saved state is damaged: {error!r}') from error
    shapes = {name: (len(keys),) + tuple(array.shape[1:]) for name, array in
              smoother.init(backend.asarray(unit_row(width)))[0].items()} if keys else {}
    if not fits or {name: array.shape for name, array in rows.items()} != shapes:
        raise CheckpointError('the saved state is of another version, or damaged: its arrays do '
                              'not fit its streams')
    if not all(np.isfinite(array).all() for array in rows.values()):
        raise CheckpointError('the saved state is damaged: it is not finite')
    return Streams(keys, stamps.tolist(), frames,
                   {name: backend.asarray(array) for name, array in rows.items()}, young, usual_s)


def identity(smoother: Smoother, width: int, backend: Backend) -> Dict[str, str]:
    """Return what two banks must have in common to go on with the same state."""
    return {**kind(smoother), 'width': str(width), 'weights': weights_hash(smoother, backend)}


def kind(smoother: Smoother) -> Dict[str, str]:
    """Return what two smoothers must have in common for states of one shape."""
    smoother = getattr(smoother, 'plain', smoother)  # compiled or not, it is the same
    return {'smoother': type(smoother).__name__,
            'settings': repr(getattr(smoother, 'config', smoother))}


def difference(ours: Smoother, theirs: Smoother) -> Optional[str]:
    """Return why states of one smoother do not fit the other, None where they do."""
    others = kind(theirs)
    for name, wanted in kind(ours).items():
        if others[name] != wanted:
            return f'the streams are of {name} {wanted}, these weights of {others[name]}'
    return None


def weights_hash(smoother: Smoother, backend: Backend) -> str:
    """Return 16 digits that stand for the weights; of no weights, too."""
    weights = getattr(smoother, 'weights', {})
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(backend.to_numpy(weights[name]), dtype='<f8')
        digest.update(f'{name}{array.shape}'.encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _keys(text: str) -> List[Hashable]:
    keys = json.loads(text)
    if not isinstance(keys, list):
        raise ValueError('its keys are no list')
    return [_tuples(key) for key in keys]


def _tuples(value: Any) -> Hashable:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value

