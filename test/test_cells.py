# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Every cell: the registry's properties with it inside, and the cell by itself."""

import json

from cells import HIDDEN, needs, problem, smoother, weights
import numpy as np
import pytest
import test_smoothers as properties

from liquid_ros import safetensors
from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import load, save
from liquid_ros.errors import CheckpointError, ParameterError
from liquid_ros.smoothers import cell as liquid_cell
from liquid_ros.smoothers.cell import ACTIVATIONS
from liquid_ros.smoothers.cells import CELLS, transformer
from liquid_ros.smoothers.liquid import LiquidConfig
from liquid_ros.smoothers.sight import FEATURES
from liquid_ros.training.config import TrainConfig

every = pytest.mark.parametrize('cell', CELLS)
ACTIVE = [cell for cell in CELLS if CELLS[cell].activations]


# -- the properties of every smoother of the registry


@pytest.mark.parametrize('held', [
    lambda: properties.test_shapes_and_signs('liquid', 7),
    lambda: properties.test_the_first_answer_is_the_first_message('liquid', 7),
    lambda: properties.test_a_stream_does_not_see_its_neighbours('liquid', 7),
    lambda: properties.test_an_offset_stays_an_offset('liquid', 7, properties.UTM_M),
    lambda: properties.test_another_unit_of_length_gives_the_same_motion('liquid', 1e4),
    lambda: properties.test_a_constant_is_a_fixed_point('liquid', 7, 0.0),
    lambda: properties.test_q_and_minus_q_are_the_same_orientation('liquid'),
    lambda: properties.test_a_fixed_turn_from_the_left_turns_the_answer('liquid'),
    lambda: properties.test_the_orientation_does_not_see_where_it_is('liquid'),
    lambda: properties.test_any_dt_gives_finite_answers('liquid', 7),
    lambda: properties.test_step_is_pure('liquid', 7),
    lambda: properties.test_what_comes_later_changes_nothing_before('liquid', 3, 37),
    lambda: properties.test_white_noise_around_a_resting_pose_becomes_less('liquid', 7),
    lambda: properties.test_a_straight_motion_is_followed('liquid'),
], ids=lambda held: held.__code__.co_names[1])
@every
def test_the_smoother_with_this_cell_has_the_registry_s_properties(cell, held, monkeypatch):
    needs(cell)
    monkeypatch.setattr(properties, 'make',
                        lambda name, scale=1.0, backend=None: smoother(cell, backend))
    held()


# -- the cell by itself


@every
def test_numpy_and_torch_take_the_same_step(cell):
    w, x, h, pace = problem(cell)
    import torch
    ours = CELLS[cell].step(w, x, h, pace)
    theirs = CELLS[cell].step({n: torch.from_numpy(a) for n, a in w.items()},
                              *map(torch.from_numpy, (x, h, pace)))
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-12, atol=1e-13)
    assert ours[0].shape == h.shape
    assert ours[1].shape == h.shape[:2] + (CELLS[cell].read(HIDDEN),)


@every
def test_torch_compile_takes_the_step_whole(cell):
    w, x, h, pace = problem(cell)
    import torch
    torch.compiler.reset()
    step = torch.compile(lambda *given: CELLS[cell].step(*given), fullgraph=True, dynamic=False,
                         backend='aot_eager')
    got = step({n: torch.from_numpy(a) for n, a in w.items()},
               *map(torch.from_numpy, (x, h, pace)))
    for a, b in zip(got, CELLS[cell].step(w, x, h, pace)):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-12, atol=1e-13)


