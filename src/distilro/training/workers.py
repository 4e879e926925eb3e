"""Several processes that train one model together: each takes a part of every batch.

All hold the same weights, compute the gradient of their own examples, add the gradients up and
take the same step, so that nothing but the gradients is ever exchanged. `torchrun` starts them.
One process alone is the usual case, and then none of this does anything.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed, nn

from distilro.errors import SettingsError


@dataclass(frozen=True)
class Workers:
    """This process among `count`: number `rank` of 0 .. count - 1; the first one writes files."""

    rank: int = 0
    count: int = 1
    talk: distributed.ProcessGroup | None = None  # over which numbers of the host are exchanged

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return this worker's part of a batch's rows; it may be empty."""
        return rows[self.rank :: self.count]

    def add_up_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over all workers, in one exchange.

        All workers must have gradients for the same parameters.
        """
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, summed in zip(gradients, flat.split(sizes), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def agree(self, number: int) -> int:
        """Return the largest of all workers' numbers: what one was asked, all were asked."""
        if self.count == 1:
            return number
        asked = torch.tensor(number)
        distributed.all_reduce(asked, distributed.ReduceOp.MAX, group=self.talk)
        return int(asked)

    def add_up(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all workers."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values


ALONE = Workers()


@contextmanager
def join_workers(device: str, count: int) -> Iterator[Workers]:
    """Yield this process's place among the workers that torchrun started, or ALONE.

    Args:
        device: "cpu" (gloo) or "cuda" (NCCL, one GPU per worker).
        count: how many there are to be.

    Raises:
        SettingsError: there are more or fewer; the weights would depend on it.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != count:
        raise SettingsError(
            f"training.processes is {count}, but {started} were started. Nothing was trained; "
            f"start them with: torchrun --standalone --nproc-per-node {count} -m distilro.cli ..."
        )
    if count == 1:
        yield ALONE
        return
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        # A group of the processors' own, so that a word between them does not wait for a GPU.
        talk = distributed.new_group(backend="gloo")
        yield Workers(distributed.get_rank(), distributed.get_world_size(), talk)
    finally:
        distributed.destroy_process_group()
