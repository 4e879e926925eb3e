"""One epoch's examples laid out on the device, in the order in which its steps take them.

All tokens, targets and teachers of the epoch are gathered and sent in one go; a step's batch is a
view of them, so that a step moves nothing to the device and prepares nothing.

Axes: B examples of a batch, L labels, S places of its tokens (see `modeling.token_batches`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distilro.corpora.examples import Task
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import PackedBatch, PaddedBatch, TokenBatch
from distilro.training.batches import Batch


@dataclass(frozen=True)
class TaskData:
    """The training examples of one task: N texts, L labels.

    `teacher` holds a teacher's probabilities float32 [N, L], or None without one.
    """

    task: Task
    ids: Sequence[str]
    tokens: RaggedTokens
    target: np.ndarray  # float32 [N, L]
    observed: np.ndarray  # bool [N, L]
    teacher: np.ndarray | None = None


@dataclass(frozen=True)
class LaidOutBatch:
    """A step's examples on the device; `share` as in `Batch`."""

    task: Task
    tokens: TokenBatch
    target: Tensor  # float32 [B, L]
    observed: Tensor  # bool [B, L]
    teacher: Tensor | None  # float32 [B, L]
    share: float


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
    if packed:
        tokens = _pack_all(by_task, batches, device)
    else:
        tokens = _pad_all(by_task, batches, pad_id, device)
    labels = {name: _gather_labels(data, batches, device) for name, data in by_task.items()}
    taken = dict.fromkeys(by_task, 0)
    laid_out = []
    for batch, token_batch in zip(batches, tokens, strict=True):
        start, end = taken[batch.task], taken[batch.task] + len(batch.rows)
        taken[batch.task] = end
        target, observed, teacher = (
            None if part is None else part[start:end] for part in labels[batch.task]
        )
        task = by_task[batch.task].task
        laid_out.append(LaidOutBatch(task, token_batch, target, observed, teacher, batch.share))
    return laid_out


def _gather_labels(
    data: TaskData, batches: Sequence[Batch], device: torch.device
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return target, observed and teacher of a task's examples in the epoch's order."""
    rows = [batch.rows for batch in batches if batch.task == data.task.name]
    order = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    parts = (data.target, data.observed, data.teacher)
    return tuple(
        None if part is None else torch.from_numpy(part[order]).to(device) for part in parts
    )


def _pad_all(
    by_task: Mapping[str, TaskData], batches: Sequence[Batch], pad_id: int, device: torch.device
) -> list[PaddedBatch]:
    ids, masks, shapes = [], [], []
    for batch in batches:
        padded, mask = by_task[batch.task].tokens.pad(batch.rows, pad_id)
        ids.append(padded.astype(np.int32).reshape(-1))
        masks.append(mask.astype(bool).reshape(-1))
        shapes.append(padded.shape)
    flat_ids, flat_masks = (_send(parts, device) for parts in (ids, masks))
    longest = max(shape[1] for shape in shapes)
    most = max(shape[0] for shape in shapes)
    positions = {
        length: torch.arange(length, dtype=torch.int32, device=device).repeat(most)
        for length in sorted({shape[1] for shape in shapes} | {longest})
    }
    laid_out, start = [], 0
    for (texts, length), mask in zip(shapes, masks, strict=True):
        end = start + texts * length
        laid_out.append(
            PaddedBatch(
                ids=flat_ids[start:end],
                positions=positions[length][: texts * length],
                mask=flat_masks[start:end].view(texts, length),
                whole=bool(mask.all()),
            )
        )
        start = end
    return laid_out


def _pack_all(
    by_task: Mapping[str, TaskData], batches: Sequence[Batch], device: torch.device
) -> list[PackedBatch]:
    taken = [by_task[batch.task].tokens.select(batch.rows) for batch in batches]
    longest = max(int(tokens.lengths.max()) for tokens in taken)
    steps = np.arange(longest, dtype=np.int32)
    positions = [np.concatenate([steps[:length] for length in part.lengths]) for part in taken]
    ids = _send([part.ids for part in taken], device)
    flat_positions = _send(positions, device)
    offsets = _send([part.offsets.astype(np.int32) for part in taken], device)
    laid_out, start, first = [], 0, 0
    for part in taken:
        end, last = start + len(part.ids), first + len(part.offsets)
        laid_out.append(
            PackedBatch(
                ids=ids[start:end],
                positions=flat_positions[start:end],
                offsets=offsets[first:last],
                longest=int(part.lengths.max()),
            )
        )
        start, first = end, last
    return laid_out


def _send(parts: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Return the parts one after the other, as one tensor on the device."""
    return torch.from_numpy(np.concatenate(parts)).to(device)
