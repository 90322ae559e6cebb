# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The streams of all inputs in one .safetensors file, for ~/save_state and ~/load_state."""

import json
import os
from typing import Any, Dict, Mapping, Sequence

from liquid_ros import safetensors
from liquid_ros.errors import CheckpointError, ParameterError
from liquid_ros.navsat import parsed
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
        if channel.datum is not None:
            meta[f'{channel.name}/{DATUM}'] = ', '.join(map(repr, channel.datum))
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
    try:
        datums = [parsed(meta.get(f'{channel.name}/{DATUM}', '')) for channel in channels]
    except ParameterError as error:
        raise CheckpointError(f'{path!r} is damaged: {error}') from error
    before = [channel.flow.bank.state() for channel in channels]
    try:
        for channel in channels:
            channel.flow.bank.load_state(_below(channel.name, arrays), _below(channel.name, meta))
    except CheckpointError:
        for channel, (own, told) in zip(channels, before):
            channel.flow.bank.load_state(own, told)
        raise
    for channel, datum in zip(channels, datums):
        if datum is not None:
            channel.datum = datum
        channel.flow.on_load()


def _required(path: str) -> str:
    if not path:
        raise ParameterError("state_file: got '', expected the path of a file")
    return os.path.expanduser(path)


def _names(channels: Sequence[Channel]) -> str:
    return json.dumps([[channel.name, channel.params.input_type] for channel in channels])


def _below(name: str, values: Mapping[str, Any]) -> Dict[str, Any]:
    return {key[len(name) + 1:]: value for key, value in values.items()
            if key.startswith(f'{name}/')}
