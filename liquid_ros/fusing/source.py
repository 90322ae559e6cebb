# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The C sources of the liquid smoother's step, for points and for poses, smoother or not."""

from dataclasses import asdict
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

import numpy as np

from liquid_ros.arrays import tangent_size
from liquid_ros.fusing.emit import emit
from liquid_ros.fusing.graph import Graph, Traced
from liquid_ros.fusing.lane_prelude import helpers, LANE_PRELUDE, USUAL, WIDEST
from liquid_ros.fusing.lane_source import lane_source
from liquid_ros.fusing.prelude import PRELUDE
from liquid_ros.fusing.schedule import Result
from liquid_ros.fusing.way import WAY
from liquid_ros.fusing.writer import Given
from liquid_ros.manifold import unit_row
from liquid_ros.packing import estimate_layout, Layout, Shapes
from liquid_ros.smoothers.liquid import Liquid, LiquidConfig

WIDTHS = (3, 7)
EXACT = ('group', 'turning')  # what is not a number of a checkpoint
WIDE_NAMES = ('row', 'rows', 'output_rows', 'measured', 'anchor')  # of inputs: places in the world
KNOBS = ('noise_factor', 'gate_1', 'gate_2', 'gate_3')  # behind it
# what the source is of
TEXTS = ('arrays.py', 'geometry.py', 'manifold.py', 'packing.py', 'smoothers/*.py',
         'smoothers/cells/*.py', 'fusing/*.py')


# the functions that most have, for processors with AVX-512, too
EITHER = """{narrow}
#ifdef WIDE
{wide}
#endif
void {name}(long n, const float *w, const double *exact, double *state, const double *given,
            double *said{taken})
{{
#ifdef WIDE
  if (HAS_WIDE) {{ {name}_wide(n, w, exact, state, given, said{more}); return; }}
#endif
  {name}_narrow(n, w, exact, state, given, said{more});
}}
"""

class _Knobs(NamedTuple):
    """A tuning whose numbers are not there yet."""

    smoothing: float
    noise_factor: Traced
    gates: Tuple[Traced, ...]


def function(width: int, smoothing: bool, verb: str = 'step') -> str:
    """Return a function's name; smoothing: whether it is for another R than the cell's."""
    return f'{verb}_{width}' + '_smoothing' * smoothing


def recipe(config: LiquidConfig) -> str:
    """Return the hash of all that makes the source; a library of another one does not fit."""
    root = Path(__file__).resolve().parents[1]
    texts = [path.read_bytes() for name in TEXTS for path in sorted(root.glob(name))]
    texts.append(json.dumps(asdict(config), sort_keys=True).encode())
    return hashlib.sha256(b'\0'.join(texts)).hexdigest()


def state_layout(smoother: Any, width: int) -> Layout:
    """Return how one stream's state is packed."""
    return Layout.of(smoother.init(unit_row(width))[0])


def weight_layouts(shapes: Shapes) -> Tuple[Layout, Layout]:
    """Return how weights, matrices transposed, are packed: float32, then float64 and knobs."""
    turned = {name: shapes[name][::-1] for name in sorted(shapes)}
    return (Layout({name: shape for name, shape in turned.items() if name not in EXACT}),
            Layout({**{name: turned[name] for name in EXACT}, **dict.fromkeys(KNOBS, ())}))


def sources(config: LiquidConfig, weights: Mapping[str, np.ndarray]) -> Dict[str, str]:
    """
    Return the sources by name, each complete, and of recipe(), which says what they are of.

    void step_<width>...(long n, w, exact, state, given, said): the weights as weight_layouts()
    has them; of n streams the packed state, which becomes the next one; the row, dt and variances
    (NaN for none); the estimate and 0.0, or NaN where something is not finite: then the state is
    left alone. As little memory as can be: what a message finds in no cache is what it waits for.
    void predict_<width>...(the same): the estimate dt later; nothing else of given is read, and no
    state is written.
    void lanes_step_<width>...(the same, room): as step_, LANES streams at once, in float32 behind
    the innovation. long lanes_room(void): how many bytes room is, from a multiple of 64 on; 0
    where the processor has too short vectors for it to be of use.
    """
    plain = Liquid(config, dict(weights))
    layouts = weight_layouts({name: array.shape for name, array in weights.items()})
    beside = '\n'.join([PRELUDE, LANE_PRELUDE, helpers(USUAL), '#ifdef WIDE', helpers(WIDEST),
                        '#endif', ''])
    made, predicts, sizes = {}, [PRELUDE], []
    for smoothing in (False, True):
        for width in WIDTHS:
            given = smoothing, width, config, layouts, state_layout(plain, width)
            made[function(width, smoothing)] = f'{PRELUDE}\n{_step(*given)}'
            predicts.append(emit(function(width, smoothing, 'predict'),
                                 *record(*given, predicts=True), single=['w']))
            text, size = _lanes(*given)
            made[function(width, smoothing, 'lanes')] = beside + text
            sizes.append(size)
    about = (f'long lanes_room(void) {{ return HAS_LANES ? {max(sizes)} : 0; }}\n'
             f'const char *recipe(void) {{ return "{recipe(config)}"; }}\n')
    return {**made, 'predict': '\n'.join(predicts), 'way': WAY, 'recipe': beside + about}


