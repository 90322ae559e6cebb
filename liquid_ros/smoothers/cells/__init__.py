# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The cells that can set the gains: a new one is one file and one line here."""

from typing import Dict

from liquid_ros.smoothers.cells import (
    cfc,
    gru,
    liquid,
    liquid_euler,
    liquid_euler_held,
    liquid_input,
    ltc,
    mixed,
    ncp,
    ncp_cfc,
    static,
    transformer,
)
from liquid_ros.smoothers.cells.base import CellKind, Shapes

__all__ = ['CELLS', 'CellKind', 'Shapes']

CELLS: Dict[str, CellKind] = {
    'liquid': liquid.KIND,
    'liquid_euler': liquid_euler.KIND,
    'liquid_euler_held': liquid_euler_held.KIND,
    'liquid_input': liquid_input.KIND,
    'ltc': ltc.KIND,
    'cfc': cfc.KIND,
    'ncp': ncp.KIND,
    'ncp_cfc': ncp_cfc.KIND,
    'mixed': mixed.KIND,
    'gru': gru.KIND,
    'transformer': transformer.KIND,
    'static': static.KIND,
}
