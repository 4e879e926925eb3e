"""Encoders: which folders are opened, and what comes out of them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForMaskedLM

from distilro.errors import IntegrityError, SettingsError
from distilro.modeling.encoders import (
    ARCHITECTURES,
    add_token_rows,
    build_encoder,
    build_masked_model,
    check_length,
    count_positions,
    describe_config,
    load_encoder,
    load_masked_model,
    save_encoder,
)
from tests.modeling.tiny import SCRATCH, build_tokenizer, write_encoder, write_hub_model


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, **values}), encoding="utf-8")


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_allowed_architecture_is_loaded_as_its_author_saved_it(tmp_path, kind: str):
    folder = write_hub_model(tmp_path, kind)
    encoder, config = load_encoder(folder)
    reference = AutoModelForMaskedLM.from_pretrained(folder).base_model.eval()
    ids = torch.tensor([[2, 20, 21, 22, 3], [2, 30, 31, 32, 3]])
    mask = torch.ones_like(ids)
    states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(states, reference(ids, attention_mask=mask).last_hidden_state)
    assert config.model_type == kind
    assert encoder.config._attn_implementation == "sdpa"
    assert not any("pooler" in name for name in encoder.state_dict())
    assert {value.dtype for value in encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_as_many_tokens_as_counted_fit(tmp_path, kind: str):
    encoder, config = load_encoder(write_hub_model(tmp_path, kind))
    ids = torch.full((1, count_positions(config)), 20)
    assert ids.shape[1] == 40
    assert (
        encoder(input_ids=ids, attention_mask=torch.ones_like(ids))
        .last_hidden_state.isfinite()
        .all()
    )
    check_length(config, 40)
    with pytest.raises(SettingsError, match="max_tokens: expected at most 40"):
        check_length(config, 41)


def test_a_fresh_encoder_is_decided_by_its_seed_and_leaves_other_random_numbers_alone():
    tokenizer = build_tokenizer()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (build_masked_model(SCRATCH, tokenizer, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    weights = [model.get_input_embeddings().weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert weights[0].shape == (len(tokenizer), SCRATCH.hidden)


def test_a_saved_encoder_comes_back_whole_and_says_what_it_is(tmp_path):
    tokenizer = build_tokenizer()
    saved = build_masked_model(SCRATCH, tokenizer, 1).base_model
    save_encoder(tmp_path, saved, tokenizer, {"settings": {"seed": 1}})
    loaded, _ = load_encoder(tmp_path)
    for name, value in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert card["settings"] == {"seed": 1}
    assert card["parameters"] == sum(value.numel() for value in saved.parameters())
    assert len(card["weights"]) == len(card["tokenizer"]) == 64
    assert {path.name for path in tmp_path.iterdir()} == {
        *("model.safetensors", "config.json", "card.json"),
        *("tokenizer.json", "tokenizer_config.json"),
    }


def test_a_saved_encoder_is_one_of_transformers_own(tmp_path):
    write_encoder(tmp_path)
    ours, _ = load_encoder(tmp_path)
    plain = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False)
    assert all(torch.equal(plain.state_dict()[n], v) for n, v in ours.state_dict().items())


def test_the_same_encoder_is_saved_as_the_same_bytes(tmp_path):
    first, second = (write_encoder(tmp_path / name) for name in "ab")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_an_encoder_is_rebuilt_from_its_configuration_alone(tmp_path, kind: str):
    encoder, _ = load_encoder(write_hub_model(tmp_path, kind))
    rebuilt = build_encoder(json.loads(json.dumps(describe_config(encoder))))
    rebuilt.load_state_dict(encoder.state_dict())
    assert type(rebuilt) is type(encoder)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_new_tokens_get_the_mean_of_the_old_rows_tied_to_the_output(tmp_path, kind: str):
    tokenizer = build_tokenizer()
    tokenizer.add_tokens([f"<new{number}>" for number in range(30)])
    model, has_head = load_masked_model(write_hub_model(tmp_path, kind))
    old = model.get_input_embeddings().weight.detach().clone()
    added = add_token_rows(model, tokenizer)
    rows = model.get_input_embeddings().weight
    assert has_head
    assert added == len(tokenizer) - 210
    assert torch.equal(rows[:210], old)
    torch.testing.assert_close(rows[-1], old.mean(dim=0))
    assert model.get_output_embeddings().weight is rows
    assert model.get_output_embeddings().bias.shape == (len(tokenizer),)
    assert model.config.vocab_size == len(tokenizer)
    assert add_token_rows(model, tokenizer) == 0


def test_an_encoder_without_its_masked_head_is_told_from_one_with_it(tmp_path):
    assert load_masked_model(write_encoder(tmp_path))[1] is False


def test_pickled_weights_are_never_opened(tmp_path):
    folder = write_hub_model(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cposix\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(IntegrityError, match=r"expected weights in model.safetensors, found .*bin"):
        load_encoder(folder)


def test_code_of_the_model_s_author_is_never_run(tmp_path):
    folder = write_hub_model(tmp_path)
    (folder / "evil.py").write_text("raise SystemExit(1)\n", encoding="utf-8")
    change_config(folder, auto_map={"AutoModel": "evil.Evil"})
    with pytest.raises(IntegrityError, match="auto_map"):
        load_encoder(folder)


@pytest.mark.parametrize("kind", ["gpt2", "custom", None])
def test_another_architecture_is_refused(tmp_path, kind: str | None):
    folder = write_hub_model(tmp_path)
    change_config(folder, model_type=kind)
    with pytest.raises(SettingsError, match="model_type: expected one of bert, distilbert"):
        load_encoder(folder)


def test_a_folder_without_configuration_is_refused(tmp_path):
    with pytest.raises(IntegrityError, match=r"config\.json is missing"):
        load_encoder(tmp_path)


def test_weights_that_are_missing_are_never_made_up(tmp_path):
    folder = write_encoder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for load in (load_encoder, load_masked_model):
        with pytest.raises(IntegrityError, match=r"1 weights are missing.*layer\.1\.output"):
            load(folder)


@pytest.mark.parametrize("damage", ["cut", "emptied"])
def test_damaged_weights_are_refused(tmp_path, damage: str):
    path = write_encoder(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000] if damage == "cut" else b"")
    with pytest.raises(IntegrityError, match="damaged"):
        load_encoder(tmp_path)


def test_weights_of_another_size_are_refused(tmp_path):
    folder = write_encoder(tmp_path)
    change_config(folder, intermediate_size=64)
    with pytest.raises(IntegrityError, match="do not fit"):
        load_encoder(folder)
