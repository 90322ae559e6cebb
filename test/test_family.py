# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The cells beside the ncps library's: the same numbers, its defects, and that ours have none."""

import sys

from cells import HIDDEN, problem, weights
import numpy as np
import pytest

from liquid_ros.errors import CheckpointError, ParameterError
from liquid_ros.smoothers.cells import CELLS, wiring
from liquid_ros.smoothers.sight import FEATURES
from liquid_ros.training.config import TrainConfig

torch = pytest.importorskip('torch', reason='the library is on torch')
pytest.importorskip('ncps', reason='compares with the ncps library')
import ncps.torch  # noqa: E402
from ncps.torch.cfc_cell import CfCCell  # noqa: E402
from ncps.torch.ltc_cell import LTCCell  # noqa: E402
from ncps.torch.wired_cfc_cell import WiredCfCCell  # noqa: E402
from ncps.wirings import FullyConnected  # noqa: E402

from liquid_ros.training import circuits  # noqa: E402
from liquid_ros.training.fit import Trainer  # noqa: E402
from liquid_ros.training.modules import LiquidModule  # noqa: E402

NAMES = ('sensory_w', 'sensory_mu', 'sensory_sigma', 'sensory_erev', 'w', 'mu', 'sigma', 'erev',
         'gleak', 'vleak', 'cm')


def theirs(cell, w):
    """Return the library's cell with these weights, float64."""
    config = TrainConfig(cell=cell, hidden=HIDDEN, seed=1)
    if cell in ('ltc', 'ncp'):
        drawn = (FullyConnected(HIDDEN) if cell == 'ltc' else circuits.wiring(config, FEATURES))
        found = LTCCell(drawn, FEATURES, input_mapping=None, output_mapping=None).double()
        for name in NAMES:
            found._params[name].data = torch.from_numpy(w[name])
        return found
    if cell == 'cfc':
        found = CfCCell(FEATURES, HIDDEN, backbone_units=HIDDEN).double()
        found.backbone[0].weight.data = torch.from_numpy(w['backbone'])
        found.backbone[0].bias.data = torch.from_numpy(w['backbone_bias'])
        layers = [('', found)]
    else:
        found = WiredCfCCell(FEATURES, circuits.wiring(config, FEATURES)).double()
        layers = [(f'_{i}', layer) for i, layer in enumerate(found._layers)]
    for end, layer in layers:
        for name in ('ff1', 'ff2', 'time_a', 'time_b'):
            getattr(layer, name).weight.data = torch.from_numpy(w[name + end])
            getattr(layer, name).bias.data = torch.from_numpy(w[f'{name}_bias{end}'])
    return found


def flat(array):
    return torch.from_numpy(np.ascontiguousarray(array.reshape(-1, array.shape[-1])))


