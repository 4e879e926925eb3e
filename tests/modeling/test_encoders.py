"""Encoders: which folders are opened, and what comes out of them."""

import json
import struct
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForMaskedLM, pipeline

from distilro.errors import ExportError, IntegrityError, SettingsError
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


def write_masked(folder: Path, kind: str, *, half: bool = False) -> tuple[Path, dict]:
    """Write a model with its head and return its folder and its weights."""
    model, _ = load_masked_model(write_hub_model(folder / "hub", kind))
    with torch.no_grad():
        model.get_output_embeddings().bias.normal_()
    save_encoder(folder / "ours", model, build_tokenizer(), {}, half=half)
    return folder / "ours", model.state_dict()


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


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_head_for_masked_tokens_is_kept_and_tied_weights_are_written_once(tmp_path, kind: str):
    folder, saved = write_masked(tmp_path, kind)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"][0].endswith("ForMaskedLM")
    written = load_file(folder / "model.safetensors")
    assert set(written) == set(load_file(tmp_path / "hub" / "model.safetensors"))
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    model, has_head = load_masked_model(folder)
    assert has_head is True
    assert card["parameters"] == sum(value.numel() for value in written.values())
    assert card["parameters"] == sum(value.numel() for value in model.parameters())
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert set(model.state_dict()) == set(saved)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in saved.items())


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_an_encoder_is_opened_alike_with_and_without_its_head(tmp_path, kind: str, capfd):
    folder, _ = write_masked(tmp_path, kind)
    base = load_masked_model(folder)[0].base_model
    save_encoder(tmp_path / "base", base, build_tokenizer(), {})
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole, _ = load_encoder(folder)
        alone, _ = load_encoder(tmp_path / "base")
    assert capfd.readouterr() == ("", "")
    assert type(whole) is type(alone)
    assert list(whole.state_dict()) == list(alone.state_dict())
    assert not any("pooler" in name for name in whole.state_dict())
    for name, value in alone.state_dict().items():
        assert torch.equal(whole.state_dict()[name], value)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_plain_transformers_opens_the_folder_with_the_same_weights(tmp_path, kind: str, half: bool):
    folder, saved = write_masked(tmp_path, kind, half=half)
    expected = {name: value.half() if half else value for name, value in saved.items()}
    masked, report = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert masked.dtype == (torch.float16 if half else torch.float32)
    assert all(torch.equal(masked.state_dict()[name], value) for name, value in expected.items())
    prefix = masked.base_model_prefix + "."
    for name, value in AutoModel.from_pretrained(folder).state_dict().items():
        assert "pooler" in name or torch.equal(value, expected[prefix + name])


@pytest.mark.parametrize("half", [False, True])
def test_the_pipeline_of_transformers_fills_masks_as_our_model_does(tmp_path, half: bool):
    folder, _ = write_masked(tmp_path, "bert", half=half)
    model, _ = load_masked_model(folder)
    tokenizer = build_tokenizer()
    ids = tokenizer("Astăzi [MASK] mărunt", return_tensors="pt")["input_ids"]
    logits = model(ids).logits[0, ids[0] == tokenizer.mask_token_id][0]
    filler = pipeline("fill-mask", model=str(folder), dtype=torch.float32, device="cpu")
    answers = filler("Astăzi [MASK] mărunt", top_k=3)
    best = logits.softmax(dim=0).topk(3)
    assert [answer["token"] for answer in answers] == best.indices.tolist()
    assert [answer["score"] for answer in answers] == pytest.approx(best.values.tolist())


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_half_the_bytes_hold_nearly_the_same_encoder_opened_in_float32(tmp_path, kind: str):
    model, _ = load_masked_model(write_hub_model(tmp_path / "hub", kind))
    for name, half in (("whole", False), ("half", True)):
        save_encoder(tmp_path / name, model, build_tokenizer(), {}, half=half)
    sizes = {}
    for name in ("whole", "half"):
        content = (tmp_path / name / "model.safetensors").read_bytes()
        (header,) = struct.unpack("<Q", content[:8])
        sizes[name] = len(content) - 8 - header
    assert sizes["half"] * 2 == sizes["whole"]
    (whole, _), (half, config) = (load_encoder(tmp_path / name) for name in ("whole", "half"))
    assert {value.dtype for value in half.parameters()} == {torch.float32}
    assert config.dtype == torch.float32
    ids = torch.arange(2, 40)[None]
    states, rounded = (encoder(input_ids=ids).last_hidden_state for encoder in (whole, half))
    assert 0 < (states - rounded).abs().max() < 1e-2
    assert load_masked_model(tmp_path / "half")[1] is True


def test_saving_a_half_encoder_again_changes_no_bit(tmp_path):
    folder, _ = write_masked(tmp_path, "bert", half=True)
    model, _ = load_masked_model(folder)
    save_encoder(tmp_path / "again", model, build_tokenizer(), {}, half=True)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_weight_too_large_for_half_is_refused_and_nothing_is_written(tmp_path):
    model = build_masked_model(SCRATCH, build_tokenizer(), 1)
    with torch.no_grad():
        model.get_input_embeddings().weight[3, 4] = 65505.0
    with pytest.raises(ExportError, match=r"word_embeddings\.weight: expected .* got 1 beyond"):
        save_encoder(tmp_path / "half", model, build_tokenizer(), {}, half=True)
    assert not (tmp_path / "half").exists()


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
