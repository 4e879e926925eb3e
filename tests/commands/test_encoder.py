"""The command `encoder`: from texts to a folder that trains."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from distilro.artifacts import hash_file, read_json
from distilro.cli import main
from distilro.corpora.passages import Passages, write_passages
from distilro.modeling.encoders import load_encoder, load_masked_model
from distilro.modeling.tokenization import load_tokenizer
from distilro.training.checkpoints import Checkpoints
from tests.modeling.tiny import SCRATCH, TEXTS, write_hub_model

ADAPTATION = {
    "epochs": 1,
    "learning_rate": 1e-3,
    "batch_tokens": 64,
    "max_tokens": 16,
    "precision": "fp32",
}
NO_ADAPTATION = {**ADAPTATION, "epochs": 0}
VOCABULARY = {"size": 150, "lowercase": True}
STOPPED = 143


def write_texts(path: Path, texts: list[str]) -> Path:
    """Write texts as the stage `texts` does."""
    count = len(texts)
    write_passages(path, Passages(texts, ["ro"] * count, ["own"] * count, ["a.txt"] * count))
    return path


@pytest.fixture(autouse=True)
def threads():
    """Put the number of threads back, which the command sets for its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def texts(tmp_path) -> Path:
    return write_texts(tmp_path / "texts.parquet", TEXTS)


def make_encoder(tmp_path: Path, file: Path | None, out: str = "encoder", **settings) -> int:
    values = {"source": "scratch", "seed": 13, "adaptation": ADAPTATION, **settings}
    if values["source"] == "scratch":
        values["scratch"] = SCRATCH.model_dump()
    argv = ["encoder", "--settings", json.dumps(values), "--out", str(tmp_path / out)]
    argv += ["--texts", str(file)] if file else []
    argv += ["--records", str(tmp_path / "records"), "--checkpoint-seconds", "0"]
    argv += ["--checkpoints", str(tmp_path / "checkpoints")]
    return main([*argv, "--lock", str(tmp_path / "lock.json")])


def stop_after(monkeypatch: pytest.MonkeyPatch, last: int, make) -> int:
    """Return the exit code of a command that is asked to stop when it has kept `last` moments."""
    with monkeypatch.context() as patch:
        save, saved = Checkpoints.save, []

        def save_and_ask(checkpoints, moment):
            save(checkpoints, moment)
            saved.append(moment.step)
            if len(saved) == last:
                os.kill(os.getpid(), signal.SIGTERM)

        patch.setattr(Checkpoints, "save", save_and_ask)
        return make()


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read_card(folder: Path) -> dict:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def test_a_fresh_encoder_is_made_adapted_and_described(tmp_path, texts):
    assert make_encoder(tmp_path, texts) == 0
    folder = tmp_path / "encoder"
    encoder, _ = load_encoder(folder)
    assert encoder.get_input_embeddings().weight.shape[0] == len(load_tokenizer(folder))
    card = read_card(folder)
    assert card["texts"] == hash_file(texts)
    assert card["weights"] == hash_file(folder / "model.safetensors")
    used = {"source", "scratch", "texts", "vocabulary", "adaptation", "half", "seed"}
    assert set(card["settings"]) == used
    assert card["adaptation"]["texts"] == len(TEXTS) - 1
    assert set(card["adaptation"]["held_out_loss"]) == {"before", "after"}
    assert (tmp_path / "records" / "encoder-scratch.json").exists()


def test_run_again_it_writes_the_same_bytes(tmp_path, texts):
    for out in ("first", "second"):
        assert make_encoder(tmp_path, texts, out) == 0
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_neither_order_nor_repeats_of_texts_matter(tmp_path, texts):
    turned = write_texts(tmp_path / "turned.parquet", TEXTS[::-1] + TEXTS[:2])
    make_encoder(tmp_path, texts, "first")
    make_encoder(tmp_path, turned, "second")
    weights = [read_card(tmp_path / out)["weights"] for out in ("first", "second")]
    assert weights[0] == weights[1]


