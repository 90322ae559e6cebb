# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Smoothers by name, with their weights: one .safetensors that carries its configuration."""

from dataclasses import asdict, fields
import hashlib
import json
from pathlib import Path
from typing import Dict, Optional

import numpy as np

from liquid_ros import safetensors
from liquid_ros.arrays import group_average
from liquid_ros.backend import Backend, NumpyBackend
from liquid_ros.errors import CheckpointError, ParameterError
from liquid_ros.smoothers import Smoother, SMOOTHERS
from liquid_ros.smoothers.cells import CELLS
from liquid_ros.smoothers.liquid import FEATURES, Liquid, LiquidConfig, MAX_AXES, OUTPUTS
from liquid_ros.smoothers.probes import PROBES

SHIPPED = str(Path(__file__).with_name('weights') / 'liquid.safetensors')


def build(name: str = 'liquid', checkpoint: str = '', backend: Optional[Backend] = None
          ) -> Smoother:
    """
    Return a smoother of the registry, its weights loaded and on the backend.

    checkpoint: path of a .safetensors file; '' takes the weights the package ships.
    Errors: ParameterError for an unknown name, CheckpointError for unusable weights.
    """
    if name not in SMOOTHERS:
        raise ParameterError(f'got smoother {name!r}, expected one of {", ".join(SMOOTHERS)}')
    if name != 'liquid':
        return SMOOTHERS[name]()
    return load_liquid(checkpoint or SHIPPED, backend or NumpyBackend())


def load_liquid(path: str, backend: Backend) -> Liquid:
    """
    Return the liquid smoother with the weights of a file.

    Errors: CheckpointError where the file, its configuration or a shape does not fit.
    """
    arrays, meta = safetensors.load(path)
    try:
        wanted = json.loads(meta['config'])
        known = {field.name for field in fields(LiquidConfig)}
        config = LiquidConfig(**{n: v for n, v in wanted.items() if n in known})
        shapes = shapes_of(config)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f'{path!r} carries no usable configuration: {error!r}') from error
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            got = arrays[name].shape if name in arrays else 'nothing'
            raise CheckpointError(f'{path!r}: got {got} for {name}, expected {shape}')
        if not np.isfinite(arrays[name]).all():
            raise CheckpointError(f'{path!r}: {name} is not finite')
    if 'alpha' in shapes and (arrays['alpha'] <= 0).any():
        raise CheckpointError(f'{path!r}: got alpha <= 0, expected rates above zero')
    weights = {name: backend.asarray(arrays[name].astype(np.float64)) for name in shapes}
    return Liquid(config, {**weights, 'group': backend.asarray(group_average(MAX_AXES))})


def shapes_of(config: LiquidConfig) -> Dict[str, tuple]:
    """Return the shape of every weight."""
    hidden = config.hidden
    return {**CELLS[config.cell].shapes(hidden, FEATURES),
            'weight_out': (OUTPUTS, hidden + FEATURES), 'bias_out': (OUTPUTS,),
            'lower': (OUTPUTS,), 'upper': (OUTPUTS,), 'probes': (3, PROBES)}


def save_liquid(path: str, config: LiquidConfig, weights: Dict[str, np.ndarray],
                provenance: Dict[str, object]) -> None:
    """Write weights with the configuration and how they came to be."""
    safetensors.save(path, {n: np.asarray(weights[n], np.float32) for n in shapes_of(config)},
                     {'config': json.dumps(asdict(config), sort_keys=True),
                      'provenance': json.dumps(provenance, sort_keys=True)})


def fingerprint(path: str = '') -> str:
    """Return the first 12 hex digits of the SHA-256 of a checkpoint, '' for the shipped one."""
    try:
        return hashlib.sha256(Path(path or SHIPPED).read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise CheckpointError(f'cannot read weights {path!r}: {error.strerror}') from error
