# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Options that several commands have."""

import argparse
from typing import Any, Dict

from liquid_ros.errors import ParameterError
from liquid_ros.params import from_mapping, Params
from liquid_ros.presets import PRESETS
from liquid_ros.timing import TimePolicy

USELESS = {'smoothing': ('liquid_direct',),
           'gate_probability': ('liquid_direct', 'ema', 'one_euro', 'kalman')}


def add_model(p: argparse.ArgumentParser) -> None:
    """Add what chooses a smoother."""
    defaults = Params()
    p.add_argument('--device', default=defaults.device, metavar='auto|fastest|cuda|cpu',
                   help='where to compute (default: %(default)s)')
    p.add_argument('--smoother', default=defaults.smoother, metavar='NAME',
                   help='a smoother of the registry (default: %(default)s)')
    p.add_argument('--checkpoint', default='', metavar='FILE',
                   help='weights, .safetensors (default: those of the package)')
    p.add_argument('--smoothing', type=float, default=defaults.smoothing, metavar='K',
                   help='from -1, responsive, to 1, smooth (default: %(default)s)')
    p.add_argument('--gate-probability', type=float, default=defaults.gate_probability,
                   metavar='P', help='how likely a good message is taken for an outlier; 0 leaves '
                   'that to the weights (default: %(default)s)')


def knobs_of(args: argparse.Namespace) -> Dict[str, float]:
    """
    Return the settings of a Tuning that are not at their defaults.

    Errors: ParameterError.
    """
    given = {name: getattr(args, name) for name in ('smoothing', 'gate_probability')}
    from_mapping(given)
    for name, smoothers in USELESS.items():
        if given[name] and args.smoother in smoothers:
            raise ParameterError(f'got --{name.replace("_", "-")}, which does nothing for the '
                                 f'smoother {args.smoother}')
    return {name: value for name, value in given.items() if value != getattr(Params(), name)}


class _Preset(argparse.Action):
    """Sets what a preset sets and the command line does not."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 value: Any, option: Any = None) -> None:
        before = PRESETS[namespace.preset]
        namespace.preset = value
        for name in {**before, **PRESETS[value]}:
            setting = name.replace('_reset_s', '_reset')
            default = parser.get_default(setting)
            now = getattr(namespace, setting, self)
            # not equal: it may have been given as what it is
            if now is default or now is before.get(name):
                setattr(namespace, setting, PRESETS[value].get(name, default))


def add_resets(p: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add what starts a stream anew."""
    defaults = Params()
    p.add_argument('--preset', choices=PRESETS, default=defaults.preset, action=_Preset,
                   metavar='NAME', help="the node's, as far as it sets what is an option here: "
                   '%(choices)s')
    p.add_argument('--gap-reset', type=float, default=defaults.gap_reset_s, metavar='S',
                   help='start anew after a gap this long (default: %(default)s s)')
    p.add_argument('--jump-reset', type=float, default=defaults.jump_reset_s, metavar='S',
                   help='start anew when stamps go back further than this (default: '
                   '%(default)s s)')


def policy_of(args: argparse.Namespace) -> TimePolicy:
    """
    Return when a stream starts anew.

    Errors: ParameterError.
    """
    checked = from_mapping({'gap_reset_s': args.gap_reset, 'jump_reset_s': args.jump_reset})
    return TimePolicy.from_seconds(checked.gap_reset_s, checked.jump_reset_s)
