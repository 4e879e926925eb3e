from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from distilro.corpora.examples import Task
from distilro.errors import TrainingError
from distilro.modeling.dropout import drop
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import pad_batch
from distilro.training.batches import Batch, BatchLimits
from distilro.training.checkpoints import Checkpoints
from distilro.training.engine import Goal, LoopSettings, prepare_optimiser, train_classifier
from distilro.training.epochs import TaskData, lay_out_epoch
from distilro.training.objective import Objective, Targets
from distilro.training.weighting import build_weighting

TASKS = {
    "topic": Task("topic", "multi_class", ("culture", "sports", "tech")),
    "emotion": Task("emotion", "multi_label", ("joy", "fear")),
}
SETTINGS = LoopSettings(
    epochs=3,
    learning_rate=0.05,
    limits=BatchLimits(8, 64),
    warmup_share=0.1,
    weight_decay=0.01,
    layer_decay=1.0,
    clip_norm=1.0,
    precision="fp32",
    sampling="proportional",
    seed=0,
)


class BagOfWords(nn.Module):
    """A mean of word vectors and a head per task: enough to learn, quick to train."""

    def __init__(self, seed: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = nn.Embedding(20, 8)
        self.encoder.config = SimpleNamespace(pad_token_id=0)
        self.dropout = dropout
        self.heads = nn.ModuleDict({n: nn.Linear(8, len(t.labels)) for n, t in TASKS.items()})

    def forward(self, task, batch, precision="fp32"):
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        states = self.encoder(batch.ids).to(dtype)  # [S, 8]
        return self.heads[task](drop(batch.average(states), self.dropout * self.training))


def make_data(name, rows=40, teacher=None):
    """Texts whose first word gives the label away."""
    task, rng = TASKS[name], np.random.default_rng(1)
    labels = rng.integers(len(task.labels), size=rows)
    lengths = rng.integers(2, 7, size=rows)
    words = [
        np.concatenate([[label + 1], rng.integers(10, 20, n - 1)])
        for label, n in zip(labels, lengths, strict=True)
    ]
    tokens = RaggedTokens(
        np.concatenate(words).astype(np.int32), np.concatenate([[0], np.cumsum(lengths)])
    )
    target = np.eye(len(task.labels), dtype=np.float32)[labels]
    ids = [f"{name}{row}" for row in range(rows)]
    return TaskData(task, ids, tokens, target, np.ones(target.shape, bool), teacher)


def make_teacher(data, kind="right"):
    target = data.target if kind == "right" else data.target[::-1]
    return np.ascontiguousarray(0.9 * target + 0.1 / target.shape[1], dtype=np.float32)


def measure_accuracy(data):
    def score(classifier):
        classifier.eval()
        with torch.no_grad():
            batch = pad_batch(data.tokens, np.arange(len(data.ids)), 0)
            logits = classifier(data.task.name, batch)
        return {data.task.name: float((logits.argmax(1).numpy() == data.target.argmax(1)).mean())}

    return score


def make_objective(anneal=None, **parts):
    return Objective(build_weighting("fixed", list(TASKS), {}), Targets(anneal=anneal), **parts)


def train(data, settings=SETTINGS, seed=0, anneal=None):
    classifier = BagOfWords(seed)
    goal = Goal(measure_accuracy(data[0]), make_objective(anneal))
    training = train_classifier(classifier, data, settings, goal)
    weights = torch.cat([p.detach().reshape(-1) for p in classifier.parameters()])
    return training, weights, classifier


def test_it_learns_what_the_first_word_gives_away():
    training, _, _ = train([make_data("topic")], replace(SETTINGS, epochs=15))
    assert training.best_score > 0.9
    assert training.history[-1]["loss"] < training.history[0]["loss"]


def test_the_history_tells_the_rates_that_the_optimiser_took(monkeypatch):
    taken, step = [], torch.optim.AdamW.step

    def step_and_note(optimiser, *args, **kwargs):
        taken.append(max(group["lr"] for group in optimiser.param_groups))
        return step(optimiser, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step_and_note)
    training, _, _ = train([make_data("topic")], replace(SETTINGS, epochs=5, warmup_share=0.3))
    told = [epoch["learning_rate"] for epoch in training.history]
    assert told == [taken[epoch["step"] - 1] for epoch in training.history]
    assert told[0] < max(told) and told[-1] < told[-2] < told[-3]


def test_the_same_seed_gives_the_same_weights_and_another_gives_others():
    first, again = train([make_data("topic")])[1], train([make_data("topic")])[1]
    other = train([make_data("topic")], replace(SETTINGS, seed=1))[1]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_teacher_of_weight_zero_leaves_the_supervised_weights_to_the_last_bit():
    data = make_data("topic")
    taught = replace(data, teacher=make_teacher(data, "wrong"))
    assert torch.equal(train([data])[1], train([taught], anneal=0.0)[1])


@pytest.mark.parametrize("anneal", [0.5, 1.0, "linear"])
def test_a_teacher_with_weight_changes_the_weights(anneal):
    data = make_data("topic")
    taught = replace(data, teacher=make_teacher(data))
    assert not torch.equal(train([data])[1], train([taught], anneal=anneal)[1])


def test_a_student_of_a_shuffled_teacher_is_worse():
    data = make_data("topic")
    settings = replace(SETTINGS, epochs=15)
    right, wrong = (
        train([replace(data, teacher=make_teacher(data, kind))], settings, anneal=1.0)
        for kind in ("right", "wrong")
    )
    right, wrong = right[0].best_score, wrong[0].best_score
    assert wrong < right - 0.2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.01),
        ("warmup_share", 0.5),
        ("weight_decay", 0.5),
        ("clip_norm", 1e-3),
        ("layer_decay", 0.5),
        ("epochs", 2),
        ("sampling", "uniform"),
        ("precision", "bf16"),
        ("limits", BatchLimits(4, 64)),
    ],
)
def test_every_setting_has_an_effect(field, value):
    data = [make_data("topic"), make_data("emotion", rows=12)]
    assert not torch.equal(train(data)[1], train(data, replace(SETTINGS, **{field: value}))[1])


