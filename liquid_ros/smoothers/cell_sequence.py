# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid cell over a whole sequence for torch, its gradients in closed form.

With E_t, c_t = exp(-z_t), dt_t p_t (exponential) or 1 - z_t, dt_t (Euler), z_t = alpha dt_t:

    forward    phi_t = phi(x_t W^T + h_t U^T),    h_{t+1} = E_t h_t + c_t phi_t
    backward   G_t = dL/dh_{t+1} + G_{t+1} E_{t+1} + s_{t+1} U,   s_t = G_t c_t phi'_t

Only what depends on the step before runs step by step, four operations each way; x W^T, E, c and
the gradients of x, W, U, alpha and dt, which are those of cell_grad, are one operation for all t.
"""

from typing import Any, Callable, Dict, Tuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from liquid_ros.smoothers.cell_grad import share, share_slope, SLOPES

IN_PLACE: Dict[str, Callable[[Tensor], Tensor]] = {
    'tanh': torch.tanh_, 'sigmoid': torch.sigmoid_, 'relu': torch.relu_}


class CellSequence(Function):
    """h_1 ... h_T (T, B, H) from h_0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, weight_in: Tensor, weight_rec: Tensor,
                alpha: Tensor, dt: Tensor, exact: bool, activation: str) -> Tensor:
        """Return the states and keep them, with phi."""
        z = alpha * dt
        keep, give = (torch.exp(-z), dt * share(z)) if exact else (1.0 - z, dt.expand_as(z))
        phi = x @ weight_in.T
        states = torch.empty((len(x) + 1,) + h.shape, dtype=h.dtype, device=h.device)
        states[0] = h
        before, turned, act = states[0], weight_rec.T, IN_PLACE[activation]
        for drive, e, c, after in zip(phi.unbind(), keep.unbind(), give.unbind(),
                                      states[1:].unbind()):
            act(drive.addmm_(before, turned))
            torch.mul(before, e, out=after)
            before = after.addcmul_(c, drive)
        ctx.exact, ctx.slope = exact, SLOPES[activation]
        ctx.save_for_backward(x, states, weight_in, weight_rec, alpha, dt, keep, give, phi)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> Tuple[Any, ...]:
        """Return the gradients of x, h_0, W, U, alpha, dt."""
        x, states, weight_in, weight_rec, alpha, dt, keep, give, phi = ctx.saved_tensors
        total = given.clone(memory_format=torch.contiguous_format)  # becomes G_t
        drive = give * ctx.slope(phi)  # becomes s_t
        after = torch.zeros_like(states[0])
        for g, s, e in zip(reversed(total.unbind()), reversed(drive.unbind()),
                           reversed(keep.unbind())):
            g.add_(after)
            s.mul_(g)
            torch.mul(g, e, out=after).addmm_(s, weight_rec)
        before, rows = states[:-1], drive.flatten(0, 1)
        g_x = g_alpha = g_dt = None
        if ctx.needs_input_grad[0]:
            g_x = drive @ weight_in
        if ctx.needs_input_grad[4]:
            fall = keep * before if ctx.exact else before
            if ctx.exact:
                fall = torch.addcmul(fall, dt * share_slope(alpha * dt), phi, value=-1.0)
            g_alpha = (total * fall).mul_(-dt).sum_to_size(alpha.shape)
        if ctx.needs_input_grad[5]:
            pull = phi - alpha * before
            g_dt = (total * (keep * pull if ctx.exact else pull)).sum_to_size(dt.shape)
        return (g_x, after, rows.T @ x.flatten(0, 1), rows.T @ before.flatten(0, 1), g_alpha,
                g_dt, None, None)


def sequence(x: Tensor, h: Tensor, weight_in: Tensor, weight_rec: Tensor, alpha: Tensor,
             dt: Tensor, exact: bool = True, activation: str = 'tanh') -> Tensor:
    """
    Return the states h_1 ... h_T (T, B, H) after each of T inputs.

    x (T, B, I), h (B, H), weight_in (H, I), weight_rec (H, H), alpha (H,) or (B, H) > 0 in 1/s,
    dt (T, B, 1) >= 0 in s. exact: the exponential step, else Euler's, right for dt alpha < 2.
    """
    states: Tensor = CellSequence.apply(x, h, weight_in, weight_rec, alpha, dt, exact,
                                          activation)
    return states
