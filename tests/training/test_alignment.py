"""Alignment: losses on hidden states and masked tokens, and what they cost when they are off."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoModel

from distilro.errors import SettingsError
from distilro.modeling.encoders import ARCHITECTURES
from distilro.modeling.forward import compute_all_states
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.students import choose_layers, shrink_encoder
from distilro.modeling.token_batches import pack_batch, pad_batch
from distilro.recipe_settings import AlignmentSettings, StudentSettings
from distilro.training import alignment as module_under_test
from distilro.training.alignment import Alignment, hide_tokens, measure_angles
from distilro.training.masking import Vocabulary
from distilro.training.optimisation import build_optimiser
from tests.modeling.tiny import CONFIGS

DEPTH = 4
VOCABULARY = Vocabulary(mask_id=4, pad_id=0, special=np.arange(210) < 5)
LENGTHS = np.array([5, 17, 3, 9])
WEIGHTS = ("masked", "cosine", "hidden")


def make_tokens():
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    ids = np.random.default_rng(0).integers(5, 200, offsets[-1])
    ids[offsets[:-1]], ids[offsets[1:] - 1] = 2, 3
    return RaggedTokens(ids.astype(np.int32), offsets)


TOKENS = make_tokens()
ROWS = np.arange(len(TOKENS))


def build_teacher(kind="bert", seed=0):
    config = deepcopy(CONFIGS[kind])
    config.num_hidden_layers = DEPTH
    torch.manual_seed(seed)
    plain = {} if kind == "distilbert" else {"add_pooling_layer": False}
    encoder = AutoModel.from_config(config, **plain).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return encoder


def build(teacher=None, seed=3, student=None, **weights):
    """Return an alignment and the student that it is for."""
    teacher = build_teacher() if teacher is None else teacher
    changes = {"layers": 2, **(student or {"init": "random"})}
    shrunk = shrink_encoder(teacher, StudentSettings(**changes), seed=1)
    layers = choose_layers(changes["layers"], DEPTH)
    made = Alignment(
        AlignmentSettings(**weights),
        teacher,
        shrunk,
        vocabulary=VOCABULARY,
        layers=layers,
        seed=seed,
    )
    return made, shrunk


def pad(rows=ROWS):
    return pad_batch(TOKENS, rows, VOCABULARY.pad_id)


def compute(alignment, student, batch, step=0, dtype=torch.float32):
    states = compute_all_states(student, batch, dtype=dtype)
    return alignment.compute_losses(student, batch, states, step)


def collect_gradient(alignment, student, batch, step=0):
    student.zero_grad()
    alignment.module.zero_grad()
    compute(alignment, student, batch, step).sum().backward()
    return torch.cat([p.grad.view(-1) for p in student.parameters() if p.grad is not None])


def test_angles_of_right_equal_and_opposite_states_are_one_zero_and_two():
    states = torch.tensor([[1.0, 0.0], [2.0, 2.0], [1.0, 0.0]])
    others = torch.tensor([[0.0, 3.0], [1.0, 1.0], [-5.0, 0.0]])
    torch.testing.assert_close(measure_angles(states, others), torch.tensor([1.0, 0.0, 2.0]))


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_cosine_and_distance_are_those_that_numpy_computes_text_by_text(kind):
    teacher = build_teacher(kind)
    expected = {"cosine": [], "hidden": []}
    (cosine, student), (hidden, _) = build(teacher, cosine=1.0), build(teacher, hidden=1.0)
    for row in ROWS:
        ours, theirs = (
            [s.detach().numpy().astype(np.float64) for s in compute_all_states(model, pad([row]))]
            for model in (student, teacher)
        )
        products = (ours[-1] * theirs[-1]).sum(axis=-1)
        lengths = np.linalg.norm(ours[-1], axis=-1) * np.linalg.norm(theirs[-1], axis=-1)
        expected["cosine"].append(np.mean(1 - products / lengths))
        # Layers 0 and 1 of the student came from layers 0 and 3; the embeddings are states[0].
        pairs = [(ours[1], theirs[1]), (ours[2], theirs[4])]
        expected["hidden"].append(np.mean([np.mean((a - b) ** 2) for a, b in pairs]))
    for name, alignment in (("cosine", cosine), ("hidden", hidden)):
        got = compute(alignment, student, pad()).detach().numpy()
        assert got.dtype == np.float32
        assert got == pytest.approx(np.array(expected[name]), abs=1e-5)
        assert (got > 0.01).all()


def test_the_masked_loss_is_the_mean_of_each_texts_hidden_tokens():
    alignment, student = build(masked=1.0)
    losses = compute(alignment, student, pad(), step=3)
    rng = np.random.default_rng((3, module_under_test._MASK_STREAM, 3))
    hidden, places, targets = hide_tokens(pad(), VOCABULARY, rng)
    head, words = alignment.module["head"], student.get_input_embeddings().weight
    states = compute_all_states(student, hidden)[-1][places]
    transformed = head.norm(functional.gelu(head.dense(states)))
    logits = transformed @ words.T + head.bias
    single = functional.cross_entropy(logits, targets, reduction="none")
    texts = places // int(LENGTHS.max())
    for row in ROWS:
        own = single[texts == row]
        expected = own.mean() if len(own) else torch.zeros(())
        torch.testing.assert_close(losses[row], expected)
    assert len(places) > 1


def test_a_student_that_is_its_teacher_has_no_distance_from_it():
    alignment, student = build(student={"layers": DEPTH, "init": "teacher"}, cosine=1.0, hidden=1.0)
    losses = compute(alignment, student, pad())
    torch.testing.assert_close(losses, torch.zeros(len(ROWS)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("hidden", [None, 8])
def test_packed_texts_have_the_losses_and_gradients_of_padded_ones(name, hidden):
    alignment, student = build(student={"hidden": hidden}, **{name: 1.0})
    batches = (pad(), pack_batch(TOKENS, ROWS))
    losses = [compute(alignment, student, batch).detach() for batch in batches]
    torch.testing.assert_close(*losses, atol=1e-5, rtol=0)
    gradients = [collect_gradient(alignment, student, batch) for batch in batches]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", ["cosine", "hidden"])
def test_a_texts_loss_depends_on_no_other_text(name):
    alignment, student = build(**{name: 1.0})
    together = compute(alignment, student, pad())
    for row in ROWS:
        alone = compute(alignment, student, pad([row]))
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=0)


def test_a_hidden_tokens_loss_depends_on_no_other_text(monkeypatch):
    """Which tokens are hidden depends on the batch; their loss, once they are, does not."""

    def hide_second(batch, vocabulary, rng):
        places = torch.nonzero(batch.positions == 1).squeeze(-1)
        ids = batch.ids.index_fill(0, places, vocabulary.mask_id)
        return replace(batch, ids=ids), places, batch.ids[places].long()

    monkeypatch.setattr(module_under_test, "hide_tokens", hide_second)
    alignment, student = build(masked=1.0)
    together = compute(alignment, student, pad())
    for row in ROWS:
        alone = compute(alignment, student, pad([row]))
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=0)
    assert (together > 0.1).all()


def test_the_same_tokens_are_hidden_padded_or_packed():
    results = []
    for batch in (pad(), pack_batch(TOKENS, ROWS)):
        hidden, _, targets = hide_tokens(batch, VOCABULARY, np.random.default_rng(1))
        ids = hidden.ids[hidden.mask.view(-1)] if hasattr(hidden, "mask") else hidden.ids
        results.append((ids, targets))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert not torch.equal(results[0][0], torch.from_numpy(TOKENS.ids))


def test_no_loss_costs_nothing_and_leaves_the_plain_losses_to_the_last_bit(monkeypatch):
    alignment, student = build()
    monkeypatch.setattr(module_under_test, "compute_states", None)
    monkeypatch.setattr(module_under_test, "compute_all_states", None)
    plain = torch.randn(len(ROWS))
    losses = compute(alignment, student, pad())
    assert torch.equal(plain + losses, plain)
    assert not losses.requires_grad
    assert list(alignment.module.parameters()) == []


@pytest.mark.parametrize(
    ("weights", "runs"),
    [
        ({"masked": 1.0}, []),
        ({"cosine": 1.0}, ["last"]),
        ({"hidden": 1.0}, ["all"]),
        ({"cosine": 1.0, "hidden": 1.0, "masked": 1.0}, ["all"]),
    ],
)
def test_the_teacher_reads_a_batch_once_and_only_where_it_is_needed(monkeypatch, weights, runs):
    teacher = build_teacher()
    alignment, student = build(teacher, **weights)
    seen = []
    for name, kind in (("compute_states", "last"), ("compute_all_states", "all")):
        original = getattr(module_under_test, name)

        def watch(encoder, batch, *, original=original, kind=kind, **keywords):
            if encoder is teacher:
                seen.append(kind)
                assert not torch.is_grad_enabled()
            return original(encoder, batch, **keywords)

        monkeypatch.setattr(module_under_test, name, watch)
    compute(alignment, student, pad())
    assert seen == runs


def test_the_teacher_is_frozen_in_evaluation_mode_and_gets_no_gradient():
    teacher = build_teacher().train()
    before = deepcopy(teacher.state_dict())
    alignment, student = build(teacher, masked=1.0, cosine=1.0, hidden=1.0)
    gradient = collect_gradient(alignment, student, pad())
    assert gradient.abs().sum() > 0
    assert not teacher.training
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    own = {id(p) for p in alignment.module.parameters()}
    assert own.isdisjoint({id(p) for m in (teacher, student) for p in m.parameters()})


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_scales_its_loss_and_its_gradient(name):
    (once, student), (thrice, _) = build(**{name: 1.0}), build(**{name: 3.0})
    torch.testing.assert_close(compute(thrice, student, pad()), 3.0 * compute(once, student, pad()))
    single, triple = (collect_gradient(a, student, pad()) for a in (once, thrice))
    torch.testing.assert_close(triple, 3.0 * single, atol=1e-5, rtol=1e-4)
    assert single.abs().sum() > 0


def test_losses_add_up():
    weights = {"masked": 0.5, "cosine": 2.0, "hidden": 3.0}
    whole, student = build(**weights)
    parts = [build(**{name: weight})[0] for name, weight in weights.items()]
    total = sum(compute(part, student, pad()) for part in parts)
    torch.testing.assert_close(compute(whole, student, pad()), total)


def test_the_layers_that_are_compared_change_the_gradient():
    teacher = build_teacher()
    gradients = []
    for layers in ((0, 3), (1, 2)):
        _, student = build(teacher, hidden=1.0)
        alignment = Alignment(
            AlignmentSettings(hidden=1.0),
            teacher,
            student,
            vocabulary=VOCABULARY,
            layers=layers,
            seed=3,
        )
        gradients.append(collect_gradient(alignment, student, pad()))
    assert not torch.allclose(*gradients)


def test_masks_are_decided_by_seed_and_step_alone():
    alignment, student = build(masked=1.0)
    first, other = (compute(alignment, student, pad(), step=step) for step in (0, 1))
    torch.rand(5)
    assert torch.equal(first, compute(alignment, student, pad(), step=0))
    assert not torch.equal(first, other)
    # The head is the seed's too; with the same head another seed still hides other tokens.
    seeded, _ = build(masked=1.0, seed=4)
    seeded.module.load_state_dict(alignment.module.state_dict())
    assert not torch.equal(first, compute(seeded, student, pad(), step=0))


def test_no_random_number_of_torch_is_used_up():
    teacher = build_teacher()
    state = torch.get_rng_state()
    alignment, student = build(teacher, masked=1.0, cosine=1.0, hidden=1.0, student={"hidden": 8})
    compute(alignment, student, pad())
    assert torch.equal(state, torch.get_rng_state())


def test_the_seed_decides_the_fresh_parameters():
    first, again, other = (
        build(seed=seed, masked=1.0, cosine=1.0, student={"hidden": 8})[0] for seed in (1, 1, 2)
    )
    states = [alignment.module.state_dict() for alignment in (first, again, other)]
    assert states[0].keys() == {
        "projection.weight", "head.bias",
        "head.dense.weight", "head.dense.bias", "head.norm.weight", "head.norm.bias",
    }  # fmt: skip
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not torch.equal(states[0]["projection.weight"], states[2]["projection.weight"])


def test_the_head_is_tied_to_the_students_word_embeddings():
    alignment, student = build(masked=1.0)
    before = compute(alignment, student, pad())
    with torch.no_grad():
        student.get_input_embeddings().weight[150:].mul_(3.0)  # as inputs these are rare
    assert not torch.equal(before, compute(alignment, student, pad()))
    sizes = {p.numel() for p in alignment.module.parameters()}
    assert student.get_input_embeddings().weight.numel() not in sizes


def test_a_narrow_student_comes_nearer_to_its_teacher_by_learning():
    alignment, student = build(
        student={"hidden": 8}, masked=0.1, cosine=1.0, hidden=1.0, teacher=build_teacher("roberta")
    )
    both = torch.nn.ModuleDict({"student": student, "alignment": alignment.module})
    optimiser = build_optimiser(both, learning_rate=0.01, weight_decay=0.0)
    losses = []
    for step in range(20):
        loss = compute(alignment, student, pad(), step).mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_bfloat16_gives_about_the_same():
    alignment, student = build(masked=1.0, cosine=1.0, hidden=1.0)
    exact = compute(alignment, student, pad())
    near = compute(alignment, student, pad(), dtype=torch.bfloat16)
    assert near.dtype == torch.float32
    torch.testing.assert_close(near, exact, atol=0.05, rtol=0.02)


def test_texts_without_an_ordinary_token_have_nothing_to_predict():
    tokens = RaggedTokens(np.array([2, 3, 2, 3], np.int32), np.array([0, 2, 4]))
    alignment, student = build(masked=1.0)
    losses = compute(alignment, student, pad_batch(tokens, np.arange(2), 0))
    assert losses.tolist() == [0.0, 0.0]
    losses.sum().backward()
    assert all(p.grad.isfinite().all() for p in student.parameters() if p.grad is not None)


@pytest.mark.parametrize("layers", [(0,), (0, 1, 3), (0, 4), (-1, 2)])
def test_layers_that_do_not_fit_are_refused(layers):
    teacher = build_teacher()
    _, student = build(teacher)
    with pytest.raises(SettingsError, match="for each of the student's 2 layers"):
        Alignment(
            AlignmentSettings(hidden=1.0),
            teacher,
            student,
            vocabulary=VOCABULARY,
            layers=layers,
            seed=1,
        )


def test_a_teacher_of_another_vocabulary_is_refused():
    _, student = build()
    teacher = build_teacher()
    teacher.resize_token_embeddings(220, mean_resizing=False)
    with pytest.raises(SettingsError, match="210 and 220 word embeddings"):
        Alignment(
            AlignmentSettings(cosine=1.0),
            teacher,
            student,
            vocabulary=VOCABULARY,
            layers=(0, 3),
            seed=1,
        )


def test_a_text_that_is_too_long_for_the_teacher_is_refused():
    alignment, student = build(cosine=1.0)
    tokens = RaggedTokens(np.full(41, 7, np.int32), np.array([0, 41]))
    batch = pad_batch(tokens, np.arange(1), 0)
    with pytest.raises(SettingsError, match="max_tokens"):
        alignment.compute_losses(student, batch, [torch.zeros(41, 16)] * 3, 0)