@every
def test_dt_is_one_value_a_row_whatever_the_batch(cell):
    for batch in (HIDDEN, 1, 3):  # batch == units, too
        w, x, h, pace = problem(cell, batch)
        together = CELLS[cell].step(w, x, h, pace)
        for i in range(batch):
            row = slice(i, i + 1)
            for a, b in zip(CELLS[cell].step(w, x[row], h[row], pace[row]), together):
                np.testing.assert_allclose(a, b[row], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize('cell', ['liquid', 'liquid_euler', 'liquid_euler_held', 'liquid_input',
                                  'ltc', 'ncp'])
def test_no_time_is_no_step(cell):
    w, x, h, pace = problem(cell)
    np.testing.assert_allclose(CELLS[cell].step(w, x, h, 0.0 * pace)[0], h, rtol=1e-15)


@every
def test_a_long_gap_is_finite_and_all_but_euler_s_step_bounded(cell):
    w, x, h, pace = problem(cell)
    after = CELLS[cell].step(w, x, h, 0.0 * pace + 1e6)[1]
    assert np.isfinite(after).all()
    assert (np.abs(after).max() < 10.0) == (cell != 'liquid_euler')


@every
def test_effective_time_constants_are_above_zero(cell):
    kind = CELLS[cell]
    if kind.tau is None:
        assert cell in ('transformer', 'static')
        return
    w, x, h, _ = problem(cell)
    tau = kind.tau(w, x, h)
    shown = h.shape[-1] // 2 if cell == 'mixed' else h.shape[-1]
    assert tau.shape == h.shape[:2] + (shown,) and (tau > 0.0).all() and np.isfinite(tau).all()


@every
def test_the_shapes_are_those_of_the_weights_and_a_file_keeps_them(cell, tmp_path):
    w, config = weights(cell), LiquidConfig(cell=cell, hidden=HIDDEN)
    for name, shape in CELLS[cell].shapes(HIDDEN, FEATURES).items():
        assert w[name].shape == shape
    path = str(tmp_path / 'w.safetensors')
    save('liquid', path, config, w, {})
    loaded = load('liquid', path, NumpyBackend())
    assert loaded.config == config
    for name in CELLS[cell].shapes(HIDDEN, FEATURES):
        np.testing.assert_allclose(loaded.weights[name], w[name], rtol=1e-6)
    for name in CELLS[cell].positive:
        arrays, meta = safetensors.load(path)
        safetensors.save(path, {**arrays, name: -arrays[name]}, meta)
        with pytest.raises(CheckpointError, match=f'got {name} <= 0'):
            load('liquid', path, NumpyBackend())
        safetensors.save(path, arrays, meta)


# -- what each is


def test_liquid_euler_is_the_original_step_to_the_bit():
    w, x, h, dt = problem('liquid_euler')
    pull = np.tanh(x @ w['weight_in'].T + h @ w['weight_rec'].T)
    np.testing.assert_array_equal(CELLS['liquid_euler'].step(w, x, h, dt)[0],
                                  h + dt * (-w['alpha'] * h + pull))
    held = CELLS['liquid_euler_held'].step(w, x, h, dt)[0]
    small = 0.5 / w['alpha'].max() + 0.0 * dt
    assert np.abs(held - CELLS['liquid_euler'].step(w, x, h, dt)[0]).max() > 1e-3
    np.testing.assert_array_equal(CELLS['liquid_euler_held'].step(w, x, h, small)[0],
                                  CELLS['liquid_euler'].step(w, x, h, small)[0])


@pytest.mark.parametrize('activation', ACTIVATIONS)
@pytest.mark.parametrize('cell', ACTIVE)
def test_a_liquid_cell_takes_each_activation(cell, activation):
    w, x, h, pace = problem(cell)
    u = x @ w['weight_in'].T + h @ w['weight_rec'].T
    phi = {'tanh': np.tanh(u), 'sigmoid': 1.0 / (1.0 + np.exp(-u)), 'relu': np.maximum(u, 0.0)}
    np.testing.assert_allclose(liquid_cell.ACTIVATIONS[activation](u), phi[activation],
                               rtol=1e-12, atol=1e-15)
    one = np.zeros_like(w['alpha'])
    # a frozen drive and no memory: what one step of dt adds is dt p phi
    none = {**w, 'alpha': one + 1.0, 'weight_alpha': 0.0 * x[0, :1]}
    got = CELLS[cell].stepper(activation)(none, x, 0.0 * h, 0.0 * pace + 0.3)[0]
    begin = liquid_cell.ACTIVATIONS[activation](x @ w['weight_in'].T)
    share = 0.3 if 'euler' in cell else 1.0 - np.exp(-0.3)
    np.testing.assert_allclose(got, share * begin, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize('cell', [cell for cell in CELLS if cell not in ACTIVE])
def test_a_cell_without_a_choice_of_activation_says_so(cell, tmp_path):
    with pytest.raises(ParameterError, match='activation'):
        TrainConfig(cell=cell, activation='relu')
    path = str(tmp_path / 'w.safetensors')
    save('liquid', path, LiquidConfig(cell=cell, hidden=HIDDEN), weights(cell), {})
    arrays, meta = safetensors.load(path)
    config = {**json.loads(meta['config']), 'activation': 'relu'}
    safetensors.save(path, arrays, {**meta, 'config': json.dumps(config)})
    with pytest.raises(CheckpointError, match='activation'):
        load('liquid', path, NumpyBackend())


@pytest.mark.parametrize('wrong', [{'activation': 'gelu'}, {'cell': 'lstm'}, {'dale': True},
                                   {'cell': 'ncp', 'hidden': 3}, {'cell': 'ltc', 'dale': True},
                                   {'smoother': 'liquid_direct', 'activation': 'relu'},
                                   {'smoother': 'liquid_direct', 'cell': 'gru'}])
def test_a_wrong_cell_is_named(wrong):
    with pytest.raises(ParameterError, match=f'({"|".join(wrong)})'):
        TrainConfig(**wrong)


def test_gru_and_the_memory_of_mixed_are_torch_s():
    torch = pytest.importorskip('torch', reason='compares with torch')
    w, x, h, pace = problem('gru')
    theirs = torch.nn.GRUCell(FEATURES, HIDDEN, bias=False, dtype=torch.float64)
    theirs.weight_ih.data = torch.from_numpy(w['weight_in'])
    theirs.weight_hh.data = torch.from_numpy(w['weight_rec'])
    flat = [torch.from_numpy(a.reshape(-1, a.shape[-1])) for a in (x, h)]
    ours = CELLS['gru'].step(w, x, h, pace)[0].reshape(-1, HIDDEN)
    np.testing.assert_allclose(ours, theirs(*flat).detach().numpy(), rtol=1e-10, atol=1e-12)

    w, x, h, pace = problem('mixed')
    theirs = torch.nn.LSTMCell(FEATURES, HIDDEN, dtype=torch.float64)
    order = np.r_[HIDDEN:3 * HIDDEN, :HIDDEN, 3 * HIDDEN:4 * HIDDEN]  # torch: take forget new show
    theirs.weight_ih.data = torch.from_numpy(w['lstm_in'][order])
    theirs.weight_hh.data = torch.from_numpy(w['lstm_rec'][order])
    theirs.bias_hh.data = torch.zeros(4 * HIDDEN, dtype=torch.float64)
    theirs.bias_ih.data = torch.zeros(4 * HIDDEN, dtype=torch.float64)
    theirs.bias_ih.data[HIDDEN:2 * HIDDEN] = 1.0
    flat = [torch.from_numpy(np.ascontiguousarray(a.reshape(-1, a.shape[-1])))
            for a in (x, h[..., HIDDEN:], h[..., :HIDDEN])]
    start, memory = (a.detach().numpy().reshape(5, 3, HIDDEN)
                     for a in theirs(flat[0], (flat[1], flat[2])))
    for dt in (0.0, 1.0, 1e6):
        after = CELLS['mixed'].step(w, x, h, 0.0 * pace + dt)[0]
        np.testing.assert_allclose(after[..., :HIDDEN], memory, rtol=1e-10, atol=1e-12)
        if dt == 0.0:
            np.testing.assert_allclose(after[..., HIDDEN:], start, rtol=1e-10, atol=1e-12)
        # the rest is the liquid cell of state now / alpha
        whole = liquid_cell.exponential(x, start / w['alpha'], w['weight_in'],
                                        w['weight_rec'] * w['alpha'], w['alpha'], 0.0 * pace + dt)
        np.testing.assert_allclose(after[..., HIDDEN:], w['alpha'] * whole, rtol=1e-9, atol=1e-12)


def test_the_transformer_is_attention_over_its_window_and_nothing_before():
    torch = pytest.importorskip('torch', reason='compares with torch')
    w = weights('transformer')
    rng = np.random.default_rng(2)
    xs = rng.standard_normal((40, 2, 3, FEATURES))
    h = np.zeros((2, 3, CELLS['transformer'].state(HIDDEN)))
    seen = []
    for x in xs:
        h, read = CELLS['transformer'].step(w, x, h, np.ones((2, 1, 1)))
        seen.append(read)
    t = {name: torch.from_numpy(a) for name, a in w.items()}

    def norm(rows):
        return torch.nn.functional.rms_norm(rows, (HIDDEN,), eps=1e-6)
    for last in (0, 3, transformer.WINDOW - 1, 39):
        first = max(0, last - transformer.WINDOW + 1)
        tokens = torch.from_numpy(xs[first:last + 1]).movedim(0, 2) @ t['embed'].T
        out = tokens[:, :, -1]
        for head in range(transformer.HEADS):
            found = torch.nn.functional.scaled_dot_product_attention(
                norm(tokens[:, :, -1:]) @ t[f'query_{head}'].T,
                norm(tokens) @ t[f'key_{head}'].T, norm(tokens) @ t[f'value_{head}'].T,
                attn_mask=t[f'place_{head}'][None, -tokens.shape[2]:])
            out = out + found[:, :, 0]
        out = out + torch.relu(norm(out) @ t['mlp_in'].T) @ t['mlp_out'].T
        np.testing.assert_allclose(seen[last], norm(out).numpy(), rtol=1e-9, atol=1e-11)