@pytest.mark.parametrize('cell', ['ltc', 'cfc', 'ncp', 'ncp_cfc'])
def test_our_step_is_the_library_s(cell):
    w, x, h, pace = problem(cell)
    ours, read = CELLS[cell].step(w, x, h, pace)
    library = theirs(cell, w)
    for i in range(len(x)):  # one dt a call: see below
        with torch.no_grad():
            out, after = library(flat(x[i]), flat(h[i]), float(pace[i, 0, 0]))
        np.testing.assert_allclose(ours[i], after.numpy(), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(read[i], out.numpy(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize('cell', ['ltc', 'cfc', 'ncp', 'ncp_cfc'])
def test_defect_a_dt_for_each_row_raises_or_is_silently_wrong(cell):
    """The library's sequence squeezes (batch, 1) to (batch,), which then stands for units."""
    w = weights(cell)
    names = {'ltc': (ncps.torch.LTC, HIDDEN), 'cfc': (ncps.torch.CfC, HIDDEN)}
    drawn = circuits.wiring(TrainConfig(cell='ncp', hidden=HIDDEN, seed=1), FEATURES)
    make, units = names.get(cell, (ncps.torch.LTC if cell == 'ncp' else ncps.torch.CfC, drawn))
    torch.manual_seed(0)
    library = make(FEATURES, units)
    x = torch.randn(HIDDEN, 2, FEATURES)
    spans = torch.linspace(0.1, 3.0, HIDDEN)[:, None].expand(HIDDEN, 2)
    with pytest.raises(RuntimeError):
        library(x[:5], timespans=spans[:5, :, None])
    if cell != 'ncp_cfc':  # its layers are never all as wide as the batch
        together = library(x, timespans=spans[:, :, None])[1]
        alone = torch.cat([library(x[i:i + 1], timespans=spans[i:i + 1, :, None])[1]
                           for i in range(HIDDEN)])
        assert (together - alone).abs().max() > 1e-3
    # ours
    rows = x[:, :1].double().numpy()
    pace = spans[:, :1, None].double().numpy()
    h = np.zeros((HIDDEN, 1, CELLS[cell].state(HIDDEN)))
    together = CELLS[cell].step(w, rows, h, pace)[0]
    for i in range(HIDDEN):
        one = slice(i, i + 1)
        np.testing.assert_allclose(CELLS[cell].step(w, rows[one], h[one], pace[one])[0],
                                   together[one], rtol=1e-12)


@pytest.mark.parametrize('cell', ['ltc', 'ncp'])
def test_defect_ltc_at_no_time_is_not_a_number(cell):
    w, x, h, pace = problem(cell)
    with torch.no_grad():
        nothing = theirs(cell, w)(flat(x), flat(h), torch.zeros(()))[1]
    assert nothing.isnan().all()
    np.testing.assert_allclose(CELLS[cell].step(w, x, h, 0.0 * pace)[0], h, rtol=1e-15)
    given = torch.zeros(5, 1, 1, dtype=torch.float64, requires_grad=True)
    out = CELLS[cell].step({n: torch.from_numpy(a) for n, a in w.items()},
                           torch.from_numpy(x), torch.from_numpy(h), given)[0]
    assert torch.autograd.grad(out.sum(), given)[0].isfinite().all()


def test_defect_assigned_weights_are_ignored():
    """LTCCell keeps its parameters in a dictionary beside the module's own."""
    one, two = (LTCCell(FullyConnected(4), 3) for _ in range(2))
    x, h = torch.randn(2, 3), torch.randn(2, 4)
    before = two(x, h)[1].detach()
    two.load_state_dict(one.state_dict(), assign=True)
    assert torch.equal(two(x, h)[1], before) and not torch.equal(one(x, h)[1], before)
    config = TrainConfig(cell='ltc', hidden=4)
    ours, other = LiquidModule(config), LiquidModule(config)
    assert not torch.equal(ours.weights()['w'], other.weights()['w'])
    other.load_state_dict(ours.state_dict(), assign=True)
    for name, value in ours.weights().items():
        assert torch.equal(value, other.weights()[name])


# -- wiring


@pytest.mark.parametrize('cell', ['ncp', 'ncp_cfc'])
def test_without_the_library_its_training_says_what_to_install(cell, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ncps.wirings', None)
    with pytest.raises(ParameterError, match=r'liquid_ros\[family\]'):
        LiquidModule(TrainConfig(cell=cell, hidden=HIDDEN))


@pytest.mark.parametrize('units', [4, 5, 9, 16, 33, 64])
def test_the_layers_are_those_of_the_library(units):
    drawn = circuits.wiring(TrainConfig(cell='ncp', hidden=units), FEATURES)
    counted = [len(drawn.get_neurons_of_layer(layer)) for layer in range(3)]
    assert tuple(counted) == wiring.layers(units) and drawn.output_dim == wiring.motors(units)
    assert drawn.get_neurons_of_layer(2) == list(range(wiring.motors(units)))


def trained(cell, iterations=6, **settings):
    """Return the weights before and after a few steps that are far too large."""
    config = TrainConfig(cell=cell, hidden=12, batch=8, shares=2, stretch=12, stretches=(1, 3),
                         iterations=iterations, compile=False, learning_rate=0.5, **settings)
    run = Trainer(config)
    before = {n: w.detach().numpy() for n, w in run.cell.weights().items()}
    for _ in range(iterations):
        run.advance()
    return before, {n: w.detach().numpy() for n, w in run.cell.weights().items()}, run


@pytest.mark.parametrize('cell', CELLS)
def test_a_run_can_begin_with_weights_that_another_ended_with(cell):
    """To rounding; where the wiring is drawn, of the same seed only."""
    given = weights(cell, seed=3)
    torch.manual_seed(4)
    begun = LiquidModule(TrainConfig(cell=cell, hidden=HIDDEN, seed=3))
    begun.begin_with(given)
    for name, value in begun.weights().items():
        np.testing.assert_allclose(value.detach().numpy(), given[name], rtol=2e-5, atol=1e-6)
    if CELLS[cell].library:
        with pytest.raises(CheckpointError, match='another wiring'):
            LiquidModule(TrainConfig(cell=cell, hidden=HIDDEN, seed=5)).begin_with(given)


@pytest.mark.parametrize('cell', ['ncp', 'ncp_cfc'])
def test_training_adds_no_synapse_and_counts_only_those_there_are(cell):
    before, after, run = trained(cell)
    names = ('w', 'sensory_w') if cell == 'ncp' else tuple(
        f'{name}_{layer}' for name in ('ff1', 'ff2') for layer in range(3))
    for name in names:
        assert (before[name] == 0.0).any() and np.abs(after[name] - before[name]).max() > 1e-3
        np.testing.assert_array_equal(before[name] == 0.0, after[name] == 0.0)
    drawn = circuits.wiring(run.config, FEATURES)
    if cell == 'ncp':
        there = (np.abs(drawn.adjacency_matrix).sum()
                 + np.abs(drawn.sensory_adjacency_matrix).sum())
        rest = sum(p.numel() for n, p in run.cell.named_parameters()
                   if n in ('weight_out', 'weight_slow', 'bias_out', 'bias_turn'))
        assert run.parameters() == 4 * there + 3 * 12 + rest
        np.testing.assert_array_equal(before['w'] != 0.0, drawn.adjacency_matrix != 0)
        np.testing.assert_array_equal(np.sign(before['erev']), drawn.adjacency_matrix)


def signs(weights_, kind):
    """Return for each source the set of signs of its synapses."""
    found = []
    for w, erev in zip(weights_[kind + 'w'], weights_[kind + 'erev']):
        found.append({float(s) for s in np.sign(erev[w != 0.0])})
    return found


def test_dale_s_principle_is_kept_through_training_and_broken_without_it():
    for dale in (True, False):
        before, after, _ = trained('ncp', iterations=10, dale=dale)
        for state in (before, after):  # of all sources: a few may have one sign by chance
            assert all(len(found) <= 1 for kind in ('', 'sensory_')
                       for found in signs(state, kind)) == dale
        for kind in ('', 'sensory_'):
            if dale:
                assert signs(after, kind) == signs(before, kind)
                assert (after[kind + 'sigma'][after[kind + 'w'] != 0.0] > 0.0).all()
        moved = np.abs(after['erev'] - before['erev']).max()
        assert moved > 0.1
    # the library leaves a sign to the optimiser
    cell = LTCCell(FullyConnected(4), 3)
    torch.optim.SGD(cell.parameters(), 1e4).zero_grad()
    cell(torch.rand(2, 3), torch.rand(2, 4))[1].sum().backward()
    torch.optim.SGD(cell.parameters(), 1e4).step()
    assert (torch.sign(cell._params['erev']) != torch.from_numpy(
        np.sign(cell._wiring.adjacency_matrix)).float()).any()


def test_a_source_has_the_sign_of_most_of_its_synapses():
    drawn = circuits.wiring(TrainConfig(cell='ncp', hidden=12), FEATURES)
    before, _, _ = trained('ncp', iterations=1, dale=True)
    for source, row in enumerate(drawn.adjacency_matrix):
        if np.any(row):
            assert signs(before, '')[source] == {1.0 if row.sum() >= 0 else -1.0}
