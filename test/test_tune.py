# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Weights fitted to recordings: what is learned, what is held out, what goes on, what is kept."""

from dataclasses import replace
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from sensors import sensor

from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import build, load, SHIPPED
from liquid_ros.errors import CheckpointError, InputError, ParameterError
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.training.loader import Loaded, Loader
from liquid_ros.training.tracks import cost, divide, follow, missed, Parts, prepare, Track

torch = pytest.importorskip('torch', reason='training needs torch')

from liquid_ros.training.foresight import advance, foreseen, off  # noqa: E402
from liquid_ros.training.held_out import compare, judge, Judged, suite  # noqa: E402
from liquid_ros.training.recorded import Recorded, Stretch  # noqa: E402
from liquid_ros.training.tune import Look, Tuner  # noqa: E402
from liquid_ros.training.tune_config import TuneConfig  # noqa: E402

SMALL = TuneConfig(iterations=6, rows=4, batch=4, shares=2, stretch=12, stretches=(1, 3), every=3,
                   calm=5)


def plain(bias=0.0):
    """Return the package's smoother without its compiled step, with another bias."""
    found = load('liquid', SHIPPED, NumpyBackend())
    return Liquid(found.config, {**found.weights, 'bias_out': found.weights['bias_out'] + bias})


def weights():
    return {n: np.asarray(w, np.float32) for n, w in plain().weights.items()}


def track(count=300, seed=0, width=7, truth=False, **more):
    stamps_ns, rows, true = sensor(count, seed, **more)
    return Track('x', stamps_ns, rows[:, :width], true[:, :width] if truth else None)


def loader(config, *tracks):
    items = [prepare([[one]], build(), config.horizons, config.held_out, config.stretch)
             for one in tracks]
    return Loader(items, Loaded)


def test_parts_are_by_time_over_a_stream_s_runs():
    assert divide([100], 0.4) == [Parts(60, 80)]
    assert divide([50, 30, 20], 0.4) == [Parts(50, 50), Parts(10, 30), Parts(0, 0)]


@pytest.mark.parametrize('width', [3, 7])
def test_the_compiled_step_the_plain_one_and_torch_cost_the_same(width):
    """What torch learns from is what NumPy judges by."""
    config = replace(SMALL, stretch=40, calm=0, stretches=(1,), rows=3)
    source = loader(config, track(width=width))
    item, = source.get(0)
    whole = item.track
    ways = [follow(smoother, whole) for smoother in (build(), plain())]
    np.testing.assert_allclose(ways[0].rows, ways[1].rows, atol=1e-9)
    each = cost(missed(plain(), whole, ways[1], config.horizons), item.scale)
    stretch = Recorded(config, source).next()
    smoother = Liquid(plain().config, {n: torch.from_numpy(np.asarray(w)).float()
                                       for n, w in plain().weights.items()})
    _, needed, rows = advance(
        smoother, lambda w, *given: smoother.step(*given), {}, stretch)
    got = foreseen(smoother, needed, stretch, config.horizons)
    for row in range(3):
        first = int(np.flatnonzero((np.abs(
            whole.rows[:, :3] - stretch.measured[row, 0, :3].numpy()) < 1e-12).all(1))[0])
        last = first + int(stretch.valid[row].sum()) - 1
        np.testing.assert_allclose(
            torch.stack(rows, 1)[row, :last - first].numpy(), ways[1].rows[first + 1:last + 1],
            atol=2e-4)
        # of a stretch only what lies in it is predicted: the first ones from fewer distances
        inner = np.mean(each[first + 1 + max(config.horizons):last + 1])
        assert abs(float(got[row]) - inner) < 0.35 * inner
    assert np.isfinite(each[1:]).all() and np.isnan(each[0])


def test_a_gross_outlier_costs_about_the_same_whoever_expected_what():
    calm = np.full((1, 1, 1), 1e6)
    scale = np.ones((1, 1))
    assert cost(4.0 * calm, scale) - cost(calm, scale) < 3.5 * np.log(4.01)
    assert np.isnan(cost(np.full((1, 1, 1), np.nan), scale))


