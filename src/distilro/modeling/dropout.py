"""Dropout that costs little on a processor: eight random bits per element, one pass to apply.

Torch draws a float per element on one thread, which took a fifth of a training step; here 64
random bits serve eight elements. A rate is therefore a multiple of 1/256. All bits come from
torch's own generator, so that seeding it before a step decides the step's masks. On a GPU torch's
fused kernel is used.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 256


def drop(values: Tensor, rate: float) -> Tensor:
    """Return `values` with a share of `rate` set to zero and the rest scaled up to make up for it.

    Source: Srivastava et al. 2014, in its inverted form.
    """
    if rate == 0.0:
        return values
    if values.is_cuda:
        return functional.dropout(values, rate)
    keep, scale = _draw_mask(values, rate)
    return _Drop.apply(values, keep, scale)


def drop_and_add(values: Tensor, residual: Tensor, rate: float) -> Tensor:
    """Return `residual + drop(values, rate)` in fewer passes over memory."""
    if rate == 0.0:
        return values + residual
    if values.is_cuda:
        return functional.dropout(values, rate) + residual
    keep, scale = _draw_mask(values, rate)
    return _DropAndAdd.apply(values, residual, keep, scale)


def round_rate(rate: float) -> float:
    """Return the rate that is used on a processor for one that was asked for.

    >>> round_rate(0.1)
    0.1015625
    """
    return round(rate * _LEVELS) / _LEVELS


def _draw_mask(values: Tensor, rate: float) -> tuple[Tensor, float]:
    """Return 0 and 1 in the shape and type of `values`, and what the kept ones are scaled by."""
    count = values.numel()
    words = torch.empty(math.ceil(count / 8), dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.uint8)[:count].view(values.shape)
    used = round_rate(rate)
    # subtle: a product with zeros and ones is several times faster than a masked fill.
    return (bits >= round(used * _LEVELS)).to(values.dtype), 1.0 / (1.0 - used)


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, keep: Tensor, scale: float) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return (values * keep).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (keep,) = ctx.saved_tensors
        return (gradient * keep).mul_(ctx.scale), None, None


class _DropAndAdd(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context
        values: Tensor,
        residual: Tensor,
        keep: Tensor,
        scale: float,
    ) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return torch.add(residual, values * keep, alpha=scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        (keep,) = ctx.saved_tensors
        return (gradient * keep).mul_(ctx.scale), gradient, None, None