def _result(graph: Graph, given: Given, name: str, array: Traced) -> Result:
    """Return a new state's part; what stays as a whole where one number says so is not copied."""
    node = graph.nodes[array.node]
    if node.what == 'where' and np.array_equal(array.index.ravel(), np.arange(node.size)):
        condition, old, new = node.args
        before = graph.nodes[old.node]
        same = np.array_equal(old.places.ravel(), np.arange(before.size))
        if (before.kind, before.what) == ('input', name) and same and not np.ptp(
                condition.places):
            return Result(*given, Traced(graph, new.node, new.places),
                          Traced(graph, condition.node, condition.places.ravel()[:1]))
    return Result(*given, array)


class Recorded(NamedTuple):
    """A traced step: its graph, where each input lies, what goes where, elements a stream."""

    graph: Graph
    given: Dict[str, Given]
    results: List[Result]
    strides: Dict[str, int]


def record(smoothing: bool, width: int, config: LiquidConfig, layouts: Tuple[Layout, Layout],
           state: Layout, predicts: bool = False, wide: bool = True, reciprocals: bool = False
           ) -> Recorded:
    """
    Return the step of points or poses, or predict(); layouts: of the weights.

    wide: all of it in float64; else as it is trained: rows in float64 up to the innovation, the
    rest in float32. reciprocals: as Graph has it.
    """
    graph, axes = Graph(reciprocals), tangent_size(width)
    places: Dict[str, Given] = {}

    def array(argument: str, name: str, offset: int, shape: Tuple[int, ...]) -> Traced:
        places[f'{argument} {name}'] = Given(argument, offset)
        return graph.input(f'{argument} {name}', shape, wide or name in WIDE_NAMES)

    weights = {name: array(argument, name, layout.columns[name][0], shape).T
               for argument, layout in zip(('w', 'exact'), layouts)
               for name, shape in layout.shapes.items()}
    knobs = [weights.pop(name) for name in KNOBS]
    traced = Liquid(config, weights, _Knobs(  # type: ignore[arg-type]
        float(smoothing), knobs[0], tuple(knobs[1:])))
    before = {name: array('state', name, state.columns[name][0], (1,) + shape)
              for name, shape in state.shapes.items()}
    row, dt_s, variances = (array('given', *at) for at in (
        ('row', 0, (1, width)), ('dt_s', width, (1, 1)), ('variances', width + 1, (1, axes))))
    said = estimate_layout(width)
    if predicts:
        results, estimate = [], traced.predict(before, dt_s)
    else:
        following, estimate = traced.step(before, row, dt_s, variances)
        results = [_result(graph, places[f'state {name}'], f'state {name}', following[name])
                   for name in state.shapes]
    results += [Result('said', said.columns[name][0], value)
                for name, value in estimate._asdict().items()]
    return Recorded(graph, places, results, {
        'w': 0, 'exact': 0, 'state': state.size, 'given': width + 1 + axes,
        'said': said.size + 1})


def _step(smoothing: bool, width: int, config: LiquidConfig, layouts: Tuple[Layout, Layout],
          state: Layout) -> str:
    recorded = record(smoothing, width, config, layouts, state)
    name = function(width, smoothing)

    def written(how: str, name: str) -> str:
        return emit(name, *recorded, single=['w'],
                    fetched={'w': layouts[0].size, 'state': state.size}, how=how)
    if smoothing:
        return written('CLONED void', name)
    return EITHER.format(name=name, narrow=written('CLONED static void', f'{name}_narrow'),
                         wide=written('WIDE static void', f'{name}_wide'), taken='', more='')


def _lanes(smoothing: bool, width: int, config: LiquidConfig, layouts: Tuple[Layout, Layout],
           state: Layout) -> Tuple[str, int]:
    """Return the source of lanes_step_<width>..., and how many bytes of room it needs."""
    recorded = record(smoothing, width, config, layouts, state, wide=False, reciprocals=True)
    name = function(width, smoothing, 'lanes_step')
    if smoothing:
        return lane_source(name, *recorded, single=['w'], target=USUAL)
    narrow, size = lane_source(f'{name}_narrow', *recorded, single=['w'], target=USUAL)
    wide, _ = lane_source(f'{name}_wide', *recorded, single=['w'], target=WIDEST)
    return EITHER.format(name=name, narrow=narrow, wide=wide, taken=', double *room',
                         more=', room'), size
