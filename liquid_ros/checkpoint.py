# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Smoothers by name, with their weights: one .safetensors that carries its configuration."""

from dataclasses import asdict, fields
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional

import numpy as np

from liquid_ros import safetensors
from liquid_ros.arrays import group_average, turning
from liquid_ros.backend import Backend, NumpyBackend
from liquid_ros.errors import CheckpointError, ParameterError
from liquid_ros.fused import fuse
from liquid_ros.smoothers import Smoother, SMOOTHERS
from liquid_ros.smoothers.bank import FILTERS
from liquid_ros.smoothers.cells import CELLS, Shapes
from liquid_ros.smoothers.direct import DirectConfig
from liquid_ros.smoothers.liquid import LEVELS, LiquidConfig, MAX_AXES, OUTPUTS
from liquid_ros.smoothers.sight import FEATURES, SLOW

WEIGHTS = Path(__file__).with_name('weights')
SHIPPED = str(WEIGHTS / 'liquid.safetensors')
RESOURCE = 'package://'


class Learned(NamedTuple):
    """A smoother with weights: its configuration, their shapes and what is not learned."""

    config: Callable[..., Any]
    shapes: Callable[[Any], Shapes]
    constants: Callable[[], Dict[str, np.ndarray]]


def _liquid_shapes(config: LiquidConfig) -> Shapes:
    kind = CELLS[config.cell]
    kind.stepper(config.activation)
    return {**kind.shapes(config.hidden, FEATURES),
            'weight_out': (OUTPUTS, kind.read(config.hidden) + FEATURES),
            'weight_slow': (LEVELS, SLOW), 'bias_out': (OUTPUTS,), 'bias_turn': (LEVELS,),
            'lower': (OUTPUTS,), 'upper': (OUTPUTS,), 'bank': (4, FILTERS)}


def _direct_shapes(config: DirectConfig) -> Shapes:
    return {**CELLS['liquid'].shapes(config.hidden, 4),
            'weight_out': (3, config.hidden), 'bias_out': (3,)}


LEARNED: Dict[str, Learned] = {
    'liquid': Learned(LiquidConfig, _liquid_shapes, lambda: {
        'group': group_average(MAX_AXES), 'turning': turning(MAX_AXES)}),
    'liquid_direct': Learned(DirectConfig, _direct_shapes, dict),
}


def build(name: str = 'liquid', checkpoint: str = '', backend: Optional[Backend] = None
          ) -> Smoother:
    """
    Return a smoother of the registry, its weights loaded and on the backend.

    checkpoint: as find() has it.
    Errors: ParameterError for an unknown name, CheckpointError for unusable weights.
    """
    if name not in SMOOTHERS:
        raise ParameterError(f'got smoother {name!r}, expected one of {", ".join(SMOOTHERS)}')
    if name not in LEARNED:
        if checkpoint:
            raise CheckpointError(f'got checkpoint {checkpoint!r}, but {name} has no weights')
        return SMOOTHERS[name]()
    return fuse(load(name, find(checkpoint, name), backend or NumpyBackend()))


def find(checkpoint: str, name: str = 'liquid') -> str:
    """
    Return the path of a file of weights.

    checkpoint: a path, ~ being the home; package://PACKAGE/PATH below the share folder of a ROS
    package; the name of a file of the weights here; '' for those of the smoother with this name.
    Errors: CheckpointError where there is no such package or there can be no such path.
    """
    try:
        return _find(checkpoint, name)
    except (OSError, ValueError) as error:  # too long a name, say
        raise CheckpointError(f'got checkpoint {checkpoint!r}: {error}') from error


def _find(checkpoint: str, name: str) -> str:
    if not checkpoint:
        return str(WEIGHTS / f'{name}.safetensors')
    if checkpoint.startswith(RESOURCE):
        package, _, rest = checkpoint[len(RESOURCE):].partition('/')
        for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
            share = Path(prefix, 'share')
            if prefix and package and (
                    share / 'ament_index/resource_index/packages' / package).exists():
                return str(share / package / rest)
        raise CheckpointError(f'got checkpoint {checkpoint!r}, but there is no package '
                              f'{package!r} in AMENT_PREFIX_PATH')
    here = WEIGHTS / f'{checkpoint}.safetensors'
    if os.sep not in checkpoint and not Path(checkpoint).suffix and here.exists():
        return str(here)
    return os.path.expanduser(checkpoint)


def load(name: str, path: str, backend: Backend) -> Smoother:
    """
    Return a smoother of LEARNED with the weights of a file.

    Errors: CheckpointError where the file, its configuration or a shape does not fit.
    """
    arrays, meta = safetensors.load(path)
    learned = LEARNED[name]
    try:
        wanted = json.loads(meta['config'])
        known = {field.name for field in fields(learned.config)}  # type: ignore[arg-type]
        config = learned.config(**{n: v for n, v in wanted.items() if n in known})
        for n, v in asdict(learned.config()).items():
            if type(getattr(config, n)) is not type(v):
                raise TypeError(f'got {getattr(config, n)!r} for {n}, such as {v!r} expected')
        shapes = learned.shapes(config)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError,
            ParameterError) as error:
        raise CheckpointError(f'{path!r} carries no usable configuration: {error!r}') from error
    for weight, shape in shapes.items():
        if weight not in arrays or arrays[weight].shape != shape:
            got = arrays[weight].shape if weight in arrays else 'nothing'
            raise CheckpointError(f'{path!r}: got {got} for {weight}, expected {shape}')
        if not np.isfinite(arrays[weight]).all():
            raise CheckpointError(f'{path!r}: {weight} is not finite')
    for weight in CELLS[getattr(config, 'cell', 'liquid')].positive:
        if (arrays[weight] <= 0).any():
            raise CheckpointError(f'{path!r}: got {weight} <= 0, expected it above zero')
    weights = {**{n: arrays[n].astype(np.float64) for n in shapes}, **learned.constants()}
    return SMOOTHERS[name](config, {n: backend.asarray(w) for n, w in weights.items()})


def fingerprint(path: str) -> str:
    """
    Return the first 16 digits of the SHA-256 of a file of weights.

    Errors: CheckpointError where it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise CheckpointError(f'cannot read {path!r}: {error.strerror}') from error


def save(name: str, path: str, config: Any, weights: Dict[str, np.ndarray],
         provenance: Dict[str, object]) -> None:
    """Write weights with the configuration and how they came to be."""
    safetensors.save(
        path, {n: np.asarray(weights[n], np.float32) for n in LEARNED[name].shapes(config)},
        {'config': json.dumps(asdict(config), sort_keys=True),
         'provenance': json.dumps(provenance, sort_keys=True)})
