# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid cell over a whole sequence for torch, its gradients in closed form.

With E_t, c_t = exp(-z_t), dt_t p_t (exponential) or 1 - z_t, dt_t (Euler), z_t = alpha dt_t:

    forward    phi_t = phi(x_t W^T + h_t U^T),    h_{t+1} = E_t h_t + c_t phi_t
    backward   G_t = dL/dh_{t+1} + G_{t+1} E_{t+1} + s_{t+1} U,   s_t = G_t c_t phi'_t

Only what depends on the step before runs step by step, four operations each way, or in one kernel
on CUDA; x W^T, E, c and the gradients of x, W, U, alpha and dt, which are those of cell_grad, are
one operation a block.
"""

from typing import Any, Callable, Dict, List, Tuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from liquid_ros.smoothers.cell_cuda import recurrences
from liquid_ros.smoothers.cell_grad import share, share_slope, SLOPES

BLOCK = 2**16  # numbers in a block of steps: one operation leaves them in the cache for the next
IN_PLACE: Dict[str, Callable[[Tensor], Tensor]] = {
    'tanh': torch.tanh_, 'sigmoid': torch.sigmoid_, 'relu': torch.relu_}


class CellSequence(Function):
    """h_1 ... h_T (T, B, H) from h_0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, weight_in: Tensor, weight_rec: Tensor,
                alpha: Tensor, dt: Tensor, exact: bool, activation: str) -> Tensor:
        """Return the states and keep them, with phi."""
        phi = (x @ weight_in.T).contiguous()
        states = torch.empty((len(x) + 1,) + h.shape, dtype=h.dtype, device=h.device)
        states[0] = h
        before, turned, act = states[0], weight_rec.T, IN_PLACE[activation]
        ctx.kernels = kernels = recurrences(activation, states[0], phi, weight_rec, alpha, dt)
        shares: Tuple[Tensor, ...] = ()
        for at in _blocks(states):
            keep, part = _shares(alpha * dt[at], exact)
            if kernels:
                shares = keep, part
                kernels.forward(weight_rec, keep, dt * part, phi, states)
                continue
            for drive, e, c, after in zip(phi[at].unbind(), keep.unbind(),
                                          (dt[at] * part).unbind(), states[1:][at].unbind()):
                act(drive.addmm_(before, turned))
                torch.mul(before, e, out=after)
                before = after.addcmul_(c, drive)
        ctx.exact, ctx.slope = exact, SLOPES[activation]
        ctx.save_for_backward(x, states, weight_in, weight_rec, alpha, dt, phi, *shares)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> Tuple[Any, ...]:
        """Return the gradients of x, h_0, W, U, alpha, dt."""
        x, states, weight_in, weight_rec, alpha, dt, phi, *shares = ctx.saved_tensors
        g_in, g_rec, after, g_alpha, g_x, g_dt = (
            torch.zeros_like(t, memory_format=torch.contiguous_format)
            for t in (weight_in, weight_rec, states[0], alpha, x, dt))
        wanted = ctx.needs_input_grad
        for at in reversed(_blocks(states)):
            step, turn, before = dt[at], phi[at], states[:-1][at]
            z = alpha * step
            keep, part = shares or _shares(z, ctx.exact)
            if ctx.kernels:
                total, drive = ctx.kernels.backward(weight_rec, keep, dt * part, phi, given, after)
            else:
                total = given[at].clone(memory_format=torch.contiguous_format)  # becomes G_t
                drive = ctx.slope(turn).mul_(part).mul_(step)  # becomes s_t
                for g, s, e in zip(reversed(total.unbind()), reversed(drive.unbind()),
                                   reversed(keep.unbind())):
                    g.add_(after)
                    s.mul_(g)
                    torch.mul(g, e, out=after).addmm_(s, weight_rec)
            rows = drive.flatten(0, 1).T
            g_in.addmm_(rows, x[at].flatten(0, 1))
            g_rec.addmm_(rows, before.flatten(0, 1))
            if wanted[0]:
                torch.matmul(drive, weight_in, out=g_x[at])
            if wanted[5]:
                pull = torch.addcmul(turn, alpha, before, value=-1.0).mul_(total)
                g_dt[at] = (pull * keep if ctx.exact else pull).sum_to_size(step.shape)
            if wanted[4]:
                if ctx.exact:
                    slope = share_slope(z, keep, part).mul_(step).mul_(turn)
                    fall = torch.addcmul(slope, keep, before, value=-1.0)
                else:
                    fall = -before
                g_alpha += fall.mul_(total).mul_(step).sum_to_size(alpha.shape)
        return g_x, after, g_in, g_rec, g_alpha, g_dt, None, None


def _blocks(states: Tensor) -> List[slice]:
    size = max(1, len(states) if states.is_cuda else BLOCK // states[0].numel())
    return [slice(at, min(at + size, len(states) - 1)) for at in range(0, len(states) - 1, size)]


def _shares(z: Tensor, exact: bool) -> Tuple[Tensor, Tensor]:
    """Return what is kept of h, E, and the share of dt that phi acts for, c / dt."""
    return (torch.exp(-z), share(z)) if exact else (1.0 - z, torch.ones_like(z))


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
