"""The command `train-linear-folds`: no row is answered by a model that learned its text."""

import numpy as np
import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.corpora.examples import concatenate, read_examples, write_examples
from distilro.distillation.folds import assign_folds
from distilro.distillation.logits import read_logits
from distilro.distillation.teachers import identify_teacher, name_logits
from distilro.modeling.scorers import load_scorer
from tests.commands.test_train_linear import draw, list_arguments, write_inputs

ASKED = ("--mixtures", "sentiment-ro1", "sentiment-ro1-en1")


@pytest.mark.parametrize("kind", ["linear", "majority"])
def test_a_text_is_answered_by_a_model_that_never_read_it(tmp_path, kind):
    """Each equals one that `train-linear` fits without the fold; other texts get the mean."""
    recipe = {"kind": kind, "stages": [{"ro": 1.0}]}
    learned, asked = write_both(tmp_path)
    folded = list_arguments("train-linear-folds", tmp_path, kind, extra=ASKED, recipe=recipe)
    assert main(folded) == 0
    results = tmp_path / "results"
    folder = results / "models" / kind / "sentiment" / "seed0-folds"
    teacher = identify_teacher(folder)
    got = read_logits(name_logits(results, teacher, "sentiment"), examples=asked, teacher=teacher)
    answers, weights = [], []
    for fold in range(3):
        other = tmp_path / f"without{fold}"
        kept = assign_folds(learned.text_hash, 3, "13") != fold
        write_examples(write_inputs(other) / "ro1.parquet", learned.select(np.flatnonzero(kept)))
        assert main(list_arguments("train-linear", other, kind, recipe=recipe)) == 0
        model = other / "results" / "models" / kind / "sentiment" / "seed0"
        answers.append(load_scorer(model).score("sentiment", asked.text))
        weights.append(read_json(model / "card.json")["weights"])
    held_out = np.stack(answers)[assign_folds(asked.text_hash, 3, "13"), np.arange(len(asked))]
    seen = np.isin(asked.text_hash, learned.text_hash)[:, None]
    assert 0 < seen.sum() < len(asked)
    np.testing.assert_allclose(got, np.where(seen, held_out, np.mean(answers, axis=0)), atol=1e-6)
    card = read_json(folder / "card.json")
    assert card["fold_weights"] == weights and card["folds"] == 3
    assert list(card["valid"]) == ["sentiment"] and list(card["mixtures"]) == ["sentiment/ro1"]


def write_both(folder):
    """Write a Romanian mixture and one with English rows; return both."""
    mixtures = write_inputs(folder)
    learned = read_examples(mixtures / "ro1.parquet")
    both = concatenate([learned, draw(6, "en", lang="en")])
    write_examples(mixtures / "ro1-en1.parquet", both)
    return learned, both
