# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The CUDA source of the liquid smoother's step; what runs on the CPU does not import it."""

from typing import Any, Tuple

from liquid_ros.arrays import tangent_size
from liquid_ros.fusing.kernel import kernel, Near
from liquid_ros.fusing.source import function, record, state_layout, weight_layouts
from liquid_ros.fusing.threads import Shape


def kernel_source(smoother: Any, smoothing: bool, width: int, shape: Shape) -> Tuple[str, int]:
    """
    Return the CUDA source of a function of sources(), and its shared memory in bytes.

    smoother: the plain one, NumPy. Its arguments are n, w, exact, state, rows, dt_s, variances,
    said; variances may be null.
    """
    layouts = weight_layouts({name: array.shape for name, array in smoother.weights.items()})
    recorded = record(smoothing, width, smoother.config, layouts, state_layout(smoother, width),
                      wide=False)
    near = Near('given', {'rows': width, 'dt_s': 1, 'variances': tangent_size(width)})
    return kernel(function(width, smoothing), *recorded, single=['w'], near=near, shape=shape)