def test_an_encoder_of_a_folder_keeps_its_weights_and_gets_the_placeholders(tmp_path, texts):
    source = write_hub_model(tmp_path / "source")
    folder = tmp_path / "encoder"
    settings = {"source": "folder", "folder": str(source), "adaptation": NO_ADAPTATION}
    assert make_encoder(tmp_path, texts, **settings) == 0
    before, after = (load_encoder(path)[0].state_dict() for path in (source, folder))
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    origin = read_card(folder)["origin"]
    assert origin["weights"] == {"model.safetensors": hash_file(source / "model.safetensors")}
    assert load_tokenizer(folder).tokenize("<|URL|>") == ["<url>"]


def test_an_adapted_encoder_of_a_folder_has_other_weights(tmp_path, texts):
    source = write_hub_model(tmp_path / "source", "roberta")
    assert make_encoder(tmp_path, texts, source="folder", folder=str(source)) == 0
    before, after = (load_encoder(path)[0].state_dict() for path in (source, tmp_path / "encoder"))
    assert not all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_hub_model_says_which_commit_it_is(tmp_path, texts, monkeypatch):
    commit = "ab" * 20
    source = write_hub_model(tmp_path / commit)
    monkeypatch.setattr("distilro.modeling.hub.snapshot_download", lambda *_, **__: str(source))
    hub = {"name": "somebody/tiny", "revision": None}
    assert make_encoder(tmp_path, texts, source="hub", hub=hub) == 0
    origin = read_card(tmp_path / "encoder")["origin"]
    assert (origin["name"], origin["revision"]) == ("somebody/tiny", commit)
    lock = json.loads((tmp_path / "lock.json").read_text(encoding="utf-8"))
    assert lock == {"somebody/tiny": commit}


def test_what_it_writes_has_its_head_for_masked_tokens(tmp_path, texts):
    source = write_hub_model(tmp_path / "source", "roberta")
    make_encoder(tmp_path, texts, "fresh")
    make_encoder(tmp_path, texts, "adapted", source="folder", folder=str(source))
    for folder in (tmp_path / "fresh", tmp_path / "adapted"):
        model, has_head = load_masked_model(folder)
        assert has_head
        assert model.config.architectures == [type(model).__name__]


def test_a_head_is_adapted_further_where_it_was_left(tmp_path, texts):
    make_encoder(tmp_path, texts, "first")
    again = {"source": "folder", "folder": str(tmp_path / "first")}
    make_encoder(tmp_path, None, "kept", **again, adaptation=NO_ADAPTATION)
    make_encoder(tmp_path, texts, "second", **again)
    assert (
        read_all(tmp_path / "kept")["model.safetensors"]
        == (read_all(tmp_path / "first")["model.safetensors"])
    )
    first, second = (read_card(tmp_path / out)["adaptation"] for out in ("first", "second"))
    assert second["held_out_loss"]["before"] == pytest.approx(first["held_out_loss"]["after"])


def test_a_vocabulary_of_the_texts_takes_the_place_of_the_old_one(tmp_path, texts):
    source = write_hub_model(tmp_path / "source")
    settings = {"source": "folder", "folder": str(source), "vocabulary": VOCABULARY}
    assert make_encoder(tmp_path, texts, **settings, adaptation=NO_ADAPTATION) == 0
    folder = tmp_path / "encoder"
    tokenizer, (encoder, _) = load_tokenizer(folder), load_encoder(folder)
    assert len(tokenizer) <= VOCABULARY["size"] < len(load_tokenizer(source))
    assert encoder.get_input_embeddings().weight.shape[0] == len(tokenizer)
    assert tokenizer.tokenize("ȘTIINȚA") == tokenizer.tokenize("știința")
    card = read_card(folder)
    counts = card["origin"]["vocabulary"]
    assert sum(counts.values()) == len(tokenizer)
    assert counts["copied"] > 0
    assert card["texts"] == hash_file(texts)
    assert load_masked_model(folder)[1]


def test_half_precision_is_half_the_space_and_opens_in_float32(tmp_path, texts):
    make_encoder(tmp_path, texts, "whole")
    make_encoder(tmp_path, texts, "half", half=True)
    whole, half = (load_file(tmp_path / out / "model.safetensors") for out in ("whole", "half"))
    assert {value.dtype for value in half.values()} == {torch.float16}
    for name, value in whole.items():
        assert torch.equal(half[name], value.half())
    model, has_head = load_masked_model(tmp_path / "half")
    assert has_head
    assert model.dtype == torch.float32
    assert read_json(tmp_path / "half" / "config.json")["dtype"] == "float16"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"adaptation": NO_ADAPTATION},
        {"source": "folder"},
        {"source": "folder", "vocabulary": VOCABULARY, "adaptation": NO_ADAPTATION},
    ],
    ids=["scratch", "scratch not adapted", "folder adapted", "folder with a vocabulary"],
)
def test_an_encoder_that_learns_from_texts_needs_them(tmp_path, caplog, settings):
    if settings.get("source") == "folder":
        settings = {**settings, "folder": str(write_hub_model(tmp_path / "source"))}
    assert make_encoder(tmp_path, None, **settings) == 2
    assert "--texts is missing: this encoder learns from texts" in caplog.text
    assert not (tmp_path / "encoder").exists()


