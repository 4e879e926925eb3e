"""One epoch's examples laid out on the device, in the order in which its steps take them.

All tokens, targets and teachers of the epoch are gathered and sent in one go; a step's batch is a
view of them, so that a step moves nothing to the device and prepares nothing.

Axes: B examples of a batch, L labels, S places of its tokens (see `modeling.token_batches`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from distilro.corpora.examples import Examples, Task
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import TokenBatch, pack_batch, pad_batch
from distilro.training.batches import Batch


@dataclass(frozen=True)
class TaskData:
    """The training examples of one task: N texts, L labels.

    What is None is not laid out. `teacher` holds teachers' probabilities; a row of `votes` without
    votes is NaN; `source` says whether a text is in the language that an adversary comes from.
    """

    task: Task
    ids: Sequence[str]
    tokens: RaggedTokens
    target: np.ndarray  # float32 [N, L]
    observed: np.ndarray  # bool [N, L]
    teacher: np.ndarray | None = None  # float32 [N, L]
    votes: np.ndarray | None = None  # float32 [N, L]
    source: np.ndarray | None = None  # bool [N]

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    @classmethod
    def join(
        cls, examples: Examples, tokens: RaggedTokens, teacher: np.ndarray | None = None
    ) -> "TaskData":
        """Return examples with their tokens and what a teacher says about them, as one."""
        return cls(examples.task, examples.id, tokens, examples.target, examples.observed, teacher)

    def select(self, rows: np.ndarray) -> "TaskData":
        """Return the examples at integer positions `rows`, in that order."""
        parts = {name: getattr(self, name) for name in ("target", "observed", *_OPTIONAL)}
        taken = {name: None if part is None else part[rows] for name, part in parts.items()}
        ids = [self.ids[row] for row in rows.tolist()]
        return TaskData(self.task, ids, self.tokens.select(rows), **taken)


_OPTIONAL = ("teacher", "votes", "source")
_LABELS = ("target", "observed", *_OPTIONAL)


@dataclass(frozen=True)
class LaidOutBatch:
    """A step's examples on the device; `share` as in `Batch`."""

    task: Task
    tokens: TokenBatch
    target: Tensor  # float32 [B, L]
    observed: Tensor  # bool [B, L]
    teacher: Tensor | None  # float32 [B, L]
    share: float
    votes: Tensor | None = None  # float32 [B, L]
    source: Tensor | None = None  # bool [B], in the processor's memory


def lay_out_epoch(
    by_task: Mapping[str, TaskData],
    batches: Sequence[Batch],
    *,
    pad_id: int,
    packed: bool,
    device: torch.device,
) -> list[LaidOutBatch]:
    """Return the batches of an epoch, all of them on the device.

    Args:
        by_task: the examples of every task.
        batches: the epoch as `plan_epochs` laid it out; none is empty.
        pad_id: what padding is filled with.
        packed: leave padding away; see `PackedBatch`.
        device: where to.
    """
    made = [
        pack_batch(tokens, batch.rows) if packed else pad_batch(tokens, batch.rows, pad_id)
        for batch in batches
        for tokens in [by_task[batch.task].tokens]
    ]
    tokens = _keep_together(made, device)
    labels = {name: _gather_labels(data, batches, device) for name, data in by_task.items()}
    taken = dict.fromkeys(by_task, 0)
    laid_out = []
    for batch, token_batch in zip(batches, tokens, strict=True):
        start, end = taken[batch.task], taken[batch.task] + len(batch.rows)
        taken[batch.task] = end
        parts = {
            name: None if part is None else part[start:end]
            for name, part in labels[batch.task].items()
        }
        task = by_task[batch.task].task
        laid_out.append(LaidOutBatch(task, token_batch, share=batch.share, **parts))
    return laid_out


def _gather_labels(
    data: TaskData, batches: Sequence[Batch], device: torch.device
) -> dict[str, Tensor | None]:
    """Return targets and all that stands beside them, of a task's examples in the epoch's order."""
    rows = [batch.rows for batch in batches if batch.task == data.task.name]
    order = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    parts = {name: getattr(data, name) for name in _LABELS}
    gathered = {
        name: None if part is None else torch.from_numpy(part[order])
        for name, part in parts.items()
    }
    # What is read depends on `source`, so it stays where the plan is made.
    return {
        name: part if part is None or name == "source" else part.to(device)
        for name, part in gathered.items()
    }


def _keep_together(batches: Sequence[TokenBatch], device: torch.device) -> list[TokenBatch]:
    """Return the batches as views of a few tensors on the device, one for each of their fields."""
    moved: list[dict[str, Tensor]] = [{} for _ in batches]
    for name in [field.name for field in fields(batches[0])]:
        parts = [getattr(batch, name) for batch in batches]
        if not isinstance(parts[0], Tensor):
            continue
        flat = torch.cat([part.reshape(-1) for part in parts]).to(device)
        pieces = flat.split([part.numel() for part in parts])
        for views, part, piece in zip(moved, parts, pieces, strict=True):
            views[name] = piece.view(part.shape)
    return [replace(batch, **views) for batch, views in zip(batches, moved, strict=True)]
