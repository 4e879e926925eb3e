import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distilro.training.losses import (
    compute_gold_loss,
    compute_teacher_loss,
    compute_teacher_weight,
    compute_votes_loss,
    find_votes,
    mix_losses,
    mix_votes,
)

KINDS = ("multi_class", "multi_label")
NAN = math.nan
shares = st.floats(0, 1)


def make_batch(seed: int, rows: int = 5, labels: int = 4):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, labels, generator=generator, dtype=torch.float64)
    gold = torch.randint(labels, (rows,), generator=generator)
    one_hot = torch.nn.functional.one_hot(gold, labels).double()
    scores = torch.randn(rows, labels, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), one_hot, scores


def soften(kind: str, scores: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    scores = scores / temperature
    return scores.softmax(-1) if kind == "multi_class" else scores.sigmoid()


def find_gradient(loss: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(loss.sum(), logits)[0]


def test_a_single_gold_class_costs_its_negative_log_probability():
    logits = torch.tensor([[0.0, math.log(3.0)]])
    loss = compute_gold_loss(
        "multi_class", logits, torch.tensor([[0.0, 1.0]]), torch.ones(1, 2) > 0
    )
    assert loss.item() == pytest.approx(-math.log(0.75))


def test_a_set_of_classes_costs_the_negative_log_of_its_total_probability():
    logits = torch.log(torch.tensor([[0.2, 0.3, 0.5]]))
    target = torch.tensor([[1.0, 1.0, 0.0]])
    loss = compute_gold_loss("multi_class", logits, target, torch.ones(1, 3) > 0)
    assert loss.item() == pytest.approx(-math.log(0.5))


def test_a_set_of_all_classes_costs_nothing_and_teaches_nothing():
    logits = torch.randn(2, 3, requires_grad=True)
    loss = compute_gold_loss("multi_class", logits, torch.ones(2, 3), torch.ones(2, 3) > 0)
    loss.sum().backward()
    assert loss.abs().max().item() < 1e-6
    assert logits.grad.abs().max().item() < 1e-6


def test_an_unobserved_label_has_no_gradient_and_the_rest_are_averaged():
    logits = torch.zeros(1, 4, requires_grad=True)
    observed = torch.tensor([[True, False, True, False]])
    target = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    loss = compute_gold_loss("multi_label", logits, target, observed)
    loss.sum().backward()
    assert loss.item() == pytest.approx(math.log(2.0))
    assert logits.grad.tolist() == [[-0.25, 0.0, 0.25, 0.0]]


def test_an_example_without_observed_labels_costs_nothing():
    loss = compute_gold_loss(
        "multi_label", torch.ones(1, 3), torch.ones(1, 3), torch.zeros(1, 3) > 0
    )
    assert loss.tolist() == [0.0]


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 999), weight=shares)
def test_mixing_losses_equals_mixing_targets(kind, seed, weight):
    logits, gold, scores = make_batch(seed)
    teacher = soften(kind, scores)
    observed = torch.ones_like(gold) > 0
    mixed_losses = mix_losses(
        compute_gold_loss(kind, logits, gold, observed),
        compute_teacher_loss(kind, logits, teacher),
        weight,
    )
    mixed_target = weight * teacher + (1 - weight) * gold
    by_target = compute_teacher_loss(kind, logits, mixed_target)
    assert torch.allclose(mixed_losses, by_target, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_that_answers_like_its_teacher_has_no_gradient(kind):
    _, _, scores = make_batch(4)
    logits = scores.clone().requires_grad_()
    teacher = soften(kind, scores)
    compute_teacher_loss(kind, logits, teacher).sum().backward()
    assert logits.grad.abs().max().item() < 1e-12


def test_at_temperature_two_a_loss_by_hand():
    """Halved logits 0 and log 3 are probabilities 1/4 and 3/4; four times their cross entropy."""
    logits = torch.tensor([[0.0, 2 * math.log(3.0)]])
    by_class = compute_teacher_loss("multi_class", logits, torch.tensor([[1.0, 0.0]]), 2.0)
    by_label = compute_teacher_loss("multi_label", logits[:, 1:], torch.tensor([[0.0]]), 2.0)
    assert by_class.item() == pytest.approx(4 * math.log(4.0))
    assert by_label.item() == pytest.approx(4 * math.log(4.0))


@pytest.mark.parametrize("kind", KINDS)
def test_temperature_one_is_the_plain_cross_entropy_to_the_last_bit(kind):
    logits, _, scores = make_batch(5)
    logits = logits.detach().float().requires_grad_()
    teacher = soften(kind, scores.float())
    if kind == "multi_class":
        plain = -(teacher * logits.log_softmax(dim=-1)).sum(dim=-1)
    else:
        plain = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, teacher, reduction="none"
        ).mean(dim=-1)
    loss = compute_teacher_loss(kind, logits, teacher)
    assert torch.equal(loss, plain)
    assert torch.equal(find_gradient(loss, logits), find_gradient(plain, logits))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 999), temperature=st.floats(0.5, 8), scale=st.floats(0.5, 8))