def test_a_group_that_never_moves_is_left_out_and_grains_bound_the_scale():
    still, = loader(SMALL, track(turns=False)).get(0)
    assert (still.scale[1] == 0.0).all() and (still.scale[0] > 0.0).all()
    one = track()
    coarse = one._replace(rows=np.concatenate([np.round(one.rows[:, :3] / 0.1) * 0.1,
                                               one.rows[:, 3:]], 1))
    item, = loader(SMALL, coarse).get(0)
    assert (item.scale[0] >= 0.1**2 / 4.0 * 0.999).all()


@pytest.mark.parametrize('change, words', [
    (lambda one: one._replace(stamps_ns=one.stamps_ns[:30], rows=one.rows[:30]),
     'got 30 messages in 1 stretch without'),
    (lambda one: one._replace(stamps_ns=one.stamps_ns[:3], rows=one.rows[:3]),
     'got 3 messages'),
    (lambda one: one._replace(rows=np.ones_like(one.rows)), 'are the same')])
def test_what_cannot_be_learned_from_is_told(change, words):
    with pytest.raises(InputError, match=words):
        prepare([[change(track())]], build(), (1,), 0.4, 12)


def test_rows_of_two_processes_are_those_of_one_with_twice_as_many():
    config = replace(SMALL, rows=2)
    source = loader(config, track(seed=1), track(seed=2), track(seed=3))
    one = Recorded(replace(config, rows=4), source)
    two = [Recorded(config, source, rank, 2) for rank in range(2)]
    for _ in range(8):
        whole, parts = one.next(), [half.next() for half in two]
        for name in ('times_s', 'measured', 'valid', 'fresh', 'scale', 'learned'):
            torch.testing.assert_close(
                torch.cat([getattr(part, name) for part in parts]), getattr(whole, name),
                rtol=0.0, atol=0.0)


def test_stretches_follow_one_another_and_begin_where_the_state_is_known():
    config = replace(SMALL, rows=1, stretches=(3,))
    source = loader(config, track())
    item, = source.get(0)
    recorded, before = Recorded(config, source), None
    for _ in range(12):
        stretch = recorded.next()
        first = stretch.measured[0, 0].numpy()
        if before is not None and not bool(stretch.fresh[0]):
            np.testing.assert_array_equal(first, before)
        before = stretch.measured[0, int(stretch.valid[0].sum()) - 1].numpy()
        np.testing.assert_allclose(stretch.begun['measured'][0].numpy(), first)
    ends = np.flatnonzero((np.abs(item.track.rows[:, :3] - before[:3]) < 1e-12).all(1))
    assert ends[0] < item.parts.fit


def test_a_run_that_stops_goes_on_as_if_it_had_not(tmp_path):
    def tuner():
        source = loader(SMALL, track(seed=1), track(seed=2))
        return Tuner(SMALL, weights(), source, source.some(2))

    whole, part = tuner(), tuner()
    for k in range(6):
        whole.advance()
        if k % 3 == 2:
            whole.look()
    for _ in range(4):
        part.advance()
        if part.iteration == 3:
            part.look()
    part.save(str(tmp_path / 'x.pt'))
    rest = tuner()
    rest.load(str(tmp_path / 'x.pt'))
    for _ in range(2):
        rest.advance()
    rest.look()
    for name, array in whole.weights().items():
        np.testing.assert_array_equal(rest.weights()[name], array)
        np.testing.assert_array_equal(rest.best[name], whole.best[name])
    assert rest.curve == whole.curve and rest.looks == whole.looks
    assert [one['loss'] for one in whole.curve] != [whole.curve[0]['loss']] * 6
    source = loader(SMALL, track(seed=1))
    with pytest.raises(CheckpointError, match='other settings'):
        Tuner(replace(SMALL, seed=2), weights(), source, source.some(1)).load(
            str(tmp_path / 'x.pt'))


def test_weights_that_were_looked_at_stay_what_they_were():
    source = loader(SMALL, track())
    tuner = Tuner(SMALL, weights(), source, source.some(1))
    tuner.advance()
    kept = tuner.weights()
    before = {name: array.copy() for name, array in kept.items()}
    tuner.advance()
    for name, array in before.items():
        np.testing.assert_array_equal(kept[name], array)
    assert (tuner.weights()['bias_out'] != before['bias_out']).any()


