# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The cell: against its equation, at the ends of dt, and its gradients in float64."""

import numpy as np
import pytest

from liquid_ros.smoothers import cell

torch = pytest.importorskip('torch', reason='closed-form gradients are torch functions')
from liquid_ros.smoothers import cell_grad  # noqa: E402

STEPS = {'euler': (cell.euler, cell_grad.euler),
         'exponential': (cell.exponential, cell_grad.exponential)}


def problem(batch=4, inputs=3, hidden=5, z=0.3, per_row=False, seed=0):
    """Return x, h, W, U, alpha, dt in float64 with alpha dt around z."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)
    alpha = torch.exp(0.3 * draw(*((batch, hidden) if per_row else (hidden,))))
    dt = z * torch.exp(0.3 * draw(batch, 1))
    return draw(batch, inputs), draw(batch, hidden), draw(hidden, inputs), draw(hidden, hidden), \
        alpha, dt


@pytest.mark.parametrize('name', STEPS)
@pytest.mark.parametrize('shape', [(4, 3, 5), (1, 3, 5), (4, 2, 1), (1, 1, 1), (5, 3, 5)])
@pytest.mark.parametrize('per_row', [False, True])
@pytest.mark.parametrize('activation', cell.ACTIVATIONS)
def test_gradients_are_those_of_finite_differences(name, shape, per_row, activation):
    values = [v.requires_grad_() for v in problem(*shape, per_row=per_row)]
    assert torch.autograd.gradcheck(lambda *v: STEPS[name][1](*v, activation), values)


@pytest.mark.parametrize('name', STEPS)
@pytest.mark.parametrize('z', [0.0, 1e-9, 1e-6, 9.9e-4, 1.1e-3, 2.9e-2, 3.1e-2, 1.0, 30.0, 1e3])
@pytest.mark.parametrize('per_row', [False, True])
def test_gradients_hold_from_no_time_to_a_long_gap(name, z, per_row):
    plain, closed = STEPS[name]
    values = [v.requires_grad_() for v in problem(z=z, per_row=per_row)]
    if 1e-5 < z:  # autograd of the plain form loses its digits below
        ours = torch.autograd.grad(closed(*values).sin().sum(), values)
        theirs = torch.autograd.grad(plain(*values).sin().sum(), values)
        for a, b in zip(ours, theirs):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)
    else:  # the limit: h' = h + dt (phi - alpha h) (1 - z / 2 ...)
        euler = STEPS['euler'][1]
        ours = torch.autograd.grad(closed(*values).sum(), values)
        limit = torch.autograd.grad(euler(*values).sum(), values)
        for a, b in zip(ours, limit):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-11)


@pytest.mark.parametrize('name', STEPS)
@pytest.mark.parametrize('activation', cell.ACTIVATIONS)
def test_numpy_torch_and_closed_form_are_one_step(name, activation):
    plain, closed = STEPS[name]
    values = problem(7, 4, 6, z=0.7)
    ours = plain(*(v.numpy() for v in values), activation)
    np.testing.assert_allclose(plain(*values, activation).numpy(), ours, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(closed(*values, activation).numpy(), ours, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize('name', STEPS)
@pytest.mark.parametrize('activation', cell.ACTIVATIONS)
def test_the_closed_form_is_autograd_s_gradient_of_the_plain_step(name, activation):
    plain, closed = STEPS[name]
    values = [v.requires_grad_() for v in problem(9, 4, 6, z=0.7)]
    ours, theirs = (torch.autograd.grad(f(*values, activation).sin().sum(), values)
                    for f in (closed, plain))
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('name', STEPS)
def test_no_time_is_no_step(name):
    x, h, weight_in, weight_rec, alpha, dt = problem()
    for step in STEPS[name]:
        torch.testing.assert_close(step(x, h, weight_in, weight_rec, alpha, 0.0 * dt), h,
                                   rtol=0, atol=0)


def test_dt_is_one_value_a_row():
    x, h, weight_in, weight_rec, alpha, dt = problem(5, 3, 5)  # batch == units
    together = cell.exponential(x, h, weight_in, weight_rec, alpha, dt)
    for i in range(len(x)):
        alone = cell.exponential(x[i:i + 1], h[i:i + 1], weight_in, weight_rec, alpha,
                                 dt[i:i + 1])
        torch.testing.assert_close(alone, together[i:i + 1])


def test_a_frozen_drive_may_be_split_anywhere():
    x, h, weight_in, weight_rec, alpha, dt = problem(z=2.0)
    none = 0.0 * weight_rec  # phi does not see h: frozen over both parts
    whole = cell.exponential(x, h, weight_in, none, alpha, dt)
    part = cell.exponential(x, h, weight_in, none, alpha, 0.3 * dt)
    torch.testing.assert_close(cell.exponential(x, part, weight_in, none, alpha, 0.7 * dt), whole)


def test_the_exponential_step_is_bounded_where_euler_is_not():
    x, h, weight_in, weight_rec, alpha, dt = problem(z=5.0 * 0.693)
    bound = torch.maximum(h.abs(), 1.0 / alpha)
    assert (cell.exponential(x, h, weight_in, weight_rec, alpha, dt).abs() <= bound + 1e-12).all()
    # 5 s at alpha = 0.693 with phi = -1: the figures of the method's note
    one = torch.ones(1, 1, dtype=torch.float64)
    zero, pull = 0.0 * one, -20.0 * one
    exact = cell.exponential(one, one, pull, zero, 0.693 * one[0], 5.0 * one)
    rough = cell.euler(one, one, pull, zero, 0.693 * one[0], 5.0 * one)
    assert -1.45 < float(exact) < -1.3 and float(rough) < -6.0


def test_euler_converges_to_the_exponential_step_at_second_order_locally():
    x, h, weight_in, weight_rec, alpha, dt = problem(z=1.0)
    sizes = 2.0 ** -np.arange(4, 10)
    errors = [float((cell.euler(x, h, weight_in, weight_rec, alpha, s * dt)
                     - cell.exponential(x, h, weight_in, weight_rec, alpha, s * dt)).abs().max())
              for s in sizes]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(slope - 2.0) < 0.05