def test_the_gradient_does_not_shrink_with_temperature(kind, seed, temperature, scale):
    """Logits of both and T, all `scale` times as large, give `scale` times the gradient."""
    logits, _, scores = make_batch(seed)
    loss = compute_teacher_loss(kind, logits, soften(kind, scores, temperature), temperature)
    wide = (scale * logits.detach()).requires_grad_()
    high = scale * temperature
    wide_loss = compute_teacher_loss(kind, wide, soften(kind, scale * scores, high), high)
    assert torch.allclose(find_gradient(wide_loss, wide), scale * find_gradient(loss, logits))


@pytest.mark.parametrize("kind", KINDS)
def test_at_a_high_temperature_the_gradient_is_the_difference_of_logits(kind):
    """Hinton et al. 2015, equation 4; a Bernoulli label has a slope of 1/4 in place of 1/L."""
    logits, _, scores = make_batch(6)
    loss = compute_teacher_loss(kind, logits, soften(kind, scores, 1e4), 1e4)
    difference = (logits - scores).detach()
    if kind == "multi_class":
        expected = (difference - difference.mean(dim=-1, keepdim=True)) / 4
    else:
        expected = difference / 4 / 4
    assert torch.allclose(find_gradient(loss, logits), expected, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.5, 2.0, 5.0])
def test_a_student_like_its_teacher_has_no_gradient_at_the_teachers_temperature(kind, temperature):
    _, _, scores = make_batch(7)
    logits = scores.clone().requires_grad_()
    loss = compute_teacher_loss(kind, logits, soften(kind, scores, temperature), temperature)
    assert find_gradient(loss, logits).abs().max().item() < 1e-12
    other = compute_teacher_loss(kind, logits, soften(kind, scores, temperature), 1.0)
    assert find_gradient(other, logits).abs().max().item() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_votes_by_hand(kind):
    """Votes 1/3 and 2/3 beside logits 0 and log 3; the third label has none."""
    logits = torch.tensor([[0.0, math.log(3.0), 0.0]])
    votes = torch.tensor([[1 / 3, 2 / 3, NAN]])
    loss = compute_votes_loss(kind, logits, votes, torch.tensor([True]))
    if kind == "multi_class":  # probabilities 1/5, 3/5 and 1/5
        expected = math.log(5) / 3 + 2 * math.log(5 / 3) / 3
    else:  # log 2, and the cross entropy of 2/3 with 3/4, averaged
        expected = (math.log(2) + 2 * math.log(4 / 3) / 3 + math.log(4) / 3) / 2
    assert loss.item() == pytest.approx(expected)


def test_votes_of_one_class_are_shared_out_whatever_their_sum():
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    votes = torch.tensor([[1.0, 0.5, 0.5]])
    has_votes = torch.tensor([True])
    loss, halved = (
        compute_votes_loss("multi_class", logits, part, has_votes) for part in (votes, votes / 2)
    )
    assert loss.item() == pytest.approx(halved.item())


@pytest.mark.parametrize("kind", KINDS)
def test_unanimous_votes_cost_what_gold_labels_cost(kind):
    logits, gold, _ = make_batch(8)
    everywhere = torch.ones_like(gold) > 0
    by_votes = compute_votes_loss(kind, logits, gold, everywhere[:, 0])
    assert torch.allclose(by_votes, compute_gold_loss(kind, logits, gold, everywhere), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 999), weight=shares)
