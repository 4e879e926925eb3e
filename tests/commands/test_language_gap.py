"""The command language-gap: whose features are asked, on which texts, and what is written."""

import json

import pytest
import torch

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.corpora.examples import write_examples
from distilro.modeling.heads import build_classifier, save_classifier
from distilro.modeling.tokenization import load_tokenizer
from tests.corpora.handmade import SENTIMENT, make_examples
from tests.modeling.tiny import write_encoder

WORDS = {"en": "the garden was quiet", "ro": "supa e rece astăzi"}
PAIR = {
    **{"task": "sentiment", "recipe": "adversarial", "scope": "sentiment"},
    **{"reference": "zero_shot", "reference_scope": "sentiment"},
}


@pytest.fixture
def folder(tmp_path):
    """Give texts of two languages, a model that tells them apart, and one that tells nothing."""
    for lang, words in WORDS.items():
        rows = [(" ".join(words.split()[: 1 + number % 4]), "positive") for number in range(40)]
        examples = make_examples(rows, lang, "valid", task=SENTIMENT, lang=lang)
        write_examples(tmp_path / f"prepared/{lang}/valid.parquet", examples)
    encoder = write_encoder(tmp_path / "encoder")
    tokenizer = load_tokenizer(encoder)
    for seed in (0, 1):
        for recipe in ("zero_shot", "adversarial"):
            model = build_classifier(encoder, [SENTIMENT], pooling="mean", dropout=0.1, seed=seed)
            if recipe == "adversarial":  # every word in every place is the same to it
                with torch.no_grad():
                    model.encoder.embeddings.word_embeddings.weight.fill_(1.0)
                    model.encoder.embeddings.position_embeddings.weight.fill_(0.0)
            place = tmp_path / f"results/models/{recipe}/sentiment/seed{seed}"
            save_classifier(place, model, tokenizer, [SENTIMENT], 24)
    return tmp_path


def run(folder, **changes):
    texts = {"sentiment": {"ro": "ro", "en": "en"}}
    settings = {"seeds": [0, 1], "texts": texts, "pairs": [PAIR], **changes}
    argv = ["language-gap", "--settings", json.dumps(settings)]
    argv += ["--prepared", str(folder / "prepared"), "--results", str(folder / "results")]
    return main([*argv, "--out", str(folder / "gaps.json")])


def test_each_seed_has_the_gap_of_the_recipe_and_of_its_reference(folder):
    assert run(folder) == 0
    table = read_json(folder / "gaps.json")
    assert (table["version"], table["critics"]) == (1, 3)
    assert [row["seed"] for row in table["rows"]] == [0, 1]
    for row in table["rows"]:
        assert {name: row[name] for name in PAIR} == PAIR
        assert abs(row["gap"]) < 0.01
        assert 0.5 < row["reference_gap"] < 2.1
    assert read_json(folder / "results/records/language-gap-all.json")["device"] == "cpu"


def test_a_second_run_writes_the_same_bytes(folder):
    run(folder)
    first = (folder / "gaps.json").read_bytes()
    run(folder)
    assert (folder / "gaps.json").read_bytes() == first


def test_a_run_without_an_adversary_writes_an_empty_table(folder):
    assert run(folder, pairs=[], texts={}) == 0
    assert read_json(folder / "gaps.json")["rows"] == []


def test_a_model_that_is_not_there_is_named(folder, caplog):
    assert run(folder, pairs=[{**PAIR, "recipe": "other"}]) != 0
    assert "models/other/sentiment/seed0" in caplog.text
    assert not (folder / "gaps.json").exists()
