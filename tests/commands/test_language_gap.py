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
    **{"task": "sentiment", "recipe": "adversarial", "scope": "all"},
    **{"reference": "zero_shot", "reference_scope": "sentiment"},
}


@pytest.fixture
def folder(tmp_path):
    """Give texts of two languages and models of two seeds that tell them apart.

    All but `adversarial`, seed 1: every word in every place is the same to it.
    """
    for lang, words in WORDS.items():
        rows = [(" ".join(words.split()[: 1 + number % 4]), "positive") for number in range(40)]
        examples = make_examples(rows, lang, "valid", task=SENTIMENT, lang=lang)
        write_examples(tmp_path / f"prepared/{lang}/valid.parquet", examples)
    encoder = write_encoder(tmp_path / "encoder")
    tokenizer = load_tokenizer(encoder)
    for cell in ("zero_shot/sentiment", "adversarial/all"):
        for seed in (0, 1):
            model = build_classifier(encoder, [SENTIMENT], pooling="mean", dropout=0.1, seed=seed)
            if (cell, seed) == ("adversarial/all", 1):
                with torch.no_grad():
                    model.encoder.embeddings.word_embeddings.weight.fill_(1.0)
                    model.encoder.embeddings.position_embeddings.weight.fill_(0.0)
            place = tmp_path / f"results/models/{cell}/seed{seed}"
            save_classifier(place, model, tokenizer, [SENTIMENT], 24)
    return tmp_path


def run(folder, **changes):
    texts = {"sentiment": {"ro": "ro", "en": "en"}}
    settings = {"seeds": [0, 1], "texts": texts, "pairs": [PAIR], **changes}
    argv = ["language-gap", "--settings", json.dumps(settings)]
    argv += ["--prepared", str(folder / "prepared"), "--results", str(folder / "results")]
    return main([*argv, "--out", str(folder / "gaps.json")])


def test_each_seed_has_the_gaps_of_the_recipe_and_of_its_reference(folder):
    assert run(folder) == 0
    table = read_json(folder / "gaps.json")
    assert (table["version"], table["critics"]) == (1, 3)
    apart, collapsed = table["rows"]
    for seed, row in enumerate((apart, collapsed)):
        assert {name: row[name] for name in PAIR} == PAIR
        assert (row["seed"], row["texts"]) == (seed, {"en": 40, "ro": 40})
        assert len(row["gaps"]) == len(set(row["reference_gaps"])) == 3
        assert 0.5 < min(row["reference_gaps"]) < max(row["reference_gaps"]) < 2.5
    assert apart["gaps"] == apart["reference_gaps"]  # the same encoder
    assert max(map(abs, collapsed["gaps"])) < 0.01
    assert read_json(folder / "results/records/language-gap-all.json")["device"] == "cpu"


def test_a_second_run_writes_the_same_bytes(folder):
    run(folder)
    first = (folder / "gaps.json").read_bytes()
    run(folder)
    assert (folder / "gaps.json").read_bytes() == first


def test_a_reference_of_two_recipes_is_asked_once(folder, monkeypatch):
    asked = []

    def count(english, romanian, *, seed):
        asked.append((len(english), len(romanian), seed))
        return 0.0

    monkeypatch.setattr("distilro.commands.language_gap.measure_gap", count)
    other = {**PAIR, "recipe": "zero_shot", "scope": "sentiment"}
    assert run(folder, pairs=[PAIR, other], seeds=[0]) == 0
    assert asked == [(40, 40, critic) for _ in range(2) for critic in range(3)]


def test_a_run_without_an_adversary_writes_an_empty_table(folder):
    assert run(folder, pairs=[], texts={}) == 0
    assert read_json(folder / "gaps.json")["rows"] == []


def test_a_model_that_is_not_there_is_named(folder, caplog):
    assert run(folder, pairs=[{**PAIR, "recipe": "other"}]) != 0
    assert "models/other/all/seed0" in caplog.text
    assert not (folder / "gaps.json").exists()


def test_a_model_whose_features_cannot_be_measured_is_named(folder, caplog):
    rows = [("supa e rece", "positive")] * 3
    examples = make_examples(rows, "ro", "valid", task=SENTIMENT)
    write_examples(folder / "prepared/ro/valid.parquet", examples)
    assert run(folder) != 0
    assert "adversarial/all/seed0, on validation texts: " in caplog.text
    assert "got 40 and 3" in caplog.text
