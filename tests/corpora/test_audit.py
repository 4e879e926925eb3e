import pyarrow.parquet as pq
import pytest

from distilro.corpora.audit import (
    find_dropped,
    read_audit,
    read_inputs,
    summarise_dropped,
    summarise_pairs,
    write_audit,
)
from distilro.corpora.copies import find_pairs
from distilro.errors import DataError, IntegrityError
from tests.corpora.handmade import SENTIMENT, make_examples


@pytest.fixture
def parts():
    """Two tasks; of the topic's training rows three touch evaluation rows, the fourth none."""
    return [
        make_examples(
            [
                ("Unu doi trei patru.", "sports"),  # near a test row and exact in the other valid
                ("cinci", "sports"),  # exact in test, and a copy inside train
                ("Cinci!", "politics"),
                ("cu totul altceva", "culture"),
            ],
            "news",
        ),
        make_examples([("opt nouă", "sports")], "news", "valid"),
        make_examples(
            [("doi trei patru sase", "sports"), ("cinci", "sports"), ("Opt nouă.", "sports")],
            "news",
            "test",
        ),
        make_examples([("ceva", "positive")], "reviews", task=SENTIMENT),
        make_examples([("unu doi trei patru", "positive")], "reviews", "valid", task=SENTIMENT),
    ]


def test_training_rows_that_touch_evaluation_rows_are_dropped_with_reasons(parts):
    train = parts[0]
    assert find_dropped(find_pairs(parts, jaccard=0.6)) == {
        train.id[0]: ("exact copy of reviews/valid", "near copy of news/test"),
        train.id[1]: ("exact copy of news/test",),
        train.id[2]: ("exact copy of news/test",),
    }


def test_validation_and_test_rows_are_never_dropped(parts):
    dropped = find_dropped(find_pairs(parts, jaccard=0.6))
    kept = {identity for part in parts[1:3] for identity in part.id}
    assert not kept & set(dropped)


def test_training_rows_that_touch_training_rows_only_are_kept():
    other = make_examples([("unu doi", "sports")], "other")
    pairs = find_pairs([make_examples([("unu doi", "sports")] * 2), other], jaccard=0.6)
    assert pairs.num_rows == 3
    assert find_dropped(pairs) == {}


def test_the_summary_counts_pairs_rows_and_conflicts_by_split(parts):
    summary = summarise_pairs(find_pairs(parts, jaccard=0.6))
    by_place = {
        f"{row['dataset']}/{row['split']} {row['other_dataset']}/{row['other_split']}": row
        for row in summary
    }
    assert sorted(by_place) == [
        "news/train news/test",
        "news/train news/train",
        "news/train reviews/valid",
        "news/valid news/test",
        "reviews/valid news/test",
    ]
    assert by_place["news/train news/test"] == {
        "dataset": "news",
        "split": "train",
        "other_dataset": "news",
        "other_split": "test",
        "exact_pairs": 2,
        "exact_rows": 2,
        "other_exact_rows": 1,
        "near_pairs": 1,
        "near_rows": 1,
        "other_near_rows": 1,
        "touched_pairs": 3,
        "touched_rows": 3,
        "other_touched_rows": 2,
        "conflicting_pairs": 1,
    }
    assert by_place["news/train news/train"]["conflicting_pairs"] == 1
    assert by_place["news/valid news/test"]["exact_rows"] == 1


def test_dropped_rows_are_counted_per_dataset(parts):
    assert summarise_dropped(find_pairs(parts, jaccard=0.6), parts) == {
        "news": {"training_rows": 4, "dropped_rows": 3},
        "reviews": {"training_rows": 1, "dropped_rows": 0},
    }


def test_the_file_gives_back_pairs_and_inputs(tmp_path, parts):
    pairs = find_pairs(parts, jaccard=0.6)
    write_audit(tmp_path / "audit.parquet", pairs, jaccard=0.6, inputs={"news/train": "ab"})
    again = read_audit(tmp_path / "audit.parquet")
    assert again.equals(pairs)
    assert read_inputs(again) == {"news/train": "ab"}


def test_a_missing_audit_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.parquet is missing"):
        read_audit(tmp_path / "none.parquet")


def test_another_schema_is_refused(tmp_path, parts):
    pairs = find_pairs(parts, jaccard=0.6)
    pq.write_table(pairs, tmp_path / "headless.parquet")
    with pytest.raises(IntegrityError, match="expected an audit of version 1, got version None"):
        read_audit(tmp_path / "headless.parquet")
    short = pairs.drop_columns(["jaccard"])
    write_audit(tmp_path / "short.parquet", short, jaccard=0.6, inputs={})
    with pytest.raises(IntegrityError, match="columns"):
        read_audit(tmp_path / "short.parquet")
