"""Distilling an encoder on plain texts: its losses, its switches, and that it can be stopped."""

import json
import os
import signal
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import rel_entr, softmax

from distilro.encoder_settings import AdaptationSettings
from distilro.errors import DataError, SettingsError, StopRequestedError
from distilro.modeling.encoders import ARCHITECTURES, build_masked_model, load_masked_model
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.students import shrink_masked_model
from distilro.modeling.token_batches import pad_batch
from distilro.modeling.tokenization import train_tokenizer
from distilro.recipe_settings import StudentSettings
from distilro.student_settings import EncoderDistillationSettings
from distilro.training.checkpoints import Checkpoints
from distilro.training.encoder_distillation import distil_encoder
from distilro.training.lessons import Lesson, check_vocabularies, compute_soft_losses
from distilro.training.pretraining import adapt_encoder
from tests.modeling.tiny import SCRATCH, TEXTS, build_tokenizer, write_hub_model

TOKENIZER = build_tokenizer()


def configure(**changes):
    values = {"epochs": 2, "learning_rate": 1e-3, "batch_tokens": 64, "max_tokens": 16}
    return EncoderDistillationSettings(**{**values, "precision": "fp32", **changes})


def build_teacher(seed=1, **sizes):
    """Return a masked-language model whose answers are far from uniform."""
    model = build_masked_model(SCRATCH.model_copy(update=sizes), TOKENIZER, seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return model


def distil(teachers=None, seed=1, texts=TEXTS, model=None, checkpoints=None, **changes):
    """Return a student of one layer and its card."""
    teachers = [build_teacher()] if teachers is None else teachers
    settings = configure(**changes)
    if model is None:
        model = shrink_masked_model(teachers[0], settings.student, seed=1)
    card = distil_encoder(
        model, teachers, TOKENIZER, texts, settings, seed, checkpoints=checkpoints
    )
    return model, card


def have_equal_weights(first, second):
    weights = second.state_dict()
    return all(torch.equal(value, weights[name]) for name, value in first.state_dict().items())


def test_the_distance_of_an_even_student_from_a_teacher_of_three_to_one():
    teacher, student = torch.tensor([[0.75, 0.25]]).log(), torch.zeros(1, 2)
    expected = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert compute_soft_losses(student, [teacher], 1.0).item() == pytest.approx(expected)


@given(st.integers(0, 1000), st.floats(0.5, 8.0), st.integers(1, 3))
def test_the_soft_loss_is_the_entropy_that_scipy_computes(seed, temperature, count):
    logits = 3.0 * np.random.default_rng(seed).normal(size=(count + 1, 4, 7))
    student, *teachers = torch.from_numpy(logits.astype(np.float32))
    target = softmax(logits[1:] / temperature, axis=-1).mean(axis=0)
    own = softmax(logits[0] / temperature, axis=-1)
    expected = temperature**2 * rel_entr(target, own).sum(axis=-1)
    got = compute_soft_losses(student, teachers, temperature).numpy()
    assert got == pytest.approx(expected, rel=1e-3, abs=1e-4)


@given(st.integers(0, 1000), st.floats(0.5, 8.0))
def test_the_gradient_is_t_times_the_difference_of_the_answers(seed, temperature):
    logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 3, 5)))
    student, teacher = logits[0].float().requires_grad_(), logits[1].float()
    compute_soft_losses(student, [teacher], temperature).sum().backward()
    difference = (student / temperature).softmax(-1) - (teacher / temperature).softmax(-1)
    torch.testing.assert_close(student.grad, temperature * difference, atol=1e-4, rtol=1e-3)


