"""The majority model gives back the frequencies of the labels, whatever it is asked about."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from distilro.artifacts import read_json, write_json
from distilro.errors import IntegrityError, SettingsError
from distilro.modeling.majority import fit_majority, load_majority
from distilro.modeling.probabilities import compute_probabilities
from distilro.modeling.scorers import load_scorer
from tests.corpora.handmade import EMOTION, TOPIC, make_examples

ROWS = [("a", "culture"), ("b", "culture"), ("c", "sports"), ("d", "culture")]


def ask(model, texts=("x", "y")):
    return compute_probabilities(model.task.kind, model.score(model.task.name, texts))


def test_the_classes_of_four_rows_by_hand():
    """Half a row is added to each count: (3 + 0.5) / 5.5, 0.5 / 5.5 and (1 + 0.5) / 5.5."""
    got = ask(fit_majority(make_examples(ROWS)))
    np.testing.assert_allclose(got, [[3.5 / 5.5, 0.5 / 5.5, 1.5 / 5.5]] * 2, atol=1e-6)


def test_the_labels_of_a_multi_label_task_by_hand():
    rows = [("a", "joy"), ("b", "joy|trust"), ("c", ""), ("d", "joy")]
    got = ask(fit_majority(make_examples(rows, task=EMOTION)))
    np.testing.assert_allclose(got, [[0.5 / 5, 3.5 / 5, 1.5 / 5]] * 2, atol=1e-6)


def test_a_label_counts_where_it_is_observed_alone():
    rows = [("a", "joy"), ("b", "joy"), ("c", "sadness"), ("d", "joy")]
    examples = make_examples(rows, task=EMOTION)
    examples.observed[2:, 1] = False  # two rows are left, and joy is in both
    np.testing.assert_allclose(ask(fit_majority(examples))[0, 1], 2.5 / 3, atol=1e-6)


def test_a_row_with_a_set_of_labels_counts_in_shares():
    examples = make_examples([("a", "culture|sports"), ("b", "sports")])
    expected = [[(0.5 + 0.5) / 3.5, 0.5 / 3.5, (1.5 + 0.5) / 3.5]]
    np.testing.assert_allclose(ask(fit_majority(examples), ["x"]), expected, atol=1e-6)


@given(st.lists(st.sampled_from(TOPIC.labels), min_size=1, max_size=200))
def test_probabilities_are_the_frequencies_up_to_half_a_row(labels):
    model = fit_majority(make_examples([(str(row), label) for row, label in enumerate(labels)]))
    (got,) = ask(model, ["x"])
    frequencies = [labels.count(label) / len(labels) for label in TOPIC.labels]
    assert got.sum() == pytest.approx(1.0, abs=1e-6)
    assert np.abs(got - frequencies).max() <= 1.0 / len(labels) + 1e-6


def test_a_saved_model_comes_back_to_the_last_bit_as_any_scorer(tmp_path):
    model = fit_majority(make_examples(ROWS))
    model.save(tmp_path)
    for loaded in (load_majority(tmp_path), load_scorer(tmp_path)):
        assert loaded.tasks == (TOPIC,)
        np.testing.assert_array_equal(loaded.score("topic", ["x"]), model.score("topic", ["x"]))
    assert model.score("topic", []).shape == (0, 3)


def test_another_task_is_refused():
    with pytest.raises(SettingsError, match="fitted for task 'topic', not 'emotion'"):
        fit_majority(make_examples(ROWS)).score("emotion", ["x"])


@pytest.mark.parametrize(
    "logits", [np.zeros(2), np.zeros((3, 1)), np.array([0.0, np.nan, 0.0]), None]
)
def test_logits_that_do_not_fit_the_labels_are_refused(tmp_path, logits):
    fit_majority(make_examples(ROWS)).save(tmp_path)
    tensors = {"other": np.zeros(3)} if logits is None else {"logits": logits}
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(IntegrityError, match=r"majority model cannot be read|a finite logit"):
        load_majority(tmp_path)


@pytest.mark.parametrize("changes", [{"version": 2}, {"format": "other"}, {"tasks": []}])
def test_another_format_is_refused(tmp_path, changes):
    fit_majority(make_examples(ROWS)).save(tmp_path)
    path = tmp_path / "config.json"
    write_json(path, {**read_json(path), **changes})
    with pytest.raises(IntegrityError):
        load_majority(tmp_path)