def test_what_is_found_are_the_best_weights_and_else_those_of_the_end():
    source = loader(SMALL, track())
    tuner = Tuner(SMALL, weights(), source, source.some(1))
    tuner.advance()
    tuner.looks.append(Look(1, 0.0, -0.1))
    assert not tuner.gained and (tuner.found()['bias_out'] != weights()['bias_out']).any()
    tuner.looks.append(Look(1, 0.0, 0.1))
    assert tuner.gained and tuner.found() is tuner.best


@pytest.mark.parametrize('trainable, changed', [
    ('bias', {'bias_out'}), ('slow', {'bias_out', 'weight_slow'}),
    ('all', {'bias_out', 'bias_turn', 'weight_slow', 'weight_out', 'weight_in', 'weight_rec',
             'alpha'})])
def test_only_what_is_to_be_fitted_changes(trainable, changed):
    source = loader(SMALL, track())
    tuner = Tuner(replace(SMALL, trainable=trainable), weights(), source, source.some(1))
    for _ in range(2):
        tuner.advance()
    now = tuner.weights()
    assert {n for n, w in weights().items() if (now[n] != w).any()} == changed


def test_what_fits_no_better_is_refused_and_what_is_worse_too():
    config = replace(SMALL, stretch=24)
    held = loader(config, track(count=600, truth=True, width=3, memory=0.0)).get(0)
    same = compare(build(), build(), held, config.horizons, 0.05)
    assert same.gain == 0.0 and same.simulated == 1.0
    assert same.reasons == ['the held-out messages are not expected better than by chance']
    shift = np.zeros(10)
    shift[0] = -6.0
    worse = compare(build(), plain(shift), held, config.horizons, 0.05)
    assert len(worse.reasons) == 3 and worse.gain < 0.0 and worse.rmse[0] > 1.0
    assert 'on simulated streams the error is' in worse.reasons[2]
    assert '% larger' in worse.words()[0] and 'larger' in worse.words()[1]
    back = compare(plain(shift), build(), held, config.horizons, 0.05)
    assert not back.reasons and back.gain == pytest.approx(-worse.gain, rel=1e-6)


def test_what_is_judged_by_comes_after_what_is_learned_from():
    one = track(count=500, truth=True)
    item, = prepare([[one]], build(), (1, 2), 0.4, 12)
    late = one._replace(rows=one.rows.copy())
    late.rows[400:] = late.rows[400:] + 5.0
    moved = item._replace(track=late)
    for part, same in (('stop', True), ('judge', False)):
        a, b = (judge(build(), [it], (1, 2), part) for it in (item, moved))
        assert (a.cost == b.cost) == same and len(a.costs) == 100


def test_where_nothing_is_held_out_nothing_is_gained():
    nothing = Judged(np.zeros(0), np.zeros((0, 2)))
    assert nothing.gain_over(nothing) == (0.0, np.inf)


def test_the_suite_tells_better_from_worse():
    shift = np.zeros(10)
    shift[0] = 3.0
    assert np.mean(suite(plain(shift), 48)) > np.mean(suite(build(), 48)) + 0.02


def test_many_recordings_are_not_all_in_memory_and_a_bad_one_is_told():
    items = [prepare([[track(seed=seed)]], build(), (1,), 0.4, 24) for seed in range(4)]

    def read(i):
        if i == 2:
            raise InputError('two: is broken')
        return Loaded(items[i], f'hash {i}')
    source = Loader(range(4), read, keep=700)
    assert [len(source.get(i)) for i in range(4)] == [1, 1, 0, 1]
    assert len(source._kept) <= 3 and source.problems == {2: ['two: is broken']}
    assert len(source.some(4)) == 3
    with pytest.raises(InputError, match='none of the recordings'):
        Loader([2, 2], read).some(2)
    with pytest.raises(InputError, match='is broken'):
        Loader([2], read).get(0)


def dies_elsewhere(i):
    if multiprocessing.parent_process():
        os._exit(9)
    return Loaded([], f'hash {i}')


def test_where_a_reader_is_killed_one_reads_alone():
    source = Loader(range(4), dies_elsewhere, workers=1)
    for i in range(4):
        source.want([i])
        source.get(i)
    assert source.digests == {i: f'hash {i}' for i in range(4)} and not source.problems


