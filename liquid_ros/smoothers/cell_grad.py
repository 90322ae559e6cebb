# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid cell for torch with its gradients in closed form: no graph inside a step.

With g = dL/dh', u = x W^T + h U^T, z = alpha dt, E = exp(-z), p = (1 - E) / z, and phi' of phi:
tanh 1 - phi^2, sigmoid phi (1 - phi), ReLU 1 where phi > 0:

    Euler         s = g dt phi'             g_h = g (1 - dt alpha) + s U
                  g_alpha = -dt g h         g_dt = sum_H g (phi - alpha h)
    exponential   s = g dt p phi'           g_h = g E + s U
                  g_alpha = g (-dt E h + dt^2 p' phi)   g_dt = sum_H g E (phi - alpha h)
    both          g_x = s W,  g_W = s^T x,  g_U = s^T h,  p' = (E - p) / z

Shapes: x (B, I), h (B, H), W (H, I), U (H, H), alpha (H,) or (B, H), dt (B, 1).
"""

from typing import Any, Callable, Dict, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from liquid_ros.smoothers.cell import ACTIVATIONS

SMALL = 3e-2  # below it p' is a series: (E - p) / z loses digits before that does

# dphi/du of phi
SLOPES: Dict[str, Callable[[Tensor], Tensor]] = {
    'tanh': lambda phi: 1.0 - phi * phi, 'sigmoid': lambda phi: phi * (1.0 - phi),
    'relu': lambda phi: (phi > 0.0).to(phi.dtype)}


def share(z: Tensor) -> Tensor:
    """Return p = (1 - exp(-z)) / z for z >= 0; no digits are lost however small z is."""
    safe = z.clamp(min=torch.finfo(z.dtype).tiny)
    return torch.expm1(-safe).neg_().div_(safe)


def share_slope(z: Tensor, decay: Tensor, p: Tensor) -> Tensor:
    """Return dp/dz; decay exp(-z), p share(z)."""
    series = z / 840.0
    for term in (-1.0 / 144.0, 1.0 / 30.0, -1.0 / 8.0, 1.0 / 3.0):
        series.add_(term).mul_(z)
    exact = (decay - p).div_(z.clamp(min=SMALL))
    return torch.where(z < SMALL, series.sub_(0.5), exact)


def _inputs(ctx: Any, s: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what s = dL/d(x W^T + h U^T) makes of g_x, the rest of g_h, g_W and g_U."""
    x, h, weight_in, weight_rec = ctx.saved_tensors[:4]
    return s @ weight_in, s @ weight_rec, s.T @ x, s.T @ h


class EulerCell(Function):
    """h' = h + dt (phi - alpha h)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, weight_in: Tensor, weight_rec: Tensor,
                alpha: Tensor, dt: Tensor, activation: str = 'tanh') -> Tensor:
        """Return h' and keep phi."""
        phi = ACTIVATIONS[activation](x @ weight_in.T + h @ weight_rec.T)
        ctx.slope = SLOPES[activation]
        ctx.save_for_backward(x, h, weight_in, weight_rec, alpha, dt, phi)
        return h + dt * (phi - alpha * h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tuple[Optional[Tensor], ...]:
        """Return the gradients of x, h, W, U, alpha, dt."""
        h, alpha, dt, phi = (ctx.saved_tensors[i] for i in (1, 4, 5, 6))
        g_x, g_h, g_in, g_rec = _inputs(ctx, g * dt * ctx.slope(phi))
        g_alpha = (-dt * g * h).sum_to_size(alpha.shape)
        g_dt = (g * (phi - alpha * h)).sum(1, keepdim=True)
        return g_x, g * (1.0 - dt * alpha) + g_h, g_in, g_rec, g_alpha, g_dt, None


class ExponentialCell(Function):
    """h' = E h + dt p phi."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, weight_in: Tensor, weight_rec: Tensor,
                alpha: Tensor, dt: Tensor, activation: str = 'tanh') -> Tensor:
        """Return h' and keep phi."""
        phi = ACTIVATIONS[activation](x @ weight_in.T + h @ weight_rec.T)
        ctx.slope = SLOPES[activation]
        ctx.save_for_backward(x, h, weight_in, weight_rec, alpha, dt, phi)
        z = alpha * dt
        return torch.exp(-z) * h + dt * share(z) * phi

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tuple[Optional[Tensor], ...]:
        """Return the gradients of x, h, W, U, alpha, dt."""
        h, alpha, dt, phi = (ctx.saved_tensors[i] for i in (1, 4, 5, 6))
        z = alpha * dt
        decay, part = torch.exp(-z), share(z)
        g_x, g_h, g_in, g_rec = _inputs(ctx, g * dt * part * ctx.slope(phi))
        slope = share_slope(z, decay, part)
        g_alpha = (g * (dt * dt * slope * phi - dt * decay * h)).sum_to_size(alpha.shape)
        g_dt = (g * decay * (phi - alpha * h)).sum(1, keepdim=True)
        return g_x, g * decay + g_h, g_in, g_rec, g_alpha, g_dt, None


def euler(x: Tensor, h: Tensor, weight_in: Tensor, weight_rec: Tensor, alpha: Tensor,
          dt: Tensor, activation: str = 'tanh') -> Tensor:
    """Return cell.euler with closed-form gradients."""
    return EulerCell.apply(x, h, weight_in, weight_rec, alpha, dt, activation)


def exponential(x: Tensor, h: Tensor, weight_in: Tensor, weight_rec: Tensor, alpha: Tensor,
                dt: Tensor, activation: str = 'tanh') -> Tensor:
    """Return cell.exponential with closed-form gradients."""
    return ExponentialCell.apply(x, h, weight_in, weight_rec, alpha, dt, activation)
