# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A sequence in one function against the steps it stands for."""

import pytest

from liquid_ros.smoothers import cell

torch = pytest.importorskip('torch', reason='the sequence is a torch function')
from liquid_ros.smoothers.cell_sequence import sequence  # noqa: E402

STEPS = {True: cell.exponential, False: cell.euler}


def problem(steps=7, batch=4, inputs=3, hidden=5, z=0.3, per_row=False, kind=torch.float64):
    """Return x, h, W, U, alpha, dt with alpha dt around z, the interval before last a long gap."""
    g = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(kind)
    alpha = torch.exp(0.3 * draw(*((batch, hidden) if per_row else (hidden,))))
    dt = z * torch.exp(0.3 * draw(steps, batch, 1))
    return draw(steps, batch, inputs), draw(batch, hidden), draw(hidden, inputs), \
        draw(hidden, hidden) / hidden**0.5, alpha, dt


def by_steps(exact, x, h, weight_in, weight_rec, alpha, dt, activation='tanh'):
    """Return the states one plain step at a time, as autograd sees it."""
    states = []
    for k in range(len(x)):
        h = STEPS[exact](x[k], h, weight_in, weight_rec, alpha, dt[k], activation)
        states.append(h)
    return torch.stack(states)


@pytest.mark.parametrize('exact', [True, False])
@pytest.mark.parametrize('shape', [(5, 3, 2, 4), (1, 2, 3, 2), (4, 1, 1, 1)])
@pytest.mark.parametrize('per_row', [False, True])
@pytest.mark.parametrize('activation', cell.ACTIVATIONS)
def test_gradients_are_those_of_finite_differences(exact, shape, per_row, activation):
    values = [v.requires_grad_() for v in problem(*shape, per_row=per_row)]
    assert torch.autograd.gradcheck(lambda *v: sequence(*v, exact, activation), values)
    torch.testing.assert_close(sequence(*values, exact, activation),
                               by_steps(exact, *values, activation))


@pytest.mark.parametrize('exact', [True, False])
@pytest.mark.parametrize('z', [1e-4, 1e-2, 0.5])
@pytest.mark.parametrize('kind, close', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_states_and_gradients_are_those_of_the_steps(exact, z, kind, close):
    values = [v.requires_grad_() for v in problem(60, 6, 4, 16, z=z, kind=kind)]
    wide = [v.detach().double().requires_grad_() for v in values]
    ours, theirs = sequence(*values, exact), by_steps(exact, *wide)
    torch.testing.assert_close(ours.double(), theirs, rtol=close, atol=close)
    # of the last state and of all
    weight = torch.linspace(-1.0, 2.0, 60, dtype=torch.float64)[:, None, None]
    for mine, wanted in zip(torch.autograd.grad((ours * weight.to(kind)).sum(), values),
                            torch.autograd.grad((theirs * weight).sum(), wide)):
        size = float(wanted.norm())
        assert float((mine.double() - wanted).norm()) < close * size


def test_no_interval_leaves_the_state_and_a_long_gap_forgets_it():
    x, h, weight_in, weight_rec, alpha, dt = problem(3)
    dt = torch.tensor([0.0, 0.0, 1e4], dtype=dt.dtype)[:, None, None].expand(3, 4, 1)
    states = sequence(x, h, weight_in, weight_rec, alpha, dt)
    torch.testing.assert_close(states[1], h, rtol=0.0, atol=1e-15)
    assert (states[2].abs() <= 1.0 / alpha + 1e-12).all()


def test_the_batch_may_come_first_in_memory():
    values = problem()
    turned = values[0].transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    sequence(turned, *values[1:]).square().sum().backward()
    plain = values[0].clone().requires_grad_()
    sequence(plain, *values[1:]).square().sum().backward()
    torch.testing.assert_close(turned.grad, plain.grad)


def test_states_that_are_changed_in_place_are_noticed():
    values = [v.requires_grad_() for v in problem()]
    states = sequence(*values)
    with pytest.raises(RuntimeError, match='inplace|in-place|modified'):
        states.mul_(2.0)
        states.sum().backward()


def test_only_what_is_asked_for_is_computed():
    values = problem()
    for asked in range(6):
        given = [v.detach().requires_grad_(i == asked) for i, v in enumerate(values)]
        sequence(*given).square().sum().backward()
        assert given[asked].grad.isfinite().all() and given[asked].grad.abs().sum() > 0.0
