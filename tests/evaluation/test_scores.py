"""Scores: every variant of a test set, the same for any order of rows, whole on disk."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distilro.corpora.copies import PAIR_SCHEMA
from distilro.corpora.examples import Task
from distilro.errors import DataError, IntegrityError
from distilro.evaluation.predictions import VARIANTS as SHOWN
from distilro.evaluation.predictions import Predictions
from distilro.evaluation.scores import (
    VARIANTS,
    Score,
    find_near_copies,
    read_scores,
    score_predictions,
    sort_scores,
    write_scores,
)
from distilro.evaluation.statistics import Bootstrap

EMOTION = Task("emotion", "multi_label", ("fear", "joy"))
TOPIC = Task("topic", "multi_class", ("culture", "politics"))
FEW = Bootstrap(samples=200, seed=1)


def make_emotion(rows: int = 40) -> Predictions:
    generator = np.random.default_rng(3)
    return Predictions(
        task=EMOTION,
        recipe="linear",
        scope="emotion",
        seed=0,
        test_set="made_up",
        language="ro",
        variant="official",
        model_hash="0" * 64,
        id=[f"{row:016x}" for row in generator.permutation(rows).tolist()],
        probabilities=generator.random((rows, 2)).astype(np.float32),
        gold=(generator.random((rows, 2)) < 0.5).astype(np.float32),
        observed=np.ones((rows, 2), bool),
    )


def make_topic() -> Predictions:
    return replace(
        make_emotion(4),
        task=TOPIC,
        scope="topic",
        probabilities=np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], np.float32),
        gold=np.array([[1, 0], [0, 1], [0, 1], [0, 1]], np.float32),
    )


def score(predictions, near_copies=()):
    found = score_predictions(predictions, near_copies=near_copies, threshold=0.5, bootstrap=FEW)
    return {(score.variant, score.metric): score for score in found}


def test_accuracy_by_hand_with_and_without_the_copied_row():
    predictions = make_topic()
    wrong = predictions.id[2]
    found = score(predictions, {wrong})
    assert (found["official", "accuracy"].value, found["official", "accuracy"].n) == (0.75, 4)
    assert (found["deduplicated", "accuracy"].value, found["deduplicated", "accuracy"].n) == (1, 3)


def test_the_interval_holds_the_value_and_the_cell_is_named():
    found = score(make_emotion())["official", "macro_f1"]
    assert found.low < found.value < found.high
    names = (found.recipe, found.scope, found.task, found.seed, found.test_set, found.language)
    assert names == ("linear", "emotion", "emotion", 0, "made_up", "ro")
    assert found.n == 40


def test_a_multi_label_task_is_scored_by_both_rules():
    found = score(make_emotion())
    assert found["official", "subset_accuracy"] != found["official", "strict_subset_accuracy"]
    assert ("official", "accuracy") not in found


def test_a_multi_class_task_has_no_strict_rule():
    assert not any(metric.startswith("strict_") for _, metric in score(make_topic()))


def test_the_order_of_the_rows_changes_nothing():
    predictions = make_emotion()
    turned = replace(
        predictions,
        id=predictions.id[::-1],
        probabilities=predictions.probabilities[::-1],
        gold=predictions.gold[::-1],
        observed=predictions.observed[::-1],
    )
    assert score(turned, {predictions.id[0]}) == score(predictions, {predictions.id[0]})


@pytest.mark.parametrize("shown", ["stripped", "cedilla", "upper_case", "typos"])
def test_perturbed_predictions_are_scored_as_that_variant_alone(shown):
    found = score(replace(make_emotion(), variant=shown), {"0" * 16})
    assert {variant for variant, _ in found} == {shown}
    assert found[shown, "macro_f1"].n == 40


def test_the_scores_of_every_variant_can_be_sorted():
    parts = [list(score(replace(make_emotion(), variant=shown)).values()) for shown in SHOWN]
    ordered = sort_scores(row for part in parts[::-1] for row in part)
    assert tuple(dict.fromkeys(row.variant for row in ordered)) == VARIANTS


def test_stripped_and_official_rows_meet_the_same_resamples():
    official = score(make_emotion())["official", "micro_f1"]
    stripped = score(replace(make_emotion(), variant="stripped"))["stripped", "micro_f1"]
    assert replace(stripped, variant="official") == official


def test_a_test_set_made_of_copies_alone_has_no_deduplicated_value():
    predictions = make_topic()
    found = score(predictions, set(predictions.id))["deduplicated", "accuracy"]
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.n == 0


def make_audit(*pairs: tuple[str, str, str, str]) -> pa.Table:
    rows = [
        {"id": one, "split": split, "other_id": other, "other_split": other_split}
        for one, split, other, other_split in pairs
    ]
    return pa.Table.from_pylist(rows, schema=PAIR_SCHEMA)


def test_near_copies_are_evaluation_rows_that_touch_a_training_row():
    audit = make_audit(
        ("t1", "train", "e1", "test"),
        ("t2", "train", "v1", "valid"),
        ("t1", "train", "t2", "train"),
        ("v2", "valid", "e2", "test"),
        ("e3", "test", "e4", "test"),
    )
    assert find_near_copies(audit) == {"e1", "v1"}


def test_an_audit_without_pairs_has_no_near_copies():
    assert find_near_copies(make_audit()) == set()


def test_what_is_read_is_what_was_written(tmp_path):
    written = list(score(make_emotion(), {"0" * 16}).values())
    written.append(replace(written[0], value=float("nan"), n=0))
    write_scores(tmp_path / "linear.parquet", written)
    read = read_scores(tmp_path / "linear.parquet")
    np.testing.assert_equal([vars(row) for row in read], [vars(row) for row in written])


def test_scores_are_sorted_whatever_order_they_came_in():
    scores = list(score(make_emotion()).values())
    assert sort_scores(scores[::-1]) == sort_scores(scores)


def test_a_score_that_stands_twice_is_an_error():
    scores = list(score(make_topic()).values())
    with pytest.raises(DataError, match=r"linear / topic / topic / 0 / made_up .* stands twice"):
        sort_scores([*scores, scores[0]])


def test_files_that_are_no_scores_are_refused(tmp_path):
    with pytest.raises(IntegrityError, match="cannot read scores"):
        read_scores(tmp_path / "absent.parquet")
    (tmp_path / "text.parquet").write_text("recipe,value\n", encoding="utf-8")
    with pytest.raises(IntegrityError, match="cannot read scores"):
        read_scores(tmp_path / "text.parquet")
    pq.write_table(pa.table({"recipe": ["linear"]}), tmp_path / "other.parquet")
    with pytest.raises(IntegrityError, match="Run the stage score again"):
        read_scores(tmp_path / "other.parquet")


def test_a_score_has_the_columns_of_the_contract():
    assert list(vars(next(iter(score(make_topic()).values())))) == [
        "recipe",
        "scope",
        "task",
        "seed",
        "test_set",
        "language",
        "variant",
        "metric",
        "value",
        "low",
        "high",
        "n",
    ]
    assert isinstance(next(iter(score(make_topic()).values())), Score)
