# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a training run is made of; config/train.yaml holds the settings of the shipped weights."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Dict, Iterable, Tuple, Type, TypeVar

from liquid_ros.checkpoint import LEARNED
from liquid_ros.errors import ParameterError
from liquid_ros.smoothers.cell import ACTIVATIONS
from liquid_ros.smoothers.cells import CellKind, CELLS
from liquid_ros.smoothers.cells.wiring import LEAST

Config = TypeVar('Config', bound='TrainConfig')


def setting(default: Any, low: float, high: float, text: str, names: Iterable[str] = ()) -> Any:
    """Return a dataclass field with its range, or the names it can be, and description."""
    return field(default=default, metadata={'low': low, 'high': high, 'text': text,
                                            'names': tuple(names)})


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run."""

    seed: int = setting(1, 0, 2**31, 'seed of weights and simulated streams')
    smoother: str = setting('liquid', 0, 0, 'liquid or liquid_direct', LEARNED)
    cell: str = setting('liquid', 0, 0, 'of the liquid smoother: a name of smoothers/cells', CELLS)
    states: int = setting(3, 1, 3, '1: position; 2: and velocity; 3: and acceleration')
    activation: str = setting('tanh', 0, 0, 'tanh, sigmoid or relu, of the liquid cells',
                              ACTIVATIONS)
    dale: bool = setting(False, 0, 1, "ncp: a neuron's outgoing synapses have one sign")
    hidden: int = setting(48, 1, 1024, 'hidden units')
    iterations: int = setting(13000, 1, 10**9, 'steps of the optimiser')
    batch: int = setting(96, 1, 10**6, 'streams advanced side by side')
    axes: int = setting(6, 3, 6, '3: one group of axes; 6: two that share outliers')
    shares: int = setting(4, 1, 1000, 'parts of the batch that begin anew at different times')
    stretch: int = setting(96, 4, 10**5, 'messages gradients flow back through')
    stretches: Tuple[int, ...] = setting((1, 3, 6, 12), 1, 10**4,
                                         'lengths of a stream, in stretches, drawn evenly')
    learning_rate: float = setting(4e-3, 1e-9, 1.0, 'at its highest')
    accel_weight: float = setting(0.03, 0.0, 100.0, 'of the acceleration error in the loss')
    likelihood_weight: float = setting(0.2, 0.0, 100.0, 'of the negative log-likelihood')
    harm_weight: float = setting(0.5, 0.0, 100.0, 'of being worse than the measurements')
    steady: float = setting(0.4, 0.0, 1.0, 'share of the run in which P may not be inflated')
    turning: int = setting(700, 0, 10**9, 'more steps behind them, in which what is added for '
                           'rotations is fitted, and nothing else')
    calibrate: int = setting(800, 0, 10**9, 'more steps at the end, in which the variance that '
                             'the liquid smoother states is fitted, and nothing else')
    clip_norm: float = setting(1.0, 1e-9, 1e9, 'largest norm of a gradient')
    threads: int = setting(1, 1, 1024, 'CPU threads; one is the fastest at this size')
    compile: bool = setting(True, 0, 1, 'fuse the step with torch.compile (needs a C++ compiler)')

    def __post_init__(self) -> None:
        """Check every setting once; ParameterError names it and its range."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            low, high = entry.metadata['low'], entry.metadata['high']
            kind = type(entry.default)
            if kind is str:
                names = entry.metadata['names']
                if value not in names:
                    raise ParameterError(f'got {entry.name}: {value!r}, expected one of '
                                         f'{", ".join(names)}')
                continue
            if kind is float and type(value) is int:
                value = float(value)
                object.__setattr__(self, entry.name, value)
            if kind is tuple and isinstance(value, list):
                value = tuple(value)
            parts = value if kind is tuple and isinstance(value, tuple) else (value,)
            if kind is tuple:
                object.__setattr__(self, entry.name, parts)
            wanted = int if kind is tuple else kind
            if not parts or not all(type(p) is wanted and low <= p <= high for p in parts):
                raise ParameterError(f'got {entry.name}: {value!r}, expected '
                                     f'{wanted.__name__} in [{low:g}, {high:g}]')
        if self.axes % 3 or self.batch % self.shares:
            raise ParameterError(
                f'got axes {self.axes}, batch {self.batch}, shares {self.shares}; '
                'expected axes 3 or 6, batch a multiple of shares')
        self._check_cell(CELLS[self.cell])

    def _check_cell(self, kind: CellKind) -> None:
        """Check what only some cells have."""
        kind.stepper(self.activation)
        if self.smoother == 'liquid_direct' and (self.cell, self.activation) != ('liquid', 'tanh'):
            raise ParameterError(f'got cell: {self.cell!r}, activation: {self.activation!r}, '
                                 'expected liquid and tanh for liquid_direct')
        if self.dale and self.cell != 'ncp':
            raise ParameterError(f'got dale: true with cell: {self.cell!r}, expected ncp')
        if kind.library and self.hidden < LEAST:
            raise ParameterError(f'got hidden: {self.hidden}, expected at least {LEAST} for '
                                 f'{self.cell}')

    @classmethod
    def from_dict(cls: Type[Config], given: Dict[str, Any]) -> Config:
        """Return the configuration; ParameterError names an unknown setting."""
        known = [entry.name for entry in fields(cls)]
        for name in given:
            if name not in known:
                raise ParameterError(f'got setting {name!r}, expected one of {", ".join(known)}')
        return cls(**given)

    def to_dict(self) -> Dict[str, Any]:
        """Return plain numbers and lists, as YAML and JSON hold them."""
        return {n: list(v) if isinstance(v, tuple) else v for n, v in asdict(self).items()}
