# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What becomes one CUDA graph: arguments that never move, and no number that Python waits for."""

from collections import Counter
from dataclasses import replace

from cells import needs
import numpy as np
import pytest

from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import build, load, SHIPPED
from liquid_ros.evaluation import scenario
from liquid_ros.training.config import TrainConfig
from liquid_ros.training.loader import Loaded, Loader
from liquid_ros.training.tracks import prepare, Track
from liquid_ros.training.tune_config import TuneConfig

torch = pytest.importorskip('torch', reason='training needs torch')

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from liquid_ros.smoothers.cells import CELLS  # noqa: E402
from liquid_ros.training.captured import Captured, room  # noqa: E402
from liquid_ros.training.compiled import Compiled  # noqa: E402
from liquid_ros.training.fit import Kind, Trainer  # noqa: E402
from liquid_ros.training.tune import Tuner  # noqa: E402
from liquid_ros.training.world import World  # noqa: E402

SMALL = TrainConfig(hidden=6, batch=4, shares=2, stretch=4, stretches=(1, 3), iterations=4,
                    turning=2, calibrate=2, compile=False)
TUNED = TuneConfig(iterations=4, rows=2, batch=2, shares=2, stretch=4, stretches=(1, 3), calm=2,
                   horizons=(1, 2), simulated_weight=0.0)
NOWHERE = 'meta'  # a device without numbers: whatever asks for one fails
VARIANTS = [{'simulated_weight': 0.5}, {'trainable': 'all', 'truth': True}, {'stated': True},
            {'width': 3}]


class Watch(TorchDispatchMode):
    """
    Counts operations with a tensor of the CPU: each would be a copy to the device.

    So would be an index that comes from nowhere, a list. known: tensors there were before.
    """

    def __init__(self, known=()):
        super().__init__()
        self.found = Counter()
        self._made = list(known)  # and kept: a place is not to be used again
        self._known = {array.untyped_storage()._cdata for array in self._made}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        used, made = ([array for array in tree_leaves(tree) if isinstance(array, torch.Tensor)]
                      for tree in ((args, kwargs or {}), out))
        lists = tree_leaves(args[1]) if 'index' in str(func) and len(args) > 1 else ()
        self.found[str(func)] += any(array.device.type == 'cpu' for array in used + made) or any(
            isinstance(array, torch.Tensor) and array.untyped_storage()._cdata not in self._known
            for array in lists)
        self._made += made
        self._known.update(array.untyped_storage()._cdata for array in made)
        return out


def tuner(truth=False, stated=False, width=7, **settings):
    """Return a run on a made-up recording."""
    made = scenario.made_up(8.0)
    rows = made.rows[:, :width]
    tangent = 3 if width == 3 else 6
    track = Track('x', np.array(made.stamps_ns), rows, made.truth[:, :width] if truth else None,
                  np.full((len(rows), tangent), 1e-4) if stated else None)
    config = replace(TUNED, **settings)
    source = Loader([prepare([[track]], build(), config.horizons, config.held_out,
                             config.stretch)], Loaded)
    shipped = load('liquid', SHIPPED, NumpyBackend()).weights
    weights = {name: np.asarray(array, np.float32) for name, array in shipped.items()}
    return Tuner(config, weights, source, source.some(1))


def host_tensors(trainer, kind):
    """Return the operations of an iteration that a tensor of the CPU takes part in."""
    given = room(trainer._given(), NOWHERE)
    trainer.cell.weights()  # brings what never changes to the device
    places = [tuple(place.at) for place in trainer.cell.places.values()]
    with Watch(tree_leaves(places)) as watch:
        trainer._work(kind, given)
    assert len(watch.found) > 50
    return +watch.found


@pytest.mark.parametrize('cell', CELLS)
def test_an_iteration_of_every_cell_and_part_never_waits_for_a_number(cell):
    needs(cell)
    trainer = Trainer(replace(SMALL, cell=cell), World(0, 1, NOWHERE))
    for stage in trainer._stages if cell == SMALL.cell else trainer._stages[:1]:
        trainer._optimise(stage.fitted(trainer.cell))
        assert not host_tensors(trainer, Kind(stage, steady=True))


@pytest.mark.parametrize('variant', VARIANTS)
def test_nor_does_one_on_recordings(variant):
    trainer = tuner(**variant)
    trainer.world = World(0, 1, NOWHERE)
    trainer.cell.to(NOWHERE)
    trainer._first = room(trainer._first, NOWHERE)
    assert not host_tensors(trainer, Kind(trainer.stage, steady=False))


def test_a_list_as_an_index_would_be_found():
    with Watch() as watch:
        torch.empty(2, 3, device=NOWHERE)[:, [0, 0]]
    assert +watch.found


def test_arguments_are_copies_that_never_move_and_answers_are_apart_from_them():
    places = []

    def work(kind, given):
        places.append([array.data_ptr() for array in (given['x'], *given['pair'][:1])])
        weighted = given['x'] * weight
        return {'sum': weighted + given['pair'][0], 'same': given['x'][1:]}, kind

    weight = torch.ones(3, requires_grad=True)
    captured = Captured(work, 'cpu')
    answers = [captured('a', {'pair': (torch.full((3,), k), None), 'x': torch.full((3,), k)})
               for k in (1.0, 2.0)]
    assert places[0] == places[1]
    for k, ((named, kind), value) in enumerate(zip(answers, (1.0, 2.0))):
        assert kind == 'a' and not named['sum'].requires_grad, k
        assert named['sum'].tolist() == [2.0 * value] * 3 and named['same'].tolist() == [value] * 2
    captured('a', {'x': torch.ones(3, dtype=torch.float64), 'pair': (torch.ones(1), None)})
    assert len(captured._held) == 2
    captured('b', {'x': torch.ones(3), 'pair': (torch.ones(3), None)})
    assert len(captured._held) == 1


