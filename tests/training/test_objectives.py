import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distilro.training.objectives import (
    compute_gold_loss,
    compute_teacher_loss,
    compute_teacher_weight,
    mix_losses,
)

KINDS = ("multi_class", "multi_label")


def make_batch(seed: int, rows: int = 5, labels: int = 4):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, labels, generator=generator, dtype=torch.float64)
    gold = torch.randint(labels, (rows,), generator=generator)
    one_hot = torch.nn.functional.one_hot(gold, labels).double()
    scores = torch.randn(rows, labels, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), one_hot, scores


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
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_mixing_losses_equals_mixing_targets(kind, weight):
    logits, gold, scores = make_batch(3)
    teacher = scores.softmax(-1) if kind == "multi_class" else scores.sigmoid()
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
    teacher = scores.softmax(-1) if kind == "multi_class" else scores.sigmoid()
    compute_teacher_loss(kind, logits, teacher).sum().backward()
    assert logits.grad.abs().max().item() < 1e-12


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
