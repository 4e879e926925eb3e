"""The command `encoder`: from mixtures to a folder that trains."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from distilro.artifacts import hash_file
from distilro.cli import main
from distilro.corpora.examples import Examples, Task, hash_text, identify_example, write_examples
from distilro.modeling.encoders import load_encoder
from distilro.modeling.tokenization import load_tokenizer
from tests.modeling.tiny import SCRATCH, TEXTS, write_hub_model

ADAPTATION = {
    "epochs": 1,
    "learning_rate": 1e-3,
    "batch_tokens": 64,
    "max_tokens": 16,
    "precision": "fp32",
}


def write_mixture(path: Path, texts: list[str], split: str = "train") -> Path:
    count = len(texts)
    rows = [str(row) for row in range(count)]
    examples = Examples(
        task=Task("sentiment", "multi_class", ("negative", "positive")),
        id=[
            identify_example("own", split, row, text) for row, text in zip(rows, texts, strict=True)
        ],
        text_hash=[hash_text(text) for text in texts],
        text=texts,
        text_pair=[None] * count,
        lang=["ro"] * count,
        dataset=["own"] * count,
        split=[split] * count,
        source_row=rows,
        target=np.tile(np.array([[1, 0]], np.float32), (count, 1)),
        observed=np.ones((count, 2), bool),
        votes=np.full((count, 2), np.nan, np.float32),
    )
    write_examples(path, examples)
    return path


@pytest.fixture
def mixture(tmp_path) -> Path:
    return write_mixture(tmp_path / "mixtures" / "sentiment" / "ro1.parquet", TEXTS)


def make_encoder(tmp_path: Path, mixtures: list[Path], out: str = "encoder", **settings) -> int:
    values = {"source": "scratch", "seed": 13, "adaptation": ADAPTATION, **settings}
    if values["source"] == "scratch":
        values["scratch"] = SCRATCH.model_dump()
    argv = ["encoder", "--settings", json.dumps(values), "--out", str(tmp_path / out)]
    argv += ["--mixtures", *map(str, mixtures), "--records", str(tmp_path / "records")]
    argv += ["--checkpoints", str(tmp_path / "checkpoints")]
    return main([*argv, "--lock", str(tmp_path / "lock.json")])


def read_card(folder: Path) -> dict:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def test_a_fresh_encoder_is_made_adapted_and_described(tmp_path, mixture):
    assert make_encoder(tmp_path, [mixture]) == 0
    folder = tmp_path / "encoder"
    encoder, _ = load_encoder(folder)
    assert encoder.get_input_embeddings().weight.shape[0] == len(load_tokenizer(folder))
    card = read_card(folder)
    assert card["mixtures"] == {"sentiment/ro1": hash_file(mixture)}
    assert card["weights"] == hash_file(folder / "model.safetensors")
    assert set(card["settings"]) == {"source", "scratch", "adaptation", "seed"}
    assert card["adaptation"]["texts"] == len(TEXTS) - 1
    assert set(card["adaptation"]["held_out_loss"]) == {"before", "after"}
    assert (tmp_path / "records" / "encoder-scratch.json").exists()


def test_run_again_it_writes_the_same_bytes(tmp_path, mixture):
    for out in ("first", "second"):
        assert make_encoder(tmp_path, [mixture], out) == 0
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_neither_order_nor_repeats_of_texts_matter(tmp_path, mixture):
    turned = write_mixture(tmp_path / "mixtures" / "topic" / "ro1.parquet", TEXTS[::-1] + TEXTS[:2])
    make_encoder(tmp_path, [mixture], "first")
    make_encoder(tmp_path, [turned, mixture], "second")
    weights = [read_card(tmp_path / out)["weights"] for out in ("first", "second")]
    assert weights[0] == weights[1]


def test_an_encoder_of_a_folder_keeps_its_weights_and_gets_the_placeholders(tmp_path, mixture):
    source = write_hub_model(tmp_path / "source")
    no_adaptation = {**ADAPTATION, "epochs": 0}
    folder = tmp_path / "encoder"
    settings = {"source": "folder", "folder": str(source), "adaptation": no_adaptation}
    assert make_encoder(tmp_path, [mixture], **settings) == 0
    before, after = (load_encoder(path)[0].state_dict() for path in (source, folder))
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    origin = read_card(folder)["origin"]
    assert origin["weights"] == {"model.safetensors": hash_file(source / "model.safetensors")}
    assert load_tokenizer(folder).tokenize("<|URL|>") == ["<url>"]


def test_an_adapted_encoder_of_a_folder_has_other_weights(tmp_path, mixture):
    source = write_hub_model(tmp_path / "source", "roberta")
    assert make_encoder(tmp_path, [mixture], source="folder", folder=str(source)) == 0
    before, after = (load_encoder(path)[0].state_dict() for path in (source, tmp_path / "encoder"))
    assert not all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_hub_model_says_which_commit_it_is(tmp_path, mixture, monkeypatch):
    commit = "ab" * 20
    source = write_hub_model(tmp_path / commit)
    monkeypatch.setattr("distilro.modeling.hub.snapshot_download", lambda *_, **__: str(source))
    hub = {"name": "somebody/tiny", "revision": None}
    assert make_encoder(tmp_path, [mixture], source="hub", hub=hub) == 0
    origin = read_card(tmp_path / "encoder")["origin"]
    assert (origin["name"], origin["revision"]) == ("somebody/tiny", commit)
    lock = json.loads((tmp_path / "lock.json").read_text(encoding="utf-8"))
    assert lock == {"somebody/tiny": commit}


def test_a_row_that_is_not_for_training_stops_it(tmp_path, mixture, caplog):
    leaked = write_mixture(tmp_path / "mixtures" / "sentiment" / "ro2.parquet", TEXTS, "test")
    assert make_encoder(tmp_path, [mixture, leaked]) == 4
    assert "expected training rows only, got rows of test" in caplog.text
    assert not (tmp_path / "encoder").exists()


def test_an_evil_folder_stops_it_and_nothing_is_written(tmp_path, mixture, caplog):
    source = write_hub_model(tmp_path / "source")
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    assert make_encoder(tmp_path, [mixture], source="folder", folder=str(source)) == 3
    assert "Pickled weights are never opened" in caplog.text
    assert not (tmp_path / "encoder").exists()


def test_a_wrong_setting_stops_it(tmp_path, mixture):
    assert make_encoder(tmp_path, [mixture], adaptation={**ADAPTATION, "epochs": -1}) == 2