def test_the_best_epoch_is_kept_and_not_the_last():
    scores = iter([0.2, 0.9, 0.5])
    kept = {}

    def score(classifier):
        value = next(scores)
        kept[value] = [p.detach().clone() for p in classifier.parameters()]
        return {"topic": value}

    classifier = BagOfWords()
    training = train_classifier(classifier, [make_data("topic")], SETTINGS, Goal(score))
    assert (training.best_score, training.best_step) == (0.9, training.history[1]["step"])
    assert all(map(torch.equal, classifier.parameters(), kept[0.9]))


def test_several_tasks_share_the_body_and_each_trains_its_head():
    data = [make_data("topic"), make_data("emotion", rows=12)]
    before = BagOfWords()
    _, _, after = train(data)
    for name, parameter in before.named_parameters():
        assert not torch.equal(parameter, after.get_parameter(name)), name


def test_a_second_training_goes_on_with_the_optimiser_it_is_given(tmp_path):
    """Also where the first one was finished by another process, which left its checkpoint."""

    def run(folder, optimiser, classifier, seed):
        checkpoints = Checkpoints(tmp_path / folder, "0", seconds=600)
        settings = replace(SETTINGS, seed=seed)
        goal = Goal(measure_accuracy(make_data("topic")), make_objective())
        train_classifier(classifier, [make_data("topic")], settings, goal,
                         optimiser=optimiser, checkpoints=checkpoints)  # fmt: skip
        return torch.cat([p.detach().reshape(-1) for p in classifier.parameters()])

    def run_both(second):
        classifier = BagOfWords()
        optimiser = prepare_optimiser(classifier, SETTINGS)
        run("first", optimiser, classifier, 0)
        steps = {float(state["step"]) for state in optimiser.state.values()}
        assert steps == {15.0}  # three epochs of five batches
        return run(second, optimiser, classifier, 1)

    kept = run_both("second")
    assert torch.equal(run_both("again"), kept)  # the first is taken from its checkpoint now
    classifier = BagOfWords()
    run("other", None, classifier, 0)
    assert not torch.equal(run("fresh", None, classifier, 1), kept)


def test_the_cost_of_a_run_is_counted():
    data = make_data("topic")
    training = train([data])[0]
    assert training.tokens == 3 * int(data.tokens.lengths.sum())
    assert training.steps == training.history[-1]["step"]
    assert 0.0 <= training.padding_share < 0.5


def test_a_gradient_that_is_not_finite_stops_the_run_at_its_step():
    data = make_data("topic")
    classifier = BagOfWords()
    with torch.no_grad():
        classifier.encoder.weight[1] = float("inf")
    with pytest.raises(
        TrainingError, match=r"step 0 of .*task topic.*topic\d+.*gradient norm.*learning rate"
    ):
        train_classifier(classifier, [data], SETTINGS, Goal(measure_accuracy(data)))


def test_the_loss_of_an_example_does_not_depend_on_its_batch():
    data, classifier = make_data("topic"), BagOfWords().eval()
    parts = [np.arange(10), *(np.array([row]) for row in range(10))]
    batches = [Batch("topic", rows, 1.0) for rows in parts]
    layout = {"pad_id": 0, "packed": False, "device": torch.device("cpu")}
    laid_out = lay_out_epoch({"topic": data}, batches, **layout)
    together, *alone = (
        make_objective().compute_losses(classifier, batch, "fp32", (0, 1))[0] for batch in laid_out
    )
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)
