# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A window smoothed with hindsight, against dense matrices and against what it must leave."""

from banks import bank, messages
import numpy as np
from problems import make, quats, recording, UTM_M, white_acceleration
import pytest

from liquid_ros.arrays import tangent_size
from liquid_ros.errors import InputError, ParameterError
from liquid_ros.manifold import minus, plus, quat_exp, quat_multiply
from liquid_ros.smoothers import motion, SMOOTHERS
from liquid_ros.smoothers.base import Known
from liquid_ros.smoothers.kalman import Kalman
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.smoothers.rts import has_hindsight, inverse, Window
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S

able = pytest.mark.parametrize('name', ['liquid', 'kalman', 'kalman_gated'])


def filtered(smoother, stamps, rows, length=10**6, tuning=None):
    """Return the filter's estimates (T, ...) and the window after them."""
    a_bank, window, out = StreamBank(smoother, rows.shape[1]), Window(smoother, length), []
    if tuning is not None:
        a_bank.tune(tuning)
    for stamp, row in zip(stamps, rows):
        out.append(a_bank.update(('a',), (stamp,), row[None]).estimate)
        window.add(stamp, a_bank.peek('a'))
    return type(out[0])(*(np.concatenate(part) for part in zip(*out))), window


def draw(seed, count, width, sigma=0.02):
    """Return stamps and rows (N, width) of one recording."""
    _, stamps, rows = messages(seed, count, width)
    return stamps, rows


def test_the_whole_regression_at_once():
    # the posterior of all positions given all messages, with no recursion in it
    rng = np.random.default_rng(0)
    smoother = Kalman(sigma_m=0.05, accel_density=0.8, speed_sigma_m_s=1.5)
    dt_s = rng.uniform(0.01, 0.3, 60)
    stamps = np.round(np.cumsum(dt_s) * NS_PER_S).astype(np.int64)
    times = (stamps - stamps[0]) / NS_PER_S
    _, _, rows = white_acceleration(rng, 60, 1, np.diff(times, prepend=times[0]), 0.05, 0.8, 1.5)
    rows = rows[:, 0]
    _, window = filtered(smoother, stamps.tolist(), rows)
    got = window.smooth()
    # p = p_0 + v t + integrated noise, p_0 known from its message alone:
    # cov(p_i, p_j) = R + s_v^2 t_i t_j + q (a^2 b / 2 - a^3 / 6), a = min, b = max of t_i, t_j
    low, high = np.minimum.outer(times, times), np.maximum.outer(times, times)
    prior = 0.05**2 + 1.5**2 * np.outer(times, times) + 0.8**2 * (
        low**2 * high / 2.0 - low**3 / 6.0)
    gain = prior[:, 1:] @ np.linalg.inv(prior[1:, 1:] + 0.05**2 * np.eye(59))
    want = rows[0] + gain @ (rows[1:] - rows[0])
    variance = 0.05**2 * np.diag(gain[1:])  # K (K + R)^-1 R
    np.testing.assert_allclose(got.rows, want, atol=1e-9)
    np.testing.assert_allclose(got.variance[1:], variance[:, None] * np.ones(3), rtol=1e-9)


def textbook(steps):
    """
    Return means (T, n) and covariances of the recursion, by explicit inverses.

    steps: T of x, P, and F, x^-, P^- of the prediction for the next one.
    """
    x, p = steps[-1][:2]
    out = [(x, p)]
    for mean, cov, f, predicted, wide in steps[-2::-1]:
        c = cov @ f.T @ np.linalg.inv(wide)
        x, p = mean + c @ (x - predicted), cov + c @ (p - wide) @ c.T
        out.append((x, p))
    return [np.array(part) for part in zip(*out[::-1])]


def upper(p):
    """Return the matrix of P11 P12 P13 P22 P23 P33."""
    return np.array([[p[0], p[1], p[2]], [p[1], p[3], p[4]], [p[2], p[4], p[5]]])


