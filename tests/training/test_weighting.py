import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distilro.errors import SettingsError, TrainingError
from distilro.training.objective import Objective
from distilro.training.optimisation import (
    add_parameters,
    build_optimiser,
    scale_learning_rate,
    set_learning_rate,
)
from distilro.training.weighting import MEMORY, WEIGHTINGS, build_weighting

TASKS = ("emotion", "sentiment", "topic")
score = st.floats(0, 1)
scores = st.fixed_dictionaries(dict.fromkeys(TASKS, score))


def make_losses(seed=0, rows=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, generator=generator, requires_grad=True)


def find_weights(weighting):
    """Return what a loss of 1 becomes, by task."""
    return [weighting.weigh(task, torch.ones(1)).item() for task in TASKS]


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_before_the_first_epoch_losses_stay_as_they_are_to_the_last_bit(name):
    weighting, losses = build_weighting(name, TASKS, {}), make_losses()
    for task in TASKS:
        weighed = weighting.weigh(task, losses)
        assert torch.equal(weighed, losses)
        assert torch.autograd.grad(weighed.sum(), losses)[0].tolist() == [1.0] * 5


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_fixed_weights_multiply_what_any_weighting_says(name):
    fixed = {"emotion": 2.0, "topic": 0.25, "other": 9.0}
    weighting, plain = build_weighting(name, TASKS, fixed), build_weighting(name, TASKS, {})
    losses = make_losses()
    for weighted in (weighting, plain):
        for parameter in weighted.module.parameters():
            torch.nn.init.constant_(parameter, 0.6)
        weighted.finish_epoch(dict(zip(TASKS, (0.2, 0.5, 0.9), strict=True)))
    for task, weight in zip(TASKS, (2.0, 1.0, 0.25), strict=True):
        expected = weight * plain.weigh(task, losses)
        assert torch.allclose(weighting.weigh(task, losses), expected)


def test_a_weight_of_one_returns_the_very_losses():
    losses = make_losses()
    assert build_weighting("fixed", TASKS, {"emotion": 1.0}).weigh("emotion", losses) is losses


@pytest.mark.parametrize("name", ["fixed", "difficulty"])
def test_a_weight_scales_the_gradient(name):
    weighting, losses = build_weighting(name, TASKS, {"topic": 3.0}), make_losses()
    gradient = torch.autograd.grad(weighting.weigh("topic", losses).sum(), losses)[0]
    assert gradient.tolist() == [3.0] * 5


@pytest.mark.parametrize("name", ["fixed", "difficulty"])
def test_what_learns_nothing_has_no_parameters(name):
    assert not list(build_weighting(name, TASKS, {}).module.parameters())


def test_difficulty_after_two_epochs_by_hand():
    """Running scores 0.2, 0.5, 0.8, then 0.2, 0.5, 0.65: difficulties over their means."""
    assert MEMORY == 0.5
    weighting = build_weighting("difficulty", TASKS, {})
    weighting.finish_epoch(dict(zip(TASKS, (0.2, 0.5, 0.8), strict=True)))
    assert find_weights(weighting) == pytest.approx([1.6, 1.0, 0.4])
    weighting.finish_epoch(dict(zip(TASKS, (0.2, 0.5, 0.5), strict=True)))
    assert find_weights(weighting) == pytest.approx([0.8 / 0.55, 0.5 / 0.55, 0.35 / 0.55])


@given(st.lists(scores, min_size=1, max_size=5))
def test_weights_by_difficulty_have_mean_one_and_favour_the_worst_task(epochs):
    weighting = build_weighting("difficulty", TASKS, {})
    for values in epochs:
        weighting.finish_epoch(values)
    weights = [weighting.weights[task] for task in TASKS]
    running = [weighting.running[task] for task in TASKS]
    assert sum(weights) / 3 == pytest.approx(1.0)
    assert min(weights) >= 0
    assert weights[running.index(min(running))] == max(weights)
    for task in TASKS:
        seen = [values[task] for values in epochs]
        assert min(seen) - 1e-12 <= weighting.running[task] <= max(seen) + 1e-12


def test_tasks_that_are_all_solved_are_equally_difficult():
    weighting = build_weighting("difficulty", TASKS, {})
    weighting.finish_epoch(dict.fromkeys(TASKS, 1.0))
    assert find_weights(weighting) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("value", [None, -0.1, 1.1, math.nan])
def test_a_score_that_is_none_is_refused_and_nothing_changes(value):
    weighting = build_weighting("difficulty", TASKS, {})
    weighting.finish_epoch(dict.fromkeys(TASKS, 0.5))
    kept = weighting.remember()
    with pytest.raises(TrainingError, match="for task topic"):
        weighting.finish_epoch({"emotion": 0.1, "sentiment": 0.2, "topic": value})
    assert weighting.remember() == kept