def test_t_squared_keeps_the_size_of_the_gradient():
    """At high temperatures it is (student - teacher) / V of centred logits (Hinton, eq. 4)."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, generator=generator)
    centred = logits - logits.mean(dim=-1, keepdim=True)
    gradients = []
    for temperature in (50.0, 200.0):
        student = centred[0].clone().requires_grad_()
        compute_soft_losses(student, [centred[1]], temperature).sum().backward()
        gradients.append(student.grad)
        torch.testing.assert_close(student.grad, (centred[0] - centred[1]) / 6, atol=0.02, rtol=0)
    assert gradients[0].norm().item() == pytest.approx(gradients[1].norm().item(), rel=0.05)


def test_a_teacher_that_speaks_twice_is_one_teacher():
    logits = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    once = compute_soft_losses(logits[0], [logits[1]], 2.0)
    torch.testing.assert_close(compute_soft_losses(logits[0], [logits[1]] * 2, 2.0), once)
    assert not torch.allclose(compute_soft_losses(logits[0], [logits[1], logits[2]], 2.0), once)


def test_a_lessons_losses_are_of_real_tokens_and_depend_on_no_other_text():
    rng = np.random.default_rng(0)
    ids = rng.integers(10, 60, 14).astype(np.int32)
    tokens = RaggedTokens(ids, np.array([0, 4, 14]))
    teacher = build_teacher()
    student = shrink_masked_model(teacher, StudentSettings(), seed=1)
    lesson = Lesson(student, [teacher, build_teacher(2)], configure(), "fp32")

    def compute(rows):
        batch = pad_batch(tokens, np.array(rows), 0)
        real = torch.nonzero(batch.mask.view(-1)).squeeze(-1)
        places = torch.nonzero(batch.positions == 2).squeeze(-1)
        return lesson.compute(batch, places, batch.ids[places].long() + 1, real)

    together, alone = compute([0, 1]), [compute([0]), compute([1])]
    assert together["cosine"].shape == (14,)
    for name, losses in together.items():
        expected = torch.cat([part[name] for part in alone])
        torch.testing.assert_close(losses, expected, atol=1e-5, rtol=1e-5)


def test_without_teachers_losses_it_is_the_adaptation_to_the_last_bit():
    settings = {"epochs": 2, "learning_rate": 1e-3, "batch_tokens": 64, "max_tokens": 16}
    adapted = build_teacher()
    adaptation = AdaptationSettings(**settings, precision="fp32")
    report = adapt_encoder(adapted, TOKENIZER, TEXTS, adaptation, 1)
    student, card = distil(
        teachers=[],
        model=build_teacher(),
        ce=0.0,
        masked=1.0,
        cosine=0.0,
        warmup_share=0.1,
        clip_norm=1.0,
    )
    assert have_equal_weights(student, adapted)
    for moment, loss in report["held_out_loss"].items():
        assert card["held_out_loss"][moment] == {"masked": loss}
    assert {k: v for k, v in card.items() if k in report} | {
        "held_out_loss": report["held_out_loss"]
    } == report


def test_teachers_that_are_switched_off_change_nothing():
    teacher = build_teacher()
    student = shrink_masked_model(teacher, StudentSettings(), seed=1)
    with_one, _ = distil([teacher], model=deepcopy(student), ce=0.0, cosine=0.0)
    without, _ = distil([], model=deepcopy(student), ce=0.0, cosine=0.0)
    assert have_equal_weights(with_one, without)


@pytest.mark.parametrize(
    "changes",
    [
        {"ce": 0.0}, {"masked": 0.0}, {"cosine": 0.0}, {"ce": 2.0}, {"masked": 7.0},
        {"cosine": 9.0}, {"temperature": 4.0}, {"learning_rate": 2e-3}, {"warmup_share": 0.5},
        {"clip_norm": 0.1}, {"student": StudentSettings(init="random")},
        {"student": StudentSettings(layers=(1,))},
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_changes_what_is_learned(changes):
    plain, _ = distil()
    changed, _ = distil(**changes)
    assert not have_equal_weights(plain, changed)


def test_the_student_comes_nearer_to_its_teacher_in_all_that_is_learned():
    teacher = build_teacher()
    texts = [f"{text} {'!' * number}" for text in TEXTS for number in range(1, 6)]
    _, card = distil([teacher], texts=texts, epochs=10, learning_rate=5e-3)
    before, after = card["held_out_loss"]["before"], card["held_out_loss"]["after"]
    assert after["ce"] < 0.8 * before["ce"]
    assert after["cosine"] < 0.8 * before["cosine"]
    assert card["loss_curve"][-1][1] < card["loss_curve"][0][1]


def test_a_student_that_is_its_teacher_is_at_no_distance_from_it():
    _, card = distil(model=build_teacher(), epochs=0.1)
    before = card["held_out_loss"]["before"]
    assert before["ce"] == pytest.approx(0.0, abs=1e-6)
    assert before["cosine"] == pytest.approx(0.0, abs=1e-6)
    assert before["masked"] > 0.1


def test_teachers_are_left_as_they_are_and_get_no_gradient():
    teachers = [build_teacher(seed) for seed in (1, 2)]
    before = [deepcopy(teacher) for teacher in teachers]
    student, _ = distil(teachers)
    assert all(have_equal_weights(a, b) for a, b in zip(teachers, before, strict=True))
    assert all(p.grad is None for teacher in teachers for p in teacher.parameters())
    assert not student.training


def test_a_second_teacher_is_heard_and_a_copy_of_the_first_is_not():
    first, second = build_teacher(1), build_teacher(2)
    alone, _ = distil([first])
    twice, _ = distil([first, deepcopy(first)])
    both, card = distil([first, second])
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(twice.state_dict()[name], value, atol=1e-4, rtol=0)
    assert not have_equal_weights(alone, both)
    assert card["teachers"] == 2


def test_a_teacher_of_another_width_gives_answers_but_no_angles():
    narrow = build_teacher(2, hidden=8, intermediate=16)
    only_cosine = {"ce": 0.0, "masked": 0.0}
    alone, _ = distil([build_teacher()], **only_cosine)
    both, _ = distil([build_teacher(), narrow], **only_cosine)
    assert have_equal_weights(alone, both)
    heard, _ = distil([build_teacher(), narrow])
    assert not have_equal_weights(heard, distil([build_teacher()])[0])


def test_the_same_seed_gives_the_same_weights_whatever_the_order_of_the_texts():
    first, card = distil()
    again, card_again = distil(texts=[*reversed(TEXTS), TEXTS[0]])
    other, _ = distil(seed=2)
    assert card == card_again
    assert have_equal_weights(first, again)
    assert not have_equal_weights(first, other)


class FatalCheckpoints(Checkpoints):
    """Checkpoints after every step, of which one is the last: the process is asked to stop."""

    def __init__(self, folder, last):
        super().__init__(folder, "one", seconds=0)
        self.last = last

    def save(self, moment):
        super().save(moment)
        if moment.step == self.last:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("last", [1, 3])
def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(tmp_path, last):
    whole, card = distil(epochs=3)
    with pytest.raises(StopRequestedError):
        distil(epochs=3, checkpoints=FatalCheckpoints(tmp_path, last))
    kept = Checkpoints(tmp_path, "one", seconds=1e9)
    assert last < kept.load().step < card["steps"]
    resumed, card_again = distil(epochs=3, checkpoints=kept)
    assert card == card_again
    assert have_equal_weights(whole, resumed)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_is_distilled(tmp_path, kind):
    teacher, _ = load_masked_model(write_hub_model(tmp_path, kind))
    student, card = distil([teacher], learning_rate=5e-3, epochs=4)
    assert student.config.model_type == kind
    losses = card["held_out_loss"]
    assert losses["before"].keys() == losses["after"].keys() == {"ce", "cosine", "masked"}
    assert np.isfinite([*losses["after"].values()]).all()


def test_a_narrow_student_learns_from_answers():
    narrow, card = distil(
        student=StudentSettings(hidden=8), cosine=0.0, epochs=10, learning_rate=5e-3
    )
    assert narrow.config.hidden_size == 8
    assert card["loss_curve"][-1][1] < card["loss_curve"][0][1]


def test_bfloat16_learns_about_the_same():
    _, exact = distil()
    _, coarse = distil(precision="bf16")
    for name, loss in exact["held_out_loss"]["after"].items():
        assert coarse["held_out_loss"]["after"][name] == pytest.approx(loss, rel=0.05)


def test_the_card_is_json_and_counts_what_was_learned():
    _, card = distil(epochs=1.5)
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert (card["texts"], card["held_out_texts"]) == (len(TEXTS) - 1, 1)
    assert card["weights"] == {"ce": 5.0, "masked": 2.0, "cosine": 1.0}
    assert (card["temperature"], card["teachers"], card["precision"]) == (2.0, 1, "fp32")
    assert card["loss_curve"][-1][0] == card["steps"]
    assert 0 < card["tokens"] <= 1.5 * 16 * len(TEXTS)


def test_no_epochs_leave_the_student_as_it_was():
    student, card = distil(model=build_teacher(3), epochs=0)
    assert card == {"texts": len(TEXTS), "epochs": 0}
    assert have_equal_weights(student, build_teacher(3))


def test_the_defaults_are_those_of_distilbert():
    settings = EncoderDistillationSettings()
    assert (settings.ce, settings.masked, settings.cosine, settings.temperature) == (5, 2, 1, 2)
    assert (settings.learning_rate, settings.warmup_share, settings.clip_norm) == (5e-4, 0.05, 5.0)
    assert (settings.epochs, settings.student) == (3, StudentSettings())


def test_a_distillation_that_learns_nothing_is_refused():
    with pytest.raises(ValidationError, match="one of them must be more"):
        EncoderDistillationSettings(ce=0.0, masked=0.0, cosine=0.0)


def test_losses_of_teachers_without_teachers_are_refused():
    with pytest.raises(SettingsError, match="one or more, got none"):
        distil([], model=build_teacher())


def test_teachers_of_another_vocabulary_are_refused():
    teacher = build_teacher(2)
    teacher.resize_token_embeddings(len(TOKENIZER) + 1, mean_resizing=False)
    with pytest.raises(SettingsError, match="teachers of one vocabulary"):
        distil([build_teacher(), teacher])


def test_a_tokenizer_that_numbers_its_tokens_otherwise_is_refused():
    other = train_tokenizer(TEXTS[:9], len(TOKENIZER), lowercase=True)
    check_vocabularies([TOKENIZER, build_tokenizer()])
    with pytest.raises(SettingsError, match="teacher 1 differs from teacher 0"):
        check_vocabularies([TOKENIZER, other])


def test_angles_with_a_teacher_of_another_width_are_refused():
    student = shrink_masked_model(build_teacher(), StudentSettings(hidden=8), seed=1)
    with pytest.raises(SettingsError, match=r"as wide as the student's \(8\), got 16"):
        distil(model=student)


def test_texts_longer_than_a_teacher_takes_are_refused(tmp_path):
    teacher, _ = load_masked_model(write_hub_model(tmp_path))
    with pytest.raises(SettingsError, match="max_tokens"):
        distil([teacher], model=teacher, max_tokens=64)


def test_one_text_is_too_few():
    with pytest.raises(DataError, match="two texts or more"):
        distil(texts=["plouă"])
