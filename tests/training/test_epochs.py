"""Epochs on the device: what was planned is what is trained on, padded or packed."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.examples import Task
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import pack_batch, pad_batch
from distilro.training.batches import Batch, BatchLimits, plan_epochs
from distilro.training.epochs import TaskData, lay_out_epoch

CPU = torch.device("cpu")
PAD = 99
LABELS = {"topic": 3, "emotion": 5, "rare": 2}


def make_data(name, lengths, teacher=True):
    """Texts, targets and teachers of random numbers, no two rows alike."""
    rng = np.random.default_rng(len(name))
    labels, rows = LABELS[name], len(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = rng.integers(0, 90, offsets[-1]).astype(np.int32)
    target, answers = (rng.random((rows, labels)).astype(np.float32) for _ in range(2))
    return TaskData(
        task=Task(name, "multi_label", tuple(map(str, range(labels)))),
        ids=[f"{name}{row}" for row in range(rows)],
        tokens=RaggedTokens(ids, offsets),
        target=target,
        observed=rng.random((rows, labels)) < 0.5,
        teacher=answers if teacher else None,
    )


def make_tasks(seed=0):
    rng = np.random.default_rng(seed)
    sizes = {"topic": 23, "emotion": 11, "rare": 2}
    return {
        name: make_data(name, rng.integers(1, 12, size), teacher=name != "emotion")
        for name, size in sizes.items()
    }


def plan(tasks, seed=0):
    lengths = {name: data.tokens.lengths for name, data in tasks.items()}
    limits = BatchLimits(4, 30)
    return plan_epochs(lengths, sampling="annealed", epochs=2, limits=limits, seed=seed)


def lay_out(tasks, batches, packed):
    return lay_out_epoch(tasks, batches, pad_id=PAD, packed=packed, device=CPU)


def read_texts(tokens):
    """Return the token ids of each text of a batch, padding left away."""
    if hasattr(tokens, "offsets"):
        ends = tokens.offsets.tolist()
        return [tuple(tokens.ids[a:b].tolist()) for a, b in pairwise(ends)]
    ids = tokens.ids.view(tokens.mask.shape)
    return [tuple(row[kept].tolist()) for row, kept in zip(ids, tokens.mask, strict=True)]


def list_examples(laid_out):
    """Return every example of the batches: task, tokens, target, observed, teacher."""
    return [
        (batch.task.name, text, *(None if part is None else tuple(part) for part in parts))
        for batch in laid_out
        for text, *parts in zip(
            read_texts(batch.tokens),
            batch.target.tolist(),
            batch.observed.tolist(),
            batch.teacher.tolist() if batch.teacher is not None else [None] * len(batch.target),
            strict=True,
        )
    ]


def list_planned(tasks, batches):
    planned = []
    for batch in batches:
        data = tasks[batch.task]
        for row in batch.rows:
            text = tuple(data.tokens.select(np.array([row])).ids.tolist())
            parts = (data.target, data.observed, data.teacher)
            labels = (None if part is None else tuple(part[row].tolist()) for part in parts)
            planned.append((batch.task, text, *labels))
    return planned


@pytest.mark.parametrize("packed", [False, True])
@given(seed=st.integers(0, 10))
def test_an_epoch_holds_what_was_planned_in_its_order(packed, seed):
    """Three tasks take turns; one of them has no teacher."""
    tasks = make_tasks(seed)
    for batches in plan(tasks, seed):
        laid_out = lay_out(tasks, batches, packed)
        assert list_examples(laid_out) == list_planned(tasks, batches)
        assert [batch.share for batch in laid_out] == [batch.share for batch in batches]


@pytest.mark.parametrize("packed", [False, True])
def test_a_batch_is_what_it_would_be_by_itself(packed):
    tasks = make_tasks()
    batches = plan(tasks)[0]
    for batch, laid_out in zip(batches, lay_out(tasks, batches, packed), strict=True):
        tokens = tasks[batch.task].tokens
        alone = pack_batch(tokens, batch.rows) if packed else pad_batch(tokens, batch.rows, PAD)
        assert laid_out.tokens.longest == alone.longest
        for name, expected in vars(alone).items():
            got = getattr(laid_out.tokens, name)
            if isinstance(expected, torch.Tensor):
                assert (got.dtype, got.tolist()) == (expected.dtype, expected.tolist()), name
            else:
                assert got == expected, name


def test_padded_and_packed_batches_hold_the_same_tokens_at_the_same_positions():
    tasks = make_tasks()
    batches = plan(tasks)[0]
    for padded, packed in zip(
        lay_out(tasks, batches, False), lay_out(tasks, batches, True), strict=True
    ):
        real = padded.tokens.mask.view(-1)
        assert torch.equal(padded.tokens.ids[real], packed.tokens.ids)
        assert torch.equal(padded.tokens.positions[real], packed.tokens.positions)
        assert (padded.tokens.ids[~real] == PAD).all()


@pytest.mark.parametrize("packed", [False, True])
def test_a_batch_is_a_view_of_its_epoch_and_moves_nothing(packed):
    tasks = make_tasks()
    laid_out = lay_out(tasks, plan(tasks)[0], packed)

    def list_storages(tensors):
        return {tensor.untyped_storage().data_ptr() for tensor in tensors}

    assert len(list_storages(batch.tokens.ids for batch in laid_out)) == 1
    shared = "offsets" if packed else "mask"
    assert len(list_storages(getattr(batch.tokens, shared) for batch in laid_out)) == 1
    for name in tasks:
        own = [batch for batch in laid_out if batch.task.name == name]
        for part in ("target", "observed", "teacher"):
            tensors = [t for t in (getattr(batch, part) for batch in own) if t is not None]
            assert len(list_storages(tensors)) == (1 if tensors else 0)


@pytest.mark.parametrize("packed", [False, True])
def test_a_task_without_a_batch_in_the_epoch_takes_no_part(packed):
    tasks = make_tasks()
    batches = [Batch("topic", np.array([4]), 1.0), Batch("emotion", np.array([1, 1]), 0.5)]
    laid_out = lay_out(tasks, batches, packed)
    assert list_examples(laid_out) == list_planned(tasks, batches)


def test_only_a_batch_of_equal_lengths_is_whole():
    data = {"topic": make_data("topic", np.array([3, 3, 2]))}
    batches = [Batch("topic", np.array(rows), 1.0) for rows in ([0, 1], [1, 2], [2])]
    assert [b.tokens.whole for b in lay_out(data, batches, False)] == [True, False, True]
