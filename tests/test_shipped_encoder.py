"""The encoder that comes along: what its card and its settings promise of it."""

import pytest

from distilro.artifacts import hash_file, read_json
from distilro.corpora.collections import load_collection
from distilro.modeling.encoders import load_masked_model
from distilro.modeling.tokenization import load_tokenizer
from distilro.recipes import describe_texts
from tests.support import ROOT, build_settings

FOLDER = ROOT / "data/embedded/encoder"
REGISTRY = ROOT / "data/registry"
MOST_BYTES = 16 * 1024**2


@pytest.fixture(scope="module")
def card():
    return read_json(FOLDER / "card.json")


@pytest.fixture(scope="module")
def settings():
    """Those of the scenario that the encoder's README names."""
    assert "scenario=shipped_encoder" in (FOLDER / "README.md").read_text(encoding="utf-8")
    return build_settings("shipped_encoder")


def test_its_files_are_those_that_its_card_names_and_small_enough_to_ship(card):
    assert hash_file(FOLDER / "model.safetensors") == card["weights"]
    assert hash_file(FOLDER / "tokenizer.json") == card["tokenizer"]
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= MOST_BYTES


def test_the_scenario_that_makes_it_has_the_settings_of_its_card(card, settings):
    assert settings.encoders.describe() == card["settings"]


def test_it_read_what_the_scenario_says_and_nothing_else(settings):
    texts = read_json(FOLDER / "texts.json")
    asked = describe_texts(settings)
    assert texts["settings"] == asked
    assert asked["training"] == []  # no labelled corpus
    assert set(texts["collections"]) == set(settings.encoders.texts.collections)


def test_every_collection_that_it_read_allows_it_to_be_handed_on(settings):
    for name in settings.encoders.texts.collections:
        assert load_collection(REGISTRY, name).redistributable, name


def test_no_dataset_that_the_project_tests_on_is_left_out_of_its_audit(settings):
    kept_out = set(describe_texts(settings)["evaluation"])
    for scenario in ("embedded", "laptop"):
        for datasets in build_settings(scenario).data.tasks.values():
            named = {datasets.ro, datasets.en, datasets.ood} - {None}
            assert named <= kept_out


def test_it_loads_with_its_head_and_knows_more_of_masked_tokens_than_at_first(card):
    model, has_head = load_masked_model(FOLDER)
    assert has_head
    assert len(load_tokenizer(FOLDER)) == model.config.vocab_size
    losses = card["adaptation"]["held_out_loss"]
    assert losses["after"] < losses["before"] - 1.0
