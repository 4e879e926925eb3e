"""Stops a training whose loss or gradient is not finite, without waiting for the device.

The verdict on each step is a number on the device. The fused optimiser reads it there and leaves
the weights alone; from then on every step is left alone, so that when the host looks, some steps
later on a GPU, the weights are still those before the first bad step, and that step is known.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_LOOK_EVERY = 32  # steps, on a GPU; looking into a processor's own memory costs nothing


class BadStep(NamedTuple):
    """The first step that must not be taken, and what was not finite about it."""

    step: int
    loss: float
    gradient_norm: float


class FiniteGuard:
    """Watches the steps of one training on one device."""

    def __init__(self, device: torch.device) -> None:
        self._waits = device.type != "cpu"
        self._bad = torch.zeros((), device=device)
        self._step = torch.zeros((), dtype=torch.float64, device=device)
        self._seen = torch.zeros(2, device=device)

    def judge(self, step: int, loss: Tensor, norm: Tensor) -> Tensor:
        """Return 1.0 on the device if this step or one before it is not finite, else 0.0.

        Args:
            step: its number.
            loss: scalar.
            norm: of the gradient before clipping, scalar.
        """
        seen = torch.stack([loss.detach().float(), norm.float()])
        already = self._bad > 0
        self._seen = torch.where(already, self._seen, seen)
        self._step = torch.where(already, self._step, float(step))
        self._bad = torch.maximum(self._bad, 1.0 - torch.isfinite(seen).all().float())
        return self._bad

    def find_bad_step(self, step: int, *, now: bool = False) -> BadStep | None:
        """Return the first bad step, or None; on a GPU it looks now and then, or `now`."""
        if self._waits and not now and step % _LOOK_EVERY:
            return None
        if not bool(self._bad):
            return None
        loss, norm = self._seen.tolist()
        return BadStep(int(self._step), loss, norm)
