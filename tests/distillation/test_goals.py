"""The objective of a model is put together from its recipe, or refused before any training."""

import numpy as np
import pytest
import torch

from distilro.distillation.cell_settings import CellPlaces, CellSettings, Machine
from distilro.distillation.goals import ObjectiveParts
from distilro.distillation.starts import build_start
from distilro.errors import SettingsError
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.tokenization import encode
from distilro.settings import check_section
from distilro.training.epochs import TaskData
from distilro.training.workers import ALONE, Workers
from tests.corpora.handmade import SENTIMENT
from tests.distillation.tiny_study import TinyStudy
from tests.modeling.tiny import TEXTS, build_tokenizer

CRITIC = {"batch_examples": 4}
RO, EN = {"ro": 1.0}, {"en": 1.0}


@pytest.fixture
def study(tmp_path):
    return TinyStudy(tmp_path)


def make_parts(study, recipe, workers=ALONE):
    settings = check_section(CellSettings, study.describe(recipe, ("sentiment",)))
    inputs = study.cell.inputs
    places = CellPlaces("some", "sentiment", inputs / "encoder", inputs, study.results)
    return ObjectiveParts(
        settings, places, Machine("cpu", "fp32", False, workers), build_tokenizer()
    )


def build(parts, source, targets):
    """Return the objective of five texts, of which `source` says which are English."""
    tokens = encode(parts.tokenizer, TEXTS[:5], 24)
    shape = (5, 2)
    data = TaskData(
        SENTIMENT,
        [str(row) for row in range(5)],
        tokens,
        np.tile(np.float32([1, 0]), (5, 1)),
        np.ones(shape, bool),
        source=np.array(source),
    )
    classifier = build_start(parts.settings, parts.places, [SENTIMENT], 0)
    return parts.build(classifier, [data], 0, targets), tokens


def test_a_plain_recipe_has_neither_alignment_nor_adversary(study):
    objective, _ = build(make_parts(study, {"stages": [RO]}), [False] * 5, None)
    assert objective.alignment is None and objective.adversary is None
    assert not list(objective.module.parameters())


def test_a_critic_is_shown_the_english_rows_and_the_targets(study):
    parts = make_parts(study, {"stages": [{**RO, **EN}], "adversary": CRITIC})
    targets = encode(parts.tokenizer, TEXTS[5:8], 24)
    objective, tokens = build(parts, [True, False, False, True, False], targets)
    texts = objective.adversary.texts
    _assert_equal(texts.source, tokens.select(np.array([0, 3])))
    _assert_equal(texts.target, targets)


def test_several_processes_with_an_adversary_are_refused(study):
    message = "processes is 2, but a recipe with an adversary is trained by one.*set it to 1"
    with pytest.raises(SettingsError, match=message):
        make_parts(study, {"stages": [EN], "adversary": CRITIC}, Workers(0, 2))
    make_parts(study, {"stages": [EN]}, Workers(0, 2))


def test_the_first_epoch_of_a_critic_has_as_many_steps_as_the_plan(study):
    objective, _ = build(
        make_parts(study, {"stages": [EN], "adversary": CRITIC}),
        [True] * 5,
        encode(build_tokenizer(), TEXTS[5:8], 24),
    )
    objective.begin(7)
    assert objective.adversary.first_epoch_steps == 7


def _assert_equal(got: RaggedTokens, expected: RaggedTokens):
    torch.testing.assert_close(torch.from_numpy(got.ids), torch.from_numpy(expected.ids))
    assert got.lengths.tolist() == expected.lengths.tolist()
