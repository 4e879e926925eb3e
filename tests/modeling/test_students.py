"""Students: which layers they begin from, and what they take over of their teacher."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel, AutoModelForMaskedLM

from distilro.errors import SettingsError
from distilro.modeling.encoders import ARCHITECTURES, load_encoder, load_masked_model, save_encoder
from distilro.modeling.forward import DropoutRates, compute_all_states, compute_states
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.students import (
    choose_layers,
    find_components,
    shrink_encoder,
    shrink_masked_model,
)
from distilro.modeling.token_batches import pack_batch, pad_batch
from distilro.recipe_settings import StudentSettings
from tests.modeling.tiny import CONFIGS, build_tokenizer

DEPTH = 4
TOKENS = RaggedTokens(
    np.random.default_rng(0).integers(5, 200, 31).astype(np.int32), np.array([0, 5, 22, 31])
)


def build_teacher(kind, loader=AutoModel):
    """Return an encoder of four layers whose every weight, norms and biases too, is random."""
    config = deepcopy(CONFIGS[kind])
    config.num_hidden_layers = DEPTH
    torch.manual_seed(0)
    plain = {} if kind == "distilbert" or loader is not AutoModel else {"add_pooling_layer": False}
    model = loader.from_config(config, attn_implementation="sdpa", **plain).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model


@pytest.fixture(params=ARCHITECTURES)
def teacher(request):
    return build_teacher(request.param)


@pytest.fixture(params=ARCHITECTURES)
def masked_teacher(request):
    return build_teacher(request.param, AutoModelForMaskedLM)


def pad(encoder):
    return pad_batch(TOKENS, np.arange(len(TOKENS)), encoder.config.pad_token_id)


def count(module, where):
    return sum(p.numel() for name, p in module.named_parameters() if where in name)


def run_masked(model):
    ids = torch.tensor([[5, 20, 21, 22, 9]])
    return model(input_ids=ids).logits


def test_half_of_twelve_layers_are_the_ones_of_the_study():
    assert choose_layers("half", 12) == choose_layers(6, 12) == (0, 2, 4, 7, 9, 11)


@pytest.mark.parametrize(
    ("kept", "depth", "expected"),
    [
        (2, 12, (0, 11)),
        (3, 5, (0, 2, 4)),
        ("half", 5, (0, 4)),
        ("half", 3, (0,)),
        ("half", 1, (0,)),
        (1, 12, (0,)),
        ((1, 3), 4, (1, 3)),
    ],
)
def test_layers_are_chosen_as_written_down_by_hand(kept, depth, expected):
    assert choose_layers(kept, depth) == expected


@given(st.integers(2, 48), st.data())
def test_chosen_layers_rise_and_hold_the_first_and_the_last(depth, data):
    kept = data.draw(st.integers(2, depth))
    layers = choose_layers(kept, depth)
    assert len(layers) == kept
    assert sorted(set(layers)) == list(layers)
    assert (layers[0], layers[-1]) == (0, depth - 1)
    gaps = np.diff(layers)
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("kept", [0, -1, 5, (), (4,), (-1, 2), (2, 1), (1, 1)])
def test_layers_that_the_teacher_does_not_have_are_refused(kept):
    with pytest.raises(SettingsError, match=r"student\.layers"):
        choose_layers(kept, 4)


def test_a_student_that_skips_no_layer_is_its_teacher(teacher):
    student = shrink_encoder(teacher, StudentSettings(layers=DEPTH), seed=1)
    batch = pad(teacher)
    torch.testing.assert_close(
        compute_states(student, batch), compute_states(teacher, batch), atol=1e-5, rtol=0
    )
    ids = torch.tensor([[5, 20, 21, 22, 9]])
    expected, got = (model(input_ids=ids).last_hidden_state for model in (teacher, student))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_a_student_begins_from_the_layers_that_were_named(teacher):
    student = shrink_encoder(teacher, StudentSettings(layers=(1, 3)), seed=1)
    theirs = dict(teacher.named_parameters())
    moved = {"layer.0.": "layer.1.", "layer.1.": "layer.3."}
    for name, value in student.named_parameters():
        old = next((name.replace(a, b) for a, b in moved.items() if a in name), name)
        assert torch.equal(value, theirs[old]), name


def test_half_of_the_layers_are_half_of_the_layers_parameters(teacher):
    student = shrink_encoder(teacher, StudentSettings(), seed=1)
    assert count(student, "layer.") * 2 == count(teacher, "layer.")
    assert count(student, "embeddings.") == count(teacher, "embeddings.")
    assert student.config.num_hidden_layers == DEPTH // 2


def test_random_layers_are_decided_by_the_seed_and_the_embeddings_by_the_teacher(teacher):
    settings = StudentSettings(layers=2, init="random")
    first, again, other = (shrink_encoder(teacher, settings, seed=seed) for seed in (1, 1, 2))
    for name, value in first.named_parameters():
        assert torch.equal(value, dict(again.named_parameters())[name])
        if "embeddings." in name:
            assert torch.equal(value, dict(teacher.named_parameters())[name])
    weights = [m.get_parameter(n) for m in (first, other) for n, _ in m.named_parameters()]
    half = len(weights) // 2
    assert any(not torch.equal(a, b) for a, b in zip(weights[:half], weights[half:], strict=True))


def test_making_a_student_changes_neither_the_teacher_nor_the_random_numbers(teacher):
    before = deepcopy(teacher.state_dict())
    torch.manual_seed(5)
    state = torch.get_rng_state()
    student = shrink_encoder(teacher, StudentSettings(init="random"), seed=1)
    assert torch.equal(state, torch.get_rng_state())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert teacher.config.num_hidden_layers == DEPTH


def test_a_narrow_student_keeps_the_width_of_heads_and_scales_the_rest(teacher):
    student = shrink_encoder(teacher, StudentSettings(layers=2, hidden=8), seed=1)
    config = student.config
    assert (config.hidden_size, config.num_attention_heads) == (8, 1)
    intermediate = getattr(config, "intermediate_size", None) or config.hidden_dim
    assert intermediate == 16
    assert compute_states(student, pad(teacher)).shape[1] == 8


def test_narrow_word_embeddings_are_a_scaled_projection_and_keep_their_mean_length(teacher):
    student = shrink_encoder(teacher, StudentSettings(hidden=8), seed=1)
    ours, theirs = (m.embeddings.word_embeddings.weight for m in (student, teacher))
    _, _, right = np.linalg.svd(theirs.detach().double().numpy(), full_matrices=False)
    projected = theirs.detach().numpy() @ right[:8].T
    scale = ours.norm(dim=-1).detach().numpy() / np.linalg.norm(projected, axis=-1)
    assert scale == pytest.approx(np.full(len(scale), scale[0]), rel=1e-4)
    assert ours.norm(dim=-1).mean().item() == pytest.approx(theirs.norm(dim=-1).mean().item(), 1e-5)
    for name in ("position_embeddings", "token_type_embeddings"):
        if hasattr(teacher.embeddings, name):
            mine, whole = (
                getattr(m.embeddings, name).weight.detach().numpy() for m in (student, teacher)
            )
            lengths = np.linalg.norm(whole @ right[:8].T, axis=-1) * scale[0]
            assert np.linalg.norm(mine, axis=-1) == pytest.approx(lengths, rel=1e-4)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_components_are_those_of_the_singular_value_decomposition(seed, width):
    table = np.random.default_rng(seed).normal(size=(40, 6)) * np.arange(1, 7)
    _, _, right = np.linalg.svd(table, full_matrices=False)
    got = find_components(torch.from_numpy(table), width).numpy()
    assert np.abs(got.T @ right[:width].T) == pytest.approx(np.eye(width), abs=1e-6)
    largest = got[np.abs(got).argmax(axis=0), np.arange(width)]
    assert (largest > 0).all()


@pytest.mark.parametrize("width", [6, 12, 24])
def test_a_width_that_the_heads_do_not_share_or_the_teacher_does_not_have_is_refused(width):
    with pytest.raises(SettingsError, match=r"student\.hidden"):
        shrink_encoder(build_teacher("bert"), StudentSettings(hidden=width), seed=1)


def test_a_saved_student_is_loaded_as_it_was(tmp_path, teacher):
    student = shrink_encoder(teacher, StudentSettings(hidden=8), seed=1)
    save_encoder(tmp_path, student, build_tokenizer(), {})
    loaded, config = load_encoder(tmp_path)
    assert config.num_hidden_layers == 2
    batch = pad(teacher)
    assert torch.equal(compute_states(loaded, batch), compute_states(student, batch))


def test_a_masked_model_that_skips_no_layer_predicts_what_its_teacher_predicts(masked_teacher):
    student = shrink_masked_model(masked_teacher, StudentSettings(layers=DEPTH), seed=1)
    torch.testing.assert_close(run_masked(student), run_masked(masked_teacher), atol=1e-5, rtol=0)


@pytest.mark.parametrize("changes", [{"layers": 2}, {"init": "random"}, {"hidden": 8}])
def test_a_masked_model_has_the_encoder_that_a_student_without_head_has(masked_teacher, changes):
    settings = StudentSettings(**changes)
    encoder = shrink_encoder(masked_teacher.base_model, settings, seed=3)
    student = shrink_masked_model(masked_teacher, settings, seed=3)
    ours = student.base_model.state_dict()
    assert ours.keys() == encoder.state_dict().keys()
    assert all(torch.equal(value, ours[name]) for name, value in encoder.state_dict().items())
    assert not student.training


@pytest.mark.parametrize("hidden", [None, 8])
def test_the_decoder_stays_tied_and_what_fits_of_the_head_is_the_teachers(masked_teacher, hidden):
    student = shrink_masked_model(masked_teacher, StudentSettings(hidden=hidden), seed=1)
    decoder, words = student.get_output_embeddings(), student.get_input_embeddings()
    assert decoder.weight is words.weight
    assert torch.equal(decoder.bias, masked_teacher.get_output_embeddings().bias)
    assert student.config._attn_implementation == "sdpa"
    assert run_masked(student).isfinite().all()


def test_a_masked_student_is_saved_and_loaded_with_its_head(tmp_path, masked_teacher):
    student = shrink_masked_model(masked_teacher, StudentSettings(), seed=1)
    student.save_pretrained(tmp_path)
    loaded, whole = load_masked_model(tmp_path)
    assert whole
    torch.testing.assert_close(run_masked(loaded), run_masked(student), atol=1e-6, rtol=0)


@pytest.mark.parametrize("rates", [DropoutRates(), DropoutRates(0.3, 0.3)])
@pytest.mark.parametrize("packed", [False, True])
def test_all_states_end_in_the_last_one_to_the_last_bit(teacher, packed, rates):
    batch = pack_batch(TOKENS, np.arange(len(TOKENS))) if packed else pad(teacher)
    results = []
    for compute in (compute_states, compute_all_states):
        torch.manual_seed(7)
        results.append((compute(teacher, batch, dropout=rates), torch.get_rng_state()))
    (last, generator), (states, generator_again) = results
    assert len(states) == DEPTH + 1
    assert torch.equal(last, states[-1])
    assert torch.equal(generator, generator_again)


def test_all_states_are_those_of_transformers(teacher):
    batch = pad(teacher)
    ids = batch.ids.view(batch.mask.shape).long()
    expected = teacher(
        input_ids=ids, attention_mask=batch.mask.long(), output_hidden_states=True
    ).hidden_states
    inside = batch.mask.view(-1)
    for ours, theirs in zip(compute_all_states(teacher, batch), expected, strict=True):
        torch.testing.assert_close(ours[inside], theirs.flatten(0, 1)[inside], atol=1e-5, rtol=0)