def liquid_steps(states, dts, axis):
    """Return what textbook() takes for one axis of points, from the states of the smoother."""
    steps = []
    for k, state in enumerate(states):
        p = tuple(state['output_covariance'][0, axis])
        x = np.r_[state['output_rows'][0, axis], state['output_motion'][0, axis]]
        if k + 1 == len(states):
            return steps + [(x, upper(p))]
        words = state['process'][0, axis, :4]
        if k == 0:  # the guess at the scale of the second message
            later = states[1]
            fast, slow = later['size'][0, axis, :2]
            size = max(slow, 0.1 * fast)
            s, dt = size**2, dts[0]
            words = 0.01 * s / dt**3, 1e-6 * s / dt**5, 1e-3 / dt, 0.05 / dt
            p = s, 0.0, 0.0, 4.0 * s / dt**2, 0.0, 0.01 * s / dt**4
        dt = np.array([dts[k]])
        process = motion.unbraked(motion.Process(*(np.array([w]) for w in words)), x[1:2],
                                  state['clock'][0, 1:])
        t = motion.transition(process, dt)
        f = np.array([[1.0, t.pv[0], t.pa[0]], [0.0, t.vv[0], t.va[0]], [0.0, 0.0, t.aa[0]]])
        wide = upper([e[0] for e in motion.propagate(tuple(np.array([e]) for e in p), t, process,
                                                     dt)])
        wide *= 1.0 + states[k + 1]['process'][0, axis, 6]
        steps.append((x, upper(p), f, f @ x, wide))