def test_a_recording_that_cannot_be_used_is_left_out_whatever_the_seed():
    """One of six: a row's first seven turns miss it more often than not."""
    good = prepare([[track()]], build(), SMALL.horizons, SMALL.held_out, SMALL.stretch)

    def read(i):
        if i != 3:
            raise InputError(f'{i}: is broken')
        return Loaded(good)
    for seed in range(4):
        config = replace(SMALL, seed=seed)
        recorded = Recorded(config, Loader(range(6), read))
        parts = [Recorded(replace(config, rows=2), Loader(range(6), read), rank, 2)
                 for rank in range(2)]
        for _ in range(8):
            np.testing.assert_array_equal(recorded.next().measured, torch.cat(
                [part.next().measured for part in parts]))
        again = Recorded(config, Loader(range(6), read))
        again.restore(recorded.state())
        np.testing.assert_array_equal(recorded.next().measured, again.next().measured)
    assert len(Loader(range(6), read).some(2)) == 1
    with pytest.raises(InputError, match='none of the recordings can be used: 0: is broken; 1: '):
        Recorded(SMALL, Loader(range(3), read)).next()


def test_the_settings_file_holds_the_defaults():
    yaml = pytest.importorskip('yaml', reason='PyYAML')
    text = (Path(__file__).parents[1] / 'config' / 'tune.yaml').read_text()
    assert TuneConfig.from_dict(yaml.safe_load(text)) == TuneConfig()
    with pytest.raises(ParameterError, match='trainable'):
        TuneConfig.from_dict({'trainable': 'most'})


def test_an_axis_that_the_truth_lacks_has_no_error():
    """As altitudes of fixes: what there is of it is learned from and judged all the same."""
    one = track(count=500, truth=True)
    lacking = one._replace(truth=np.where(np.arange(7) == 2, np.nan, one.truth))
    item, = loader(SMALL, lacking).get(0)
    got = judge(build(), [item], SMALL.horizons, 'judge').square
    way = follow(build(), one).rows[item.parts.stop:]
    apart = (way - one.truth[item.parts.stop:])[:, :2]
    np.testing.assert_allclose(got[:, 0], (apart**2).sum(1)[-len(got):], rtol=1e-9)
    assert np.isfinite(got[:, 1]).all()

    def errors(truth):
        """Return the loss of two rows by such a truth, and its gradient by their positions."""
        rows = [torch.tensor(way[k:k + 2], requires_grad=True) for k in range(5)]
        at = np.stack([one.truth[item.parts.stop + k:][:2] for k in range(-1, 5)], 1) * truth
        loss = off(rows, Stretch(
            torch.zeros(2, 6), torch.zeros(2, 6, 7), torch.from_numpy(at), None,
            torch.ones(2, 6, dtype=torch.bool), torch.zeros(2, dtype=torch.bool), {},
            torch.ones(2, 2, 1), torch.ones(2, 5, dtype=torch.bool))).sum()
        loss.backward()
        return loss.item(), torch.stack([row.grad for row in rows])

    whole, part = errors(np.ones(7)), errors(np.array([1, 1, np.nan, 1, 1, 1, 1]))
    none = errors(np.array([np.nan] * 3 + [1] * 4))
    assert none[0] != part[0] != whole[0]
    assert (part[1][..., 2] == 0.0).all() and (part[1][..., :2] != 0.0).all()


def test_how_sure_a_gain_is_goes_by_the_messages_with_truth():
    """However few of all these are, and where in the part they lie."""
    rng = np.random.default_rng(0)
    costs = np.zeros(300)
    for count, sure in ((60, True), (5, False)):
        few = rng.uniform(1.0, 2.0, (2, count, 2))
        whole = np.full((2, 300, 2), np.nan)
        whole[:, 40:40 + count] = few
        alone = Judged(np.zeros(count), few[1]).gain_over(Judged(np.zeros(count), few[0]))
        among = Judged(costs, whole[1]).gain_over(Judged(costs, whole[0]))
        assert among == pytest.approx(alone) and np.isfinite(among[1]) == sure
