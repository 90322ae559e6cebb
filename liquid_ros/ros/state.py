# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The streams of all inputs in one .safetensors file, for ~/save_state and ~/load_state."""

import json
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence

from liquid_ros import safetensors
from liquid_ros.errors import CheckpointError, ParameterError
from liquid_ros.navsat import is_on_earth, parsed, Place
from liquid_ros.ros.channel import Channel

DATUM = 'datum'


def save(path: str, channels: Sequence[Channel]) -> None:
    """
    Write what all streams know, all or nothing.

    Errors: ParameterError without a path, CheckpointError where it cannot be written or no
    stream has begun: what is there from before is worth more.
    """
    path = _required(path)
    if not any(channel.flow.bank.frames() for channel in channels):
        raise CheckpointError(f'{path!r}: got no stream that has begun, nothing is written')
    arrays: Dict[str, Any] = {}
    meta = {'inputs': _names(channels)}
    for channel in channels:
        own, told = channel.flow.bank.state()
        arrays.update((f'{channel.name}/{name}', array) for name, array in own.items())
        meta.update((f'{channel.name}/{name}', text) for name, text in told.items())
        if channel.fixes is not None and channel.fixes.datum.place is not None:
            meta[f'{channel.name}/{DATUM}'] = json.dumps(
                [*channel.fixes.datum.place, channel.fixes.height])
    safetensors.save(path, arrays, meta)


def load(path: str, channels: Sequence[Channel]) -> None:
    """
    Let all streams go on where save() was called, or change nothing.

    Errors: ParameterError without a path, CheckpointError where the file cannot be read or is
    of other inputs, another smoother or other weights.
    """
    path = _required(path)
    arrays, meta = safetensors.load(path)
    if meta.get('inputs') != _names(channels):
        raise CheckpointError(f'{path!r} has the state of inputs {meta.get("inputs")}, '
                              f'expected {_names(channels)}')
    places = [_place(path, channel, meta) for channel in channels]
    before = [channel.flow.bank.state() for channel in channels]
    try:
        for channel, place in zip(channels, places):
            channel.flow.bank.load_state(_below(channel.name, arrays), _below(channel.name, meta))
            if channel.fixes is not None and place is None and channel.flow.bank.frames():
                raise CheckpointError(f'{path!r} has fixes, but not their {DATUM}')
    except CheckpointError:
        for channel, (own, told) in zip(channels, before):
            channel.flow.bank.load_state(own, told)
        raise
    for channel, place in zip(channels, places):
        if channel.fixes is not None and place is not None:
            *datum, channel.fixes.height = place
            channel.fixes.datum.put(Place(*datum))
        channel.flow.on_load()


def _place(path: str, channel: Channel, meta: Mapping[str, str]) -> Optional[List[float]]:
    """Return latitude, longitude, altitude of a datum and a height, None where there are none."""
    text = meta.get(f'{channel.name}/{DATUM}')
    if text is None or channel.fixes is None:
        return None
    try:
        found = json.loads(text)
        fits = len(found) == 4 and all(type(number) is float for number in found)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f'{path!r} is damaged: {error}') from error
    if not fits or not is_on_earth(place := Place(*found[:3])):
        raise CheckpointError(f'{path!r} is damaged: got the {DATUM} {text}')
    given = parsed(channel.params.datum)
    if given is not None and not given.fits(place):
        raise CheckpointError(f'{path!r} has the {DATUM} {place}, expected {given}, as the '
                              'parameter says')
    return found  # type: ignore[no-any-return]


def _required(path: str) -> str:
    if not path:
        raise ParameterError("state_file: got '', expected the path of a file")
    return os.path.expanduser(path)


def _names(channels: Sequence[Channel]) -> str:
    return json.dumps([[channel.name, channel.params.input_type] for channel in channels])


def _below(name: str, values: Mapping[str, Any]) -> Dict[str, Any]:
    return {key[len(name) + 1:]: value for key, value in values.items()
            if key.startswith(f'{name}/')}