def test_mixing_votes_equals_mixing_targets(kind, seed, weight):
    logits, gold, scores = make_batch(seed)
    votes = soften(kind, scores)
    everywhere = torch.ones_like(gold) > 0
    has_votes = everywhere[:, 0]
    mixed = mix_votes(
        compute_gold_loss(kind, logits, gold, everywhere),
        compute_votes_loss(kind, logits, votes, has_votes),
        weight,
        has_votes,
    )
    by_target = compute_teacher_loss(kind, logits, weight * votes + (1 - weight) * gold)
    assert torch.allclose(mixed, by_target, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_without_votes_keeps_its_gold_loss_and_gradient_to_the_last_bit(kind):
    logits, gold, scores = make_batch(9)
    votes = soften(kind, scores)
    votes[1] = votes[3] = NAN
    has_votes = find_votes(kind, votes)
    gold_loss = compute_gold_loss(kind, logits, gold, torch.ones_like(gold) > 0)
    votes_loss = compute_votes_loss(kind, logits, votes, has_votes)
    mixed = mix_votes(gold_loss, votes_loss, 0.7, has_votes)
    assert has_votes.tolist() == [True, False, True, False, True]
    assert (votes_loss[~has_votes] == 0).all()
    assert torch.equal(mixed[~has_votes], gold_loss[~has_votes])
    of_mixed = find_gradient(mixed, logits)
    of_gold = find_gradient(compute_gold_loss(kind, logits, gold, gold >= 0), logits)
    assert torch.equal(of_mixed[~has_votes], of_gold[~has_votes])
    assert (of_mixed[has_votes] != of_gold[has_votes]).any(dim=-1).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filling", [0.0, 0.5])
def test_what_fills_the_votes_of_an_example_without_any_costs_and_teaches_nothing(kind, filling):
    logits = torch.ones(2, 3, requires_grad=True)
    votes = torch.full((2, 3), filling)
    loss = compute_votes_loss(kind, logits, votes, torch.tensor([False, False]))
    assert (loss == 0).all()
    assert (find_gradient(loss, logits) == 0).all()


def test_that_nobody_chose_a_label_is_an_answer_only_where_labels_are_independent():
    votes = torch.tensor([[0.0, 0.0], [NAN, NAN], [NAN, 0.5], [NAN, 0.0]])
    assert find_votes("multi_label", votes).tolist() == [True, False, True, True]
    assert find_votes("multi_class", votes).tolist() == [False, False, True, False]


BASIS = {"temperature": 1.0, "teacher_weight": 0.5, "votes_weight": 0.5}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("changed", [{}, *({name: 0.8} for name in BASIS)])
def test_every_number_of_a_loss_changes_its_gradient(kind, changed):
    def learn(temperature, teacher_weight, votes_weight):
        logits, gold, scores = make_batch(10)
        everywhere = torch.ones_like(gold) > 0
        votes_loss = compute_votes_loss(kind, logits, soften(kind, -scores), everywhere[:, 0])
        gold_loss = compute_gold_loss(kind, logits, gold, everywhere)
        gold_loss = mix_votes(gold_loss, votes_loss, votes_weight, everywhere[:, 0])
        teacher_loss = compute_teacher_loss(kind, logits, soften(kind, scores), temperature)
        return find_gradient(mix_losses(gold_loss, teacher_loss, teacher_weight), logits)

    change = (learn(**BASIS) - learn(**{**BASIS, **changed})).abs().amax(dim=-1)  # [B]
    assert (change > 1e-3).all() if changed else (change == 0).all()


@given(st.integers(1, 10_000), st.data())
def test_the_annealed_teacher_weight_falls_from_one_to_one_over_the_steps(total, data):
    step = data.draw(st.integers(0, total - 1))
    weight = compute_teacher_weight("linear", step, total)
    assert 1 / total - 1e-12 <= weight <= 1.0
    assert compute_teacher_weight("linear", 0, total) == 1.0
    assert compute_teacher_weight("linear", total - 1, total) == pytest.approx(1 / total)
    if step:
        assert weight < compute_teacher_weight("linear", step - 1, total)


@pytest.mark.parametrize("anneal", [0.0, 0.5, 1.0])
def test_a_fixed_teacher_weight_stays(anneal):
    assert {compute_teacher_weight(anneal, step, 7) for step in range(7)} == {anneal}


def test_without_a_teacher_its_weight_is_zero():
    assert compute_teacher_weight(None, 3, 10) == 0.0


@given(st.integers(1, 500))
def test_the_annealed_teacher_is_heard_for_half_of_the_steps_and_half_a_step(total):
    weights = [compute_teacher_weight("linear", step, total) for step in range(total)]
    assert sum(weights) == pytest.approx((total + 1) / 2)
