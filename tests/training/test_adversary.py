from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from distilro.errors import DataError
from distilro.modeling.dropout import drop
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import PackedBatch, pad_batch
from distilro.recipe_settings import AdversarySettings
from distilro.training.adversary import (
    Adversary,
    LanguageTexts,
    _Draw,
    count_critic_steps,
)

WIDTH = 8
SETTINGS = AdversarySettings(
    steps=2, many_steps=4, many_first=1, many_every=100, hidden=16, batch_examples=16, weight=0.5
)


class WordVectors(nn.Module):
    """A stub of a classifier: a linear map of the mean of a text's word vectors."""

    def __init__(self, dropout=0.0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.encoder = nn.Embedding(40, WIDTH)
            self.map = nn.Linear(WIDTH, WIDTH)
            self.head = nn.Linear(WIDTH, 2)
        self.encoder.config = SimpleNamespace(pad_token_id=0)
        self.dropout = dropout
        self.passes = []

    def pool_texts(self, batch, precision="fp32"):
        self.passes.append((batch, self.training, torch.is_grad_enabled()))
        pooled = self.map(batch.average(self.encoder(batch.ids)))
        return drop(pooled, self.dropout * self.training)


def make_tokens(first_word, texts=60, seed=0):
    """Return texts of the 19 words of a language."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 7, size=texts)
    ids = first_word + rng.integers(19, size=lengths.sum())
    return RaggedTokens(ids.astype(np.int32), np.concatenate([[0], np.cumsum(lengths)]))


DRAWS = (_Draw.CRITIC_SOURCE, _Draw.CRITIC_TARGET, _Draw.LOSS_SOURCE, _Draw.LOSS_TARGET)
SOURCE, TARGET = make_tokens(1), make_tokens(20, seed=1)


def build_adversary(settings=SETTINGS, *, packed=False, seed=0, target=TARGET):
    texts = LanguageTexts(SOURCE, target, pad_id=0, packed=packed, precision="fp32")
    return Adversary(settings, texts, width=WIDTH, seed=seed, first_epoch_steps=50, device="cpu")


def change(**values):
    return SETTINGS.model_copy(update=values)


def pool_labelled(classifier, rows=6):
    """Return the pooled rows of a batch with labels, all of them of the source language."""
    pooled = classifier.pool_texts(pad_batch(SOURCE, np.arange(rows), 0))
    return pooled, torch.ones(rows, dtype=torch.bool)


def copy_weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def take_gradients(module):
    return {n: None if p.grad is None else p.grad.clone() for n, p in module.named_parameters()}


def say_equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


@pytest.mark.parametrize(
    ("step", "first_epoch_steps", "expected"),
    [
        (0, 1000, 10),
        (25, 1000, 10),
        (26, 1000, 5),
        (499, 1000, 5),
        (500, 1000, 10),
        (501, 1000, 5),
        (1000, 1000, 10),
        (9, 10, 10),  # a first epoch of ten steps
        (10, 10, 5),
        (25, 10, 5),
    ],
)
def test_the_critics_steps_are_those_of_the_paper(step, first_epoch_steps, expected):
    settings = AdversarySettings()
    assert count_critic_steps(step, settings, first_epoch_steps=first_epoch_steps) == expected


@pytest.mark.parametrize(("step", "steps"), [(0, 4), (1, 2), (100, 4)])
def test_the_critic_takes_the_steps_of_the_schedule(step, steps):
    adversary = build_adversary()
    adversary.train_critic(WordVectors(), step)
    taken = adversary.remember()["optimiser.step.layers.0.weight"]
    assert int(taken) == steps


def test_only_the_critics_weights_are_clipped():
    classifier, adversary = WordVectors(), build_adversary(change(clip=0.01))
    before = copy_weights(classifier)
    for step in range(3):
        adversary.train_critic(classifier, step)
        assert max(float(p.detach().abs().max()) for p in adversary.critic.parameters()) <= 0.01
    assert say_equal(copy_weights(classifier), before)
    assert float(classifier.map.weight.detach().abs().max()) > 0.01


def test_a_critic_is_bounded_before_its_first_step():
    critic = build_adversary(change(clip=0.01)).critic
    assert max(float(p.detach().abs().max()) for p in critic.parameters()) == pytest.approx(0.01)


def test_under_a_penalty_nothing_is_clipped():
    adversary = build_adversary(change(gradient_penalty=10.0, clip=1e-6))
    adversary.train_critic(WordVectors(), 0)
    assert max(float(p.detach().abs().max()) for p in adversary.critic.parameters()) > 0.01


def test_a_penalty_keeps_slopes_near_1():
    """1 steeper by W / (2 * 100) at the most; see `test_critic`."""
    settings = change(gradient_penalty=100.0, learning_rate=5e-3, batch_examples=32, steps=5)
    classifier, adversary = WordVectors(), build_adversary(settings)
    for step in range(60):
        adversary.train_critic(classifier, step)
    points = classifier.pool_texts(pad_batch(SOURCE, np.arange(60), 0)).detach()
    points = (points + classifier.pool_texts(pad_batch(TARGET, np.arange(60), 0))) / 2
    points = points.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(adversary.critic(points).sum(), points)
    assert float(gradient.norm(dim=1).mean()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("penalty", [None, 10.0])
def test_the_critic_learns_to_tell_the_languages_apart(penalty):
    settings = change(gradient_penalty=penalty, clip=0.2, learning_rate=5e-3)
    classifier, adversary = WordVectors(), build_adversary(settings)
    adversary.train_critic(classifier, 1)
    first = adversary.take_gap()
    for step in range(2, 60):
        adversary.train_critic(classifier, step)
    adversary.take_gap()
    adversary.train_critic(classifier, 60)
    assert adversary.take_gap() > first + 0.2


def test_the_critic_finds_nothing_between_texts_of_one_language():
    settings = change(clip=0.2, learning_rate=5e-3, batch_examples=64)
    classifier, adversary = WordVectors(), build_adversary(settings, target=SOURCE)
    for step in range(40):
        adversary.train_critic(classifier, step)
    assert abs(adversary.take_gap()) < 0.05


@pytest.mark.parametrize("mode", [True, False])
def test_training_the_critic_leaves_the_classifier_as_it_was(mode):
    classifier, adversary = WordVectors(dropout=0.5).train(mode), build_adversary()
    before = copy_weights(classifier)
    torch.manual_seed(0)
    adversary.train_critic(classifier, 0)
    drawn = torch.rand(2)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(2), drawn)  # the classifier's dropout is drawn from these
    assert classifier.training is mode
    assert all(gradient is None for gradient in take_gradients(classifier).values())
    assert say_equal(copy_weights(classifier), before)
    assert {seen[1:] for seen in classifier.passes} == {(False, False)}


def test_every_critic_step_has_texts_of_its_own_and_every_step_too():
    classifier, adversary = WordVectors(), build_adversary()
    adversary.train_critic(classifier, 0)
    adversary.train_critic(classifier, 100)
    first, second = (batch.ids for batch, *_ in classifier.passes)
    assert first.shape != second.shape or not torch.equal(first, second)
    rows = [tuple(adversary._draw_rows(kind, 0, n)) for n in range(4) for kind in DRAWS]
    assert len(set(rows)) == len(rows)


def test_rows_are_of_the_language_that_was_asked_for():
    adversary = build_adversary()
    for kind in DRAWS:
        rows = np.concatenate([adversary._draw_rows(kind, step) for step in range(50)])
        assert len(set(rows)) == 60  # every text has its turn, and no other
        of_source = adversary._joined.select(rows).ids < 20
        assert of_source.all() if kind.name.endswith("SOURCE") else not of_source.any()


def test_the_loss_is_the_weighted_gap_between_the_batch_and_fresh_target_texts():
    classifier, adversary = WordVectors(), build_adversary()
    pooled = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(0))
    source = torch.tensor([True, False, True, False])
    loss = adversary.compute_loss(classifier, pooled, source, 7)
    (batch, _, with_gradient), *others = classifier.passes
    assert with_gradient
    assert not others
    assert (batch.ids[batch.mask.reshape(-1)] >= 20).all()
    score = adversary.critic
    expected = score(pooled[[0, 2]]).mean() - score(classifier.pool_texts(batch)).mean()
    torch.testing.assert_close(loss, 0.5 * expected)


def test_a_batch_without_source_rows_is_compared_with_fresh_ones():
    classifier, adversary = WordVectors(), build_adversary()
    pooled = torch.randn(4, WIDTH).requires_grad_(True)
    loss = adversary.compute_loss(classifier, pooled, torch.zeros(4, dtype=torch.bool), 7)
    batch = classifier.passes[0][0]
    scores = adversary.critic(classifier.pool_texts(batch))
    assert len(scores) == 2 * SETTINGS.batch_examples
    torch.testing.assert_close(loss, 0.5 * (scores[16:].mean() - scores[:16].mean()))
    loss.backward()
    assert float(pooled.grad.abs().max()) == 0.0


def test_the_loss_gives_the_critic_no_gradient_and_the_classifier_one_from_both_languages():
    classifier, adversary = WordVectors(), build_adversary()
    loss = adversary.compute_loss(classifier, *pool_labelled(classifier), 0)
    loss.backward()
    assert all(gradient is None for gradient in take_gradients(adversary.critic).values())
    words = classifier.encoder.weight.grad.abs().sum(dim=1)
    assert float(words[1:20].max()) > 0
    assert float(words[20:].max()) > 0


def test_the_critic_can_learn_again_after_a_loss():
    classifier, adversary = WordVectors(), build_adversary()
    adversary.compute_loss(classifier, *pool_labelled(classifier), 0).backward()
    before = copy_weights(adversary.critic)
    adversary.train_critic(classifier, 1)
    assert not say_equal(copy_weights(adversary.critic), before)


def test_texts_of_the_loss_are_read_in_the_classifiers_mode():
    classifier, adversary = WordVectors(dropout=0.5).train(), build_adversary()
    torch.manual_seed(0)
    pooled, source = pool_labelled(classifier)
    first, second = (adversary.compute_loss(classifier, pooled, source, 0) for _ in range(2))
    assert not torch.equal(first, second)  # dropout: the texts are the same
    assert all(training for _, training, _ in classifier.passes)


def adapt(weight, steps=60):
    """Return how far apart an adapted encoder's languages are: a label's loss on the source too."""
    settings = change(weight=weight, clip=0.2, learning_rate=5e-3, steps=3)
    classifier, adversary = WordVectors(), build_adversary(settings)
    optimiser = torch.optim.Adam(classifier.parameters(), lr=5e-3)
    labels = torch.arange(60) % 2
    for step in range(steps):
        adversary.train_critic(classifier, step)
        pooled, source = pool_labelled(classifier, 60)
        loss = nn.functional.cross_entropy(classifier.head(pooled), labels)
        optimiser.zero_grad()
        (loss + adversary.compute_loss(classifier, pooled, source, step)).backward()
        optimiser.step()
    with torch.no_grad():
        source, target = (
            classifier.pool_texts(pad_batch(tokens, np.arange(60), 0)).mean(dim=0)
            for tokens in (SOURCE, TARGET)
        )
    return float((source - target).norm())


def test_the_classifier_brings_the_languages_together():
    assert adapt(weight=1.0) < 0.5 * adapt(weight=0.0)


def test_at_weight_0_gradients_are_unchanged_bit_for_bit():
    classifier, adversary = WordVectors(dropout=0.5), build_adversary(change(weight=0.0))

    def backward(adversarial):
        classifier.zero_grad()
        torch.manual_seed(0)
        pooled, source = pool_labelled(classifier)
        loss = classifier.head(pooled).square().mean()
        if adversarial:
            adversary.train_critic(classifier, 0)
            loss = loss + adversary.compute_loss(classifier, pooled, source, 0)
        loss.backward()
        return float(loss.detach()), take_gradients(classifier), torch.rand(2)

    plain, adversarial = backward(False), backward(True)
    assert adversarial[0] == plain[0]
    assert all(
        (a.numpy().tobytes() == p.numpy().tobytes())
        for a, p in zip(adversarial[1].values(), plain[1].values(), strict=True)
    )
    assert torch.equal(adversarial[2], plain[2])


def test_a_change_of_the_weight_changes_the_gradient():
    gradients = []
    for weight in (0.25, 0.5):
        classifier, adversary = WordVectors(), build_adversary(change(weight=weight))
        adversary.compute_loss(classifier, *pool_labelled(classifier), 0).backward()
        gradients.append(classifier.map.weight.grad)
    torch.testing.assert_close(2 * gradients[0], gradients[1])


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_critic_that_is_not_finite_is_seen_in_the_loss(weight):
    classifier, adversary = WordVectors(), build_adversary(change(weight=weight))
    with torch.no_grad():
        adversary.critic.layers[0].weight[0, 0] = float("nan")
    adversary.train_critic(classifier, 1)
    loss = adversary.compute_loss(classifier, *pool_labelled(classifier), 1)
    assert torch.isnan(loss)
    assert np.isnan(adversary.take_gap())


def test_the_gap_of_an_epoch_is_the_mean_of_its_steps():
    def gather(split):
        adversary, classifier, gaps = build_adversary(), WordVectors(), []
        for step in range(4):
            adversary.train_critic(classifier, step)
            if split:
                gaps.append(adversary.take_gap())
        return gaps if split else adversary.take_gap()

    assert gather(split=False) == pytest.approx(np.mean(gather(split=True)))


def test_there_is_no_gap_before_the_first_step_nor_twice():
    adversary = build_adversary()
    assert adversary.take_gap() is None
    adversary.train_critic(WordVectors(), 0)
    assert adversary.take_gap() is not None
    assert adversary.take_gap() is None


@pytest.mark.parametrize("penalty", [None, 10.0])
@pytest.mark.parametrize("stopped", [0, 2, 3])
def test_a_resumed_critic_goes_on_bit_for_bit(penalty, stopped):
    settings = change(gradient_penalty=penalty)

    def go(adversary, steps):
        for step in steps:
            adversary.train_critic(classifier, step)
            if step == 2:
                taken.append(adversary.take_gap())

    classifier, taken = WordVectors(), []
    whole = build_adversary(settings)
    go(whole, range(6))
    part = build_adversary(settings)
    go(part, range(stopped))
    kept = {name: tensor.detach().clone() for name, tensor in part.remember().items()}
    resumed = build_adversary(settings)
    resumed.train_critic(classifier, 40)  # whatever it was before
    resumed.recall(kept)
    torch.manual_seed(11)
    go(resumed, range(stopped, 6))
    assert taken[0] == taken[1]
    assert say_equal(whole.remember(), resumed.remember())
    losses = [a.compute_loss(classifier, *pool_labelled(classifier), 6) for a in (whole, resumed)]
    assert torch.equal(*losses)
    assert whole.take_gap() == resumed.take_gap()


def test_what_is_remembered_is_the_critic_its_optimiser_and_open_gaps():
    adversary = build_adversary()
    adversary.train_critic(WordVectors(), 0)
    adversary.train_critic(WordVectors(), 1)
    tensors = adversary.remember()
    kinds = {name.split(".layers.")[0] for name in tensors}
    of_adam = {"optimiser.step", "optimiser.exp_avg", "optimiser.exp_avg_sq"}
    assert kinds == {"model", "gaps", *of_adam}
    assert tensors["gaps"].shape == (2,)


def test_the_seed_alone_decides_a_critics_training():
    def run(seed):
        adversary = build_adversary(seed=seed)
        adversary.train_critic(WordVectors(), 0)
        return copy_weights(adversary.critic)

    assert say_equal(run(0), run(0))
    assert not say_equal(run(0), run(1))


def test_packed_texts_teach_the_same():
    critics = []
    for packed in (False, True):
        classifier, adversary = WordVectors(), build_adversary(packed=packed)
        adversary.train_critic(classifier, 0)
        loss = adversary.compute_loss(classifier, *pool_labelled(classifier), 0)
        assert any(isinstance(batch, PackedBatch) for batch, *_ in classifier.passes) is packed
        critics.append((*copy_weights(adversary.critic).values(), loss.detach()))
    torch.testing.assert_close(*critics)


def test_a_language_without_texts_is_refused():
    with pytest.raises(DataError, match="got 60 source and 0 target texts"):
        build_adversary(target=TARGET.select(np.zeros(0, np.int64)))