def test_uncertainty_by_hand():
    """With s = log 4, a loss of 3 becomes 3/4 + log 2."""
    weighting = build_weighting("uncertainty", TASKS, {})
    with torch.no_grad():
        weighting.module["topic"].fill_(math.log(4.0))
    weighed = weighting.weigh("topic", torch.tensor([3.0, 0.0]))
    assert weighed.tolist() == pytest.approx([0.75 + math.log(2), math.log(2)])
    assert weighting.weigh("emotion", torch.tensor([3.0])).item() == 3.0


@pytest.mark.parametrize("loss", [0.05, 0.5, 3.0])
def test_at_the_best_uncertainty_a_weighed_loss_is_one_half(loss):
    weighting = build_weighting("uncertainty", TASKS, {"topic": 5.0})
    optimiser = torch.optim.LBFGS(weighting.module.parameters(), max_iter=100)

    def step():
        optimiser.zero_grad()
        total = weighting.weigh("topic", torch.full((4,), loss)).mean()
        total.backward()
        return total

    for _ in range(5):
        optimiser.step(step)
    learned = {task: weighting.module[task].item() for task in TASKS}
    assert learned["topic"] == pytest.approx(math.log(2 * loss), abs=1e-3)
    assert learned["emotion"] == learned["sentiment"] == 0.0


@given(loss=st.floats(0, 100), at=st.floats(-3, 3))
def test_the_gradients_of_uncertainty_are_those_on_paper(loss, at):
    weighting = build_weighting("uncertainty", TASKS, {})
    parameter = weighting.module["emotion"]
    with torch.no_grad():
        parameter.fill_(at)
    losses = torch.tensor([loss], requires_grad=True)
    weighting.weigh("emotion", losses).sum().backward()
    assert losses.grad.item() == pytest.approx(math.exp(-at), rel=1e-5)
    assert parameter.grad.item() == pytest.approx(0.5 - math.exp(-at) * loss, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("learning_rate", "steps"), [(1e-4, 6000), (1e-3, 1500)])
def test_in_a_training_of_usual_length_the_weights_come_to_their_optimum(learning_rate, steps):
    """With the optimiser and the schedule of a training, whose rate suits an encoder."""
    objective = Objective(build_weighting("uncertainty", TASKS, {}))
    optimiser = build_optimiser(
        torch.nn.Linear(2, 2), learning_rate=learning_rate, weight_decay=0.01
    )
    for module, rate in objective.list_learned(learning_rate):
        add_parameters(optimiser, module, rate, 0.01)
    losses = dict(zip(TASKS, (0.1, 0.35, 1.5), strict=True))
    for step in range(steps):
        set_learning_rate(optimiser, scale_learning_rate(step, steps, 0.1))
        task = TASKS[step % 3]
        objective.weighting.weigh(task, torch.full((4,), losses[task])).mean().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    learned = objective.weighting.module
    weights = [math.exp(-learned[task].item()) for task in TASKS]
    assert weights == pytest.approx([1 / (2 * loss) for loss in losses.values()], rel=0.15)


def test_a_batch_of_one_task_leaves_the_others_without_a_gradient_and_in_place():
    weighting = build_weighting("uncertainty", TASKS, {})
    optimiser = torch.optim.AdamW(weighting.module.parameters(), lr=0.1)
    for task in ("topic", "emotion", "emotion"):
        before = weighting.module["topic"].item()
        weighting.weigh(task, torch.full((2,), 3.0)).sum().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        moved = weighting.module["topic"].item() != before
        assert moved == (task == "topic")
    assert weighting.module["sentiment"].item() == 0.0


def test_uncertainties_are_not_decayed():
    module = build_weighting("uncertainty", TASKS, {}).module
    assert sum(parameter.numel() for parameter in module.parameters()) == len(TASKS)
    (group,) = build_optimiser(module, learning_rate=1e-3, weight_decay=0.1).param_groups
    assert group["weight_decay"] == 0.0
    assert len(group["params"]) == len(TASKS)


@pytest.mark.parametrize("name", WEIGHTINGS)
@given(epochs=st.lists(scores, max_size=3), after=scores)
def test_a_weighting_that_was_stopped_goes_on_as_if_it_had_not_been(name, epochs, after):
    """Through JSON with sorted keys, and tensors by name, as a checkpoint keeps them."""
    tasks = TASKS[::-1]
    went_on = build_weighting(name, tasks, {"topic": 0.3})
    for parameter in went_on.module.parameters():
        torch.nn.init.normal_(parameter)
    for values in epochs:
        went_on.finish_epoch(values)
    resumed = build_weighting(name, tasks, {"topic": 0.3})
    resumed.module.load_state_dict(went_on.module.state_dict())
    resumed.recall(json.loads(json.dumps(went_on.remember(), sort_keys=True, allow_nan=False)))
    assert find_weights(resumed) == find_weights(went_on)
    for weighting in (resumed, went_on):
        weighting.finish_epoch(after)
    assert find_weights(resumed) == find_weights(went_on)


def test_an_unknown_weighting_is_refused():
    with pytest.raises(SettingsError, match=r"difficulty.*got 'gradient'"):
        build_weighting("gradient", TASKS, {})