@pytest.mark.parametrize('tuning', [None, Tuning(0.5), Tuning(-0.5, 0.01)])
def test_the_textbook_s_recursion_on_the_same_matrices(tuning):
    stamps, rows = draw(1, 120, 3)
    rows[60] += 5.0
    smoother = make('liquid')
    estimate, window = filtered(smoother, stamps, rows, tuning=tuning)
    states = [state for _, state in window._kept]
    dts = np.diff(stamps) / NS_PER_S
    got = window.smooth()
    assert got.stamps_ns == stamps
    for axis in range(3):
        mean, covariance = textbook(liquid_steps(states, dts, axis))
        np.testing.assert_allclose(got.rows[:, axis], mean[:, 0], rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(got.twist[:, axis], mean[:, 1], rtol=0.0, atol=1e-7)
        lasting = [state['process'][0, axis, 5] for state in states]
        variance = covariance[:, 0, 0] * lasting
        variance[-1] += states[-1]['output_besides'][0, axis]
        np.testing.assert_allclose(got.variance[:, axis], variance, rtol=1e-6)


@able
def test_a_rotation_about_one_axis_is_flat(name):
    # the same numbers as angles about z and as metres along z
    stamps, rows = draw(2, 100, 3)
    angles = np.zeros_like(rows)
    angles[:, 2] = rows[:, 2]
    start = quats(np.random.default_rng(0))
    poses = np.concatenate([angles, quat_multiply(np.broadcast_to(start, (100, 4)),
                                                  quat_exp(angles))], 1)
    alike = {'sigma_rad': 0.02, 'sigma_m': 0.02, 'accel_density': 1.0, 'accel_density_rad': 1.0}
    smoother = SMOOTHERS[name](**alike) if name != 'liquid' else make(name)
    if name == 'liquid':  # without what is of rotations alone
        weights = {**smoother.weights, 'turning': np.zeros((6, 1))}
        smoother = Liquid(smoother.config, weights)
    got = filtered(smoother, stamps, poses)[1].smooth()
    turned = minus(got.rows, np.r_[np.zeros(3), start][None])
    np.testing.assert_allclose(turned[:, 3:], got.rows[:, :3], atol=1e-9)
    np.testing.assert_allclose(got.twist[:, 3:], got.twist[:, :3], atol=1e-7)
    np.testing.assert_allclose(got.variance[:, 3:], got.variance[:, :3], rtol=1e-6)


@able
def test_poses_by_the_recursion_in_the_tangent_space(name):
    stamps, rows = draw(3, 80, 7)
    smoother = make(name)
    estimate, window = filtered(smoother, stamps, rows)
    got = window.smooth()
    states = [state for _, state in window._kept]
    row, rate = got.rows[-1], smoother.known(states[-1]).motion[0]
    np.testing.assert_array_equal(row, estimate.rows[-1])
    for k in range(78, -1, -1):
        dt_s = np.array([[(stamps[k + 1] - stamps[k]) / NS_PER_S]])
        link = smoother.link(states[k], states[k + 1], dt_s)
        late = np.concatenate([minus(row, link.rows[0])[:, None], rate - link.motion[0]], 1)
        step = np.array([link.start[0, a] @ link.transition[0, a].T
                         @ np.linalg.inv(link.covariance[0, a]) @ late[a] for a in range(6)])
        known = smoother.known(states[k])
        row, rate = plus(known.rows[0], step[:, 0]), known.motion[0] + step[:, 1:]
        np.testing.assert_allclose(minus(got.rows[k], row), 0.0, atol=1e-9)
        np.testing.assert_allclose(got.twist[k], rate[:, 0], atol=1e-7)


@pytest.mark.parametrize('name', ['liquid', 'kalman'])
@pytest.mark.parametrize('width', [3, 7], ids=['point', 'pose'])
def test_hindsight_is_nearer_to_the_truth_and_surer(name, width):
    rng = np.random.default_rng(5)
    rows, dt_s = recording(rng, 400, 1, width, sigma=1e-9)
    truth = rows[:, 0]
    stamps = np.round(np.cumsum(dt_s[:, 0, 0]) * NS_PER_S).astype(np.int64).tolist()
    noisy = plus(truth, 0.02 * rng.normal(size=(400, tangent_size(width))))
    estimate, window = filtered(make(name), stamps, noisy)
    got = window.smooth()
    late, now = minus(got.rows, truth)[20:-1], minus(estimate.rows, truth)[20:-1]
    assert (late**2).mean() < 0.5 * (now**2).mean()
    assert (np.diff(late, 2, axis=0)**2).mean() < 0.2 * (np.diff(now, 2, axis=0)**2).mean()
    assert (got.variance > 0.0).all() and (got.variance[1:-1] < estimate.variance[1:-1]).all()
    np.testing.assert_array_equal(got.rows[-1], estimate.rows[-1])
    np.testing.assert_allclose(got.variance[-1], estimate.variance[-1], rtol=1e-12)
    np.testing.assert_array_equal(got.twist[-1], estimate.twist[-1])


@pytest.mark.parametrize('name', ['liquid', 'kalman_gated'])
def test_where_the_stream_was_found_anew_what_was_before_stays(name):
    rng = np.random.default_rng(6)
    stamps = (np.arange(200) * 20_000_000).tolist()
    rows = 0.01 * rng.normal(size=(200, 3))
    rows[100:] += 3.0
    estimate, window = filtered(make(name), stamps, rows)
    got = window.smooth()
    back = int(np.argmax(estimate.rows[:, 0] > 1.5))
    assert 100 <= back < 107
    assert np.abs(got.rows[:back]).max() < 0.05 and np.abs(got.rows[back:] - 3.0).max() < 0.05


@able
def test_a_window_is_bounded_and_its_end_is_that_of_a_longer_one(name):
    stamps, rows = draw(7, 90, 7)
    whole = filtered(make(name), stamps, rows)[1].smooth()
    window = filtered(make(name), stamps, rows, length=40)[1]
    assert len(window) == 40
    got = window.smooth()
    assert got.stamps_ns == stamps[-40:]
    np.testing.assert_array_equal(got.rows, whole.rows[-40:])
    np.testing.assert_array_equal(got.variance, whole.variance[-40:])


def test_a_variance_in_hindsight_that_is_below_zero_by_rounding_is_none():
    known = Known(*[np.zeros((2, 3))] * 3, lasting=np.ones((2, 3)), besides=np.ones((2, 3)),
                  grain=np.zeros((2, 3)), unknown=np.ones((2, 3)))
    assert known.stated(np.full((2, 3), -1e-20), -1).tolist() == [[0.0] * 3, [1.0] * 3]


def test_what_the_sensor_does_not_resolve_is_not_known_in_hindsight_either():
    stamps, rows = draw(12, 200, 3)
    coarse = 0.05 * np.round(0.2 * rows / 0.05)
    still = np.concatenate([np.repeat(coarse[:1], 60, 0), coarse[60:]])
    for given in (coarse, still):
        got = filtered(make('liquid'), stamps, given)[1].smooth()
        assert got.variance.min() >= 0.05**2 / 12.0 * (1.0 - 1e-9)
    got = filtered(make('liquid'), stamps, np.repeat(coarse[:1], 200, 0))[1].smooth()
    assert (got.variance == 1.0).all()


@able
def test_an_offset_stays_an_offset(name):
    stamps, rows = draw(8, 60, 7)
    far = np.r_[UTM_M, np.zeros(4)]
    got, want = (filtered(make(name), stamps, r)[1].smooth() for r in (rows + far, rows))
    np.testing.assert_allclose(got.rows - far, want.rows, atol=1e-6)


@able
@pytest.mark.parametrize('count', [1, 2, 3])
def test_short_windows(name, count):
    stamps, rows = draw(9, count, 7)
    estimate, window = filtered(make(name), stamps, rows)
    got = window.smooth()
    assert got.rows.shape == (count, 7) and got.variance.shape == (count, 6)
    assert all(np.isfinite(part).all() for part in got[1:]) and (got.variance > 0.0).all()
    np.testing.assert_array_equal(got.rows[-1], estimate.rows[-1])


def _one_state(name):
    a_bank = bank(name)
    a_bank.update(*messages(10, 3))
    return a_bank.peek('k0')


@able
@pytest.mark.parametrize('kind', ['rest', 'ground truth', 'gaps', 'jitter'])
def test_hard_streams_stay_finite(name, kind):
    rng = np.random.default_rng(11)
    dt_ns = np.full(150, 20_000_000)
    t = np.cumsum(dt_ns) / NS_PER_S
    rows = {'rest': np.tile(UTM_M, (150, 1)),
            'ground truth': np.stack([np.cos(t), np.sin(t), 0.0 * t], 1),
            }.get(kind, 0.01 * rng.normal(size=(150, 3)))
    if kind == 'gaps':
        dt_ns[::20] = 4 * NS_PER_S
    if kind == 'jitter':
        dt_ns = np.round(10.0 ** rng.uniform(0.0, 9.0, 150)).astype(np.int64)
    estimate, window = filtered(make(name), np.cumsum(dt_ns).tolist(), rows)
    got = window.smooth()
    assert all(np.isfinite(part).all() for part in got[1:])
    assert (got.variance >= 0.0).all()
    # never further from the messages than they spread
    spread = np.ptp(rows, axis=0).max() + 1e-6
    assert np.abs(got.rows - rows).max() < 3.0 * spread


@pytest.mark.parametrize('matrix, want', [
    ([[np.nan, 0.0], [0.0, 1.0]], 0.0), ([[np.inf, 0.0], [0.0, 1.0]], 0.0),
    ([[1.0, np.nan], [np.nan, 1.0]], 0.0), ([[-1.0, 0.0], [0.0, 1.0]], 0.0),
    ([[0.0, 0.0], [0.0, 0.0]], 0.0), ([[0.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.25]]),
    ([[1.0, 1e300], [1e300, 1.0]], 0.25), ([[1.0, 1.0], [1.0, 1.0]], 0.25)])
def test_what_has_no_inverse(matrix, want):
    both = np.stack([np.diag([2.0, 0.5]), np.array(matrix)])
    got = inverse(both)
    np.testing.assert_allclose(got[0], np.diag([0.5, 2.0]))
    np.testing.assert_allclose(got[1], np.zeros((2, 2)) + want, atol=1e-12)


class Broken(Kalman):
    """A filter one of whose predictions is no number."""

    def link(self, before, after, dt_s):
        """Spoil the prediction for message 31."""
        good = super().link(before, after, dt_s)
        spoilt = getattr(good, self.part).copy()
        spoilt[30:31] = self.value
        return good._replace(**{self.part: spoilt})


@pytest.mark.parametrize('part', ['rows', 'motion', 'covariance', 'start', 'transition'])
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_nothing_goes_back_over_a_prediction_that_is_no_number(part, value, monkeypatch):
    monkeypatch.setattr(Broken, 'part', part, raising=False)
    monkeypatch.setattr(Broken, 'value', value, raising=False)
    stamps, rows = draw(13, 60, 7)
    whole = filtered(Kalman(), stamps, rows)[1].smooth()
    until = filtered(Kalman(), stamps[:31], rows[:31])[1].smooth()
    got = filtered(Broken(), stamps, rows)[1].smooth()
    for mine, late, early in zip(got[1:4], whole[1:4], until[1:4]):
        np.testing.assert_array_equal(mine[31:], late[31:])
        np.testing.assert_allclose(mine[:31], early, rtol=1e-9, atol=1e-12)


@able
@pytest.mark.parametrize('every', [2, 3, 7])
def test_a_window_of_some_of_the_messages(name, every):
    rng = np.random.default_rng(14)
    rows = np.r_[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0] + np.zeros((61, 7))
    rows[:, 0] = 0.1 * np.arange(61) + 0.01 * rng.normal(size=61)
    stamps = (np.arange(61) * 70_000_000).tolist()
    estimate, window = filtered(make(name), stamps, rows)
    some = Window(make(name), 100)
    for stamp, state in list(window._kept)[::every]:
        some.add(stamp, state)
    got, whole = some.smooth(), window.smooth()
    assert all(np.isfinite(part).all() for part in got[1:]) and (got.variance > 0.0).all()
    np.testing.assert_allclose(got.rows[:, 0], whole.rows[::every, 0], atol=0.03)


def test_what_a_window_cannot_do_is_one_sentence():
    assert [has_hindsight(make(name)) for name in ('liquid', 'kalman', 'ema', 'one_euro')] == [
        True, True, False, False]
    with pytest.raises(ParameterError, match='got Ema, .* expected liquid, kalman or kalman_'):
        Window(make('ema'), 5)
    with pytest.raises(ParameterError, match='got length 0, expected'):
        Window(make('kalman'), 0)
    window = Window(make('kalman'), 5)
    with pytest.raises(ParameterError, match='empty'):
        window.smooth()
    window.add(5, _one_state('kalman'))
    with pytest.raises(ParameterError, match='got stamp 5, expected more than 5'):
        window.add(5, _one_state('kalman'))


def test_a_peek_is_a_copy_and_needs_a_stream():
    a_bank = bank('liquid')
    keys, stamps, rows = messages(12, 6)
    a_bank.update(keys[:5], stamps[:5], rows[:5])
    kept = a_bank.peek('k0')
    before = {name: array.copy() for name, array in kept.items()}
    a_bank.update(keys[5:], stamps[5:], rows[5:])
    for name, array in kept.items():
        np.testing.assert_array_equal(array, before[name])
    for name, key in (('liquid', 'k1'), ('ema', 'k0')):
        with pytest.raises(InputError, match=f"got stream '{key}'"):
            other = bank(name)
            other.update(keys[:1], stamps[:1], rows[:1])
            other.peek(key)


@able
@pytest.mark.parametrize('width', [3, 7])
def test_what_was_expected_of_a_message_was_said_before_it_came(name, width):
    stamps, rows = draw(3, 60, width)
    smoother = make(name)
    a_bank, window = StreamBank(smoother, width), Window(smoother, 100)
    said = []
    for stamp, row in zip(stamps, rows):
        said.append(a_bank.predict(('a',), (stamp,)).rows[0])
        a_bank.update(('a',), (stamp,), row[None])
        window.add(stamp, a_bank.peek('a'))
    np.testing.assert_allclose(window.smooth().expected[1:], said[1:], rtol=0, atol=1e-12)
