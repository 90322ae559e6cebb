# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Presets: what a kind of sensor needs that the smoother cannot see in the messages.

Noise, rate and motion it finds out by itself; here stand types, timeouts and rates.
"""

from typing import Dict, Tuple, Union

Setting = Union[float, str]

# preset -> parameter -> (value, why)
REASONS: Dict[str, Dict[str, Tuple[Setting, str]]] = {
    'default': {},
    'apriltag': {
        'gap_reset_s': (1.0, 'A tag lost for longer comes back with another motion, often in '
                             'another place.'),
        'hold_timeout_s': (0.2, 'A few frames of motion blur are bridged, a covered tag is not.'),
    },
    'uwb': {
        'input_type': ('point', 'Ranges give a position and no orientation.'),
        'gap_reset_s': (10.0, 'Bodies and shelves shadow the anchors for seconds, and carts are '
                              'slow.'),
        'hold_timeout_s': (1.0, 'Tags take turns: 2 to 10 fixes a second, some of them lost.'),
    },
    'gnss': {
        'input_type': ('fix', 'Drivers publish NavSatFix; others may give input_type: point.'),
        'gap_reset_s': (30.0, 'Bridges and tunnels last that long; a vehicle goes on as it was.'),
        'hold_timeout_s': (2.5, 'One fix a second, and one may be lost.'),
        'future_s': (20.0, 'Some receivers stamp with GPS time, which is 18 s ahead of UTC.'),
    },
    'mocap_dropouts': {
        'publish_rate_hz': (100.0, 'A controller behind it wants its pose in every cycle, also '
                                   'while markers are hidden.'),
        'hold_timeout_s': (0.25, 'Longer occlusions must be seen as such.'),
        'gap_reset_s': (1.0, 'After an occlusion markers may be labelled anew.'),
    },
    'hand_tracking': {
        'input_type': ('pose_array', 'The joints of a hand come in one message, in one order.'),
        'gap_reset_s': (0.5, 'A hand that left the view comes back elsewhere.'),
        'hold_timeout_s': (0.1, 'Hands turn within a tenth of a second.'),
        'smoothing': (-0.3, 'People see the lag of their own hand before they see it tremble.'),
    },
}

PRESETS: Dict[str, Dict[str, Setting]] = {
    name: {parameter: value for parameter, (value, _) in settings.items()}
    for name, settings in REASONS.items()}