def test_an_encoder_that_learns_nothing_needs_no_texts(tmp_path):
    source = write_hub_model(tmp_path / "source")
    settings = {"source": "folder", "folder": str(source), "adaptation": NO_ADAPTATION}
    assert make_encoder(tmp_path, None, **settings) == 0
    assert read_card(tmp_path / "encoder")["texts"] is None


def test_texts_that_nothing_learns_from_are_not_on_the_card(tmp_path, texts):
    source = write_hub_model(tmp_path / "source")
    settings = {"source": "folder", "folder": str(source), "adaptation": NO_ADAPTATION}
    make_encoder(tmp_path, texts, "with", **settings)
    make_encoder(tmp_path, None, "without", **settings)
    assert read_all(tmp_path / "with") == read_all(tmp_path / "without")


@pytest.mark.parametrize("vocabulary", [None, VOCABULARY], ids=["own", "transferred"])
def test_an_adaptation_that_was_stopped_goes_on_to_the_same_bytes(
    tmp_path, texts, monkeypatch, caplog, vocabulary
):
    source = write_hub_model(tmp_path / "source")
    settings = {"source": "folder", "folder": str(source), "vocabulary": vocabulary}
    settings["adaptation"] = {**ADAPTATION, "epochs": 3}

    def make(out):
        return make_encoder(tmp_path, texts, out, **settings)

    caplog.set_level("INFO")
    record = tmp_path / "records/encoder-folder.json"
    assert make("whole") == 0
    assert read_json(record)["resumed"] == {}
    assert stop_after(monkeypatch, 2, lambda: make("stopped")) == STOPPED
    assert not (tmp_path / "stopped").exists()
    assert (tmp_path / "checkpoints" / "checkpoint.json").exists()
    assert make("stopped") == 0
    assert "Going on after step" in caplog.text
    assert read_json(record)["resumed"]["adaptation"] > 0
    assert read_all(tmp_path / "stopped") == read_all(tmp_path / "whole")
    assert not (tmp_path / "checkpoints").exists()


def test_a_checkpoint_of_other_texts_is_not_gone_on_from(tmp_path, texts, monkeypatch, caplog):
    caplog.set_level("INFO")
    stop_after(monkeypatch, 1, lambda: make_encoder(tmp_path, texts, "first"))
    other = write_texts(tmp_path / "other.parquet", TEXTS[:-1])
    assert make_encoder(tmp_path, other, "second") == 0
    assert "Going on after step" not in caplog.text


def test_a_file_that_is_not_of_texts_stops_it(tmp_path, texts, caplog):
    texts.write_bytes(texts.read_bytes()[:-5])
    assert make_encoder(tmp_path, texts) == 3
    assert "cannot read passages" in caplog.text
    assert not (tmp_path / "encoder").exists()


def test_an_evil_folder_stops_it_and_nothing_is_written(tmp_path, texts, caplog):
    source = write_hub_model(tmp_path / "source")
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    assert make_encoder(tmp_path, texts, source="folder", folder=str(source)) == 3
    assert "Pickled weights are never opened" in caplog.text
    assert not (tmp_path / "encoder").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"adaptation": {**ADAPTATION, "epochs": -1}},
        {"vocabulary": VOCABULARY},  # scratch learns its own
        {"source": "folder"},
        {"vocabulary": {**VOCABULARY, "size": 99}},
        {"texts": {"most_words": {"tales_ro": 10}}},
        {"texts": {"colections": []}},
    ],
    ids=repr,
)
def test_a_wrong_setting_stops_it(tmp_path, texts, settings):
    assert make_encoder(tmp_path, texts, **settings) == 2
    assert not (tmp_path / "encoder").exists()
