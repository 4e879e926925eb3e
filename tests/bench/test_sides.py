"""The benchmarks' sides: the same texts, the same model, the same loss."""

import numpy as np
import pytest
import torch
from benchmarks.corpus import Split
from benchmarks.jobs import Job, Plan
from benchmarks.lengths import draw_lengths, draw_texts
from benchmarks.ours import build_ours
from benchmarks.plain import PlainClassifier
from benchmarks.prepare import write_encoder

from distilro.artifacts import read_json
from distilro.modeling.heads import score_tokens
from distilro.training.losses import compute_gold_loss
from tests.support import ROOT

PLAN = Plan(
    model="tiny",
    device="cpu",
    threads=1,
    epochs=1,
    learning_rate=1e-3,
    attention_dropout=0.1,
    our_attention_dropout=0.0,
    prepared="absent",
)


@pytest.mark.parametrize("dataset", ["redv2", "moroco"])
def test_both_sides_train_the_same_model_on_the_same_loss(tmp_path, dataset):
    job = Job("trainer", "ours", 1, (1,), (), str(tmp_path), PLAN)
    write_encoder(job)
    texts = draw_texts(dataset, "train", rows=6, vocabulary=2000, seed=1)
    part = Split(*texts)
    task, target = part.examples.task, torch.from_numpy(part.examples.target)
    ours = build_ours(job, {dataset: {"train": part}}, seed=1).eval()
    theirs = PlainClassifier(tmp_path / "encoder", task, dropout=0.1, seed=2).eval()
    theirs.head.load_state_dict(ours.heads[task.name].state_dict())
    ids, mask = map(torch.from_numpy, part.tokens.pad(np.arange(6), 0))
    labels = target.argmax(dim=1) if task.kind == "multi_class" else target
    answer = theirs(ids, mask, labels)
    logits = torch.from_numpy(score_tokens(ours, task.name, part.tokens))
    torch.testing.assert_close(answer["logits"], logits, atol=1e-5, rtol=1e-4)
    loss = compute_gold_loss(task.kind, logits, target, torch.ones_like(target, dtype=bool)).mean()
    torch.testing.assert_close(answer["loss"], loss, atol=1e-5, rtol=1e-4)


def test_drawn_lengths_are_distributed_as_recorded():
    recorded = read_json(ROOT / "benchmarks" / "lengths.json")["redv2"]
    drawn = draw_lengths("redv2", 20_000, np.random.default_rng(0))
    assert abs(drawn.mean() - recorded["mean"]) < 1.0
    assert np.median(drawn) == pytest.approx(recorded["quantiles"][50], abs=1)
    assert recorded["quantiles"][0] <= drawn.min() and drawn.max() <= recorded["max_tokens"]


def test_drawn_texts_tell_their_label_and_hold_no_words():
    examples, tokens = draw_texts("moroco", "valid", rows=50, vocabulary=2000, seed=1)
    again, _ = draw_texts("moroco", "valid", rows=50, vocabulary=2000, seed=1)
    assert np.array_equal(examples.target, again.target)
    for row, label in enumerate(examples.target.argmax(axis=1)):
        ids = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]][1:-1]
        telling = ids[ids < 10 * (1 + len(examples.task.labels))]
        assert set((telling // 10 - 1).tolist()) <= {int(label)}