class Graph:
    """Stands for a graph: a replay is the work itself, done into the answer of before."""

    def __init__(self, captured, kind, held):
        self.answer = captured._answer(kind, held)
        self._again = lambda: captured._answer(kind, held)

    def replay(self):
        """Do it again."""
        for here, array in zip(tree_leaves(self.answer), tree_leaves(self._again())):
            here.copy_(array)


class Replayed(Captured):
    """Captured, as it is on a GPU, but for the GPU."""

    made = 0

    def __init__(self, work):
        super().__init__(work, 'cpu')
        self.capturing = True

    def _record(self, kind, held):
        Replayed.made += 1
        graph = Graph(self, kind, held)
        return graph, graph.answer


def test_a_run_with_answers_that_never_move_either_is_the_same(tmp_path):
    """Three parts, and a stop between them."""
    plain, held, rest = (Trainer(SMALL) for _ in range(3))
    for trainer in (held, rest):
        trainer._learn = Replayed(trainer._work)
    for _ in range(plain.total):
        plain.advance()
    Replayed.made = 0
    for _ in range(5):
        held.advance()
    assert Replayed.made == 3  # steady, free, turning
    held.save(str(tmp_path / 'x.pt'))
    rest.load(str(tmp_path / 'x.pt'))
    for _ in range(plain.total - 5):
        held.advance()
        rest.advance()
    for name, array in plain.weights().items():
        np.testing.assert_array_equal(held.weights()[name], array)
        np.testing.assert_array_equal(rest.weights()[name], array)
    assert held.figures == plain.figures == rest.figures


def test_a_run_on_recordings_is_the_same_too():
    plain, held = (tuner(truth=True, simulated_weight=0.5) for _ in range(2))
    held._learn = Replayed(held._work)
    for trainer in (plain, held):
        for _ in range(4):
            trainer.advance()
    assert plain.curve == held.curve
    for name, array in plain.weights().items():
        np.testing.assert_array_equal(held.weights()[name], array)


def test_streams_begin_anew_where_a_step_went_wrong():
    trainer = Trainer(SMALL)
    trainer._learn = Replayed(trainer._work)
    trainer.advance()
    trainer._carried['state']['rows'].fill_(np.nan)
    before = {name: p.detach().clone() for name, p in trainer.cell.named_parameters()}
    trainer._feed.left = [max(left, 1) for left in trainer._feed.left]
    assert not np.isfinite(trainer.advance()['loss']) and trainer._carried['state'] == {}
    for name, parameter in trainer.cell.named_parameters():
        assert torch.equal(parameter, before[name])
    assert np.isfinite(trainer.advance()['loss'])


def test_what_cannot_be_captured_runs_nevertheless_and_says_so_once(capsys):
    class Refused(Replayed):
        def _record(self, kind, held):
            raise RuntimeError('CUDA error: no\nand more')

    plain, refused = Trainer(SMALL), Trainer(SMALL)
    refused._learn = Refused(refused._work)
    for trainer in (plain, refused):
        for _ in range(3):
            trainer.advance()
    told = capsys.readouterr().err
    assert told.count('\n') == 1 and told.endswith('runs eagerly: CUDA error: no\n')
    assert plain.figures == refused.figures


def test_a_step_for_a_gpu_is_compiled_once_for_a_whole_stretch():
    pytest.importorskip('torch._dynamo')
    forms = []

    def count(module, inputs):
        forms.append(sum(array.requires_grad for array in inputs))
        return module.forward

    plain, fused = Trainer(SMALL), Trainer(SMALL)
    fused._step = Compiled(fused._plain, backend=count)
    for trainer in (plain, fused):
        trainer.advance()
    many = max(forms)
    for _ in range(plain.total - 1):
        plain.advance()
        fused.advance()
    assert forms.count(many) == 1 and len(forms) <= 3
    for name, array in plain.weights().items():
        np.testing.assert_allclose(fused.weights()[name], array, rtol=1e-4, atol=1e-6)


def test_arrays_are_joined_out_of_lists(monkeypatch):
    """At a named tuple torch 2.11 breaks the step in two, and fails on the second part."""
    kinds, joined = set(), torch.concatenate

    def concatenate(arrays, *rest):
        kinds.add(type(arrays))
        return joined(arrays, *rest)
    monkeypatch.setattr(torch, 'concatenate', concatenate)
    Trainer(SMALL).advance()
    assert kinds and kinds <= {list, tuple}


def test_a_step_that_cannot_be_compiled_runs_as_it_is_and_says_so_once(capsys):
    def refuse(module, inputs):
        raise AssertionError('a compiler of another version')

    plain, refused = Trainer(SMALL), Trainer(SMALL)
    refused._step = Compiled(refused._plain, backend=refuse)
    for trainer in (plain, refused):
        for _ in range(2):
            trainer.advance()
    told = capsys.readouterr().err
    assert told.count('the step cannot be compiled and runs as it is') == 1
    assert plain.figures == refused.figures
