# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The parts of a run on simulated streams: all weights, what rotations add, what is stated."""

from typing import Any, Iterable, List, NamedTuple, Tuple

from liquid_ros.smoothers.liquid import OUTPUTS, STATED
from liquid_ros.training.config import TrainConfig

TURN = 'bias_turn'
ROUGH = 0.5  # of the rotations that it is fitted to


class Stage(NamedTuple):
    """
    Iterations from first up to last, in which some of the weights are fitted.

    names: of the parameters; () for all but what rotations add. rows: of them that stay as they
    are. rate: of learning at its highest; 0 is that of the configuration.
    """

    first: int
    last: int
    names: Tuple[str, ...] = ()
    rows: Tuple[int, ...] = ()
    rate: float = 0.0

    @property
    def turning(self) -> bool:
        """Return whether rotations alone count, and ROUGH of them move as bodies do."""
        return TURN in self.names

    @property
    def stating(self) -> bool:
        """Return whether the variance that is stated alone counts."""
        return bool(self.rows)

    def fitted(self, cell: Any) -> List[Any]:
        """Return the parameters of the module of weights."""
        return [p for n, p in cell.named_parameters()
                if n in self.names or not self.names and n != TURN]

    def keep(self, parameters: Iterable[Any]) -> None:
        """Leave the parameters' rows as they are: with a gradient of nothing."""
        for parameter in parameters if self.rows else ():
            parameter.grad[list(self.rows)] = 0.0


def stages(config: TrainConfig) -> List[Stage]:
    """Return the parts of a run, one behind the other; those without iterations are left out."""
    liquid = config.smoother == 'liquid'
    behind = config.iterations + (config.turning if liquid and config.axes > 3 else 0)
    end = behind + (config.calibrate if liquid else 0)
    parts = [
        Stage(0, config.iterations),
        Stage(config.iterations, behind, (TURN,), rate=1e-2),
        Stage(behind, end, ('weight_out', 'bias_out'),
              tuple(i for i in range(OUTPUTS) if i not in STATED), rate=2e-3)]
    return [part for part in parts if part.last > part.first]
