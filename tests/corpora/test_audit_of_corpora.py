"""The audit finds in the real corpora what was counted there by other means."""

import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.corpora.audit import read_audit


@pytest.fixture(scope="module")
def audit(prepare_corpus, tmp_path_factory):
    """Give a function that audits one dataset and returns its pairs and its summary."""
    out = tmp_path_factory.mktemp("audits")

    def run(dataset):
        files = [str(out / f"{dataset}{suffix}") for suffix in (".parquet", ".json")]
        outputs = ["--out", files[0], "--summary", files[1]]
        folder = str(prepare_corpus(dataset))
        settings = '{"jaccard": 0.6}'
        assert main(["audit", "--settings", settings, "--prepared", folder, *outputs]) == 0
        return read_audit(files[0]).to_pylist(), read_json(files[1])

    return run


def count_rows(pairs, splits, other_split, kinds=("exact", "near")):
    """Count the rows of `other_split` that have a copy in any of `splits`."""
    return len(
        {
            pair["other_id"]
            for pair in pairs
            if pair["split"] in splits
            and pair["other_split"] == other_split
            and pair["kind"] in kinds
        }
    )


def test_redv2_has_its_documented_copies(audit):
    pairs, summary = audit("redv2")
    assert count_rows(pairs, ["train"], "test") == 21
    assert count_rows(pairs, ["train"], "valid") == 12
    assert count_rows(pairs, ["train"], "test", ["exact"]) == 9
    assert count_rows(pairs, ["train"], "valid", ["exact"]) == 2
    assert count_rows(pairs, ["valid"], "test", ["exact"]) == 2
    assert count_rows(pairs, ["train"], "train", ["exact"]) == 23
    assert summary["dropped"]["redv2"]["training_rows"] == 4088
    assert summary["dropped"]["redv2"]["dropped_rows"] >= 21


def test_emotion_has_its_documented_copies(audit):
    pairs, _ = audit("carer")
    assert count_rows(pairs, ["train"], "test", ["exact"]) == 11
    assert count_rows(pairs, ["train"], "valid", ["exact"]) == 5
    assert count_rows(pairs, ["valid"], "test", ["exact"]) == 3
    assert count_rows(pairs, ["train"], "train", ["exact"]) == 31


def test_laroseda_has_its_documented_copies(audit):
    # The published training split is the one that the validation rows were carved out of.
    pairs, _ = audit("laroseda")
    assert count_rows(pairs, ["train", "valid"], "test", ["exact"]) == 102
    assert count_rows(pairs, ["train"], "valid", ["exact"]) == 0


def test_sst2_has_its_documented_copies(audit):
    pairs, _ = audit("sst2")
    assert count_rows(pairs, ["train"], "valid", ["exact"]) == 2
    assert count_rows(pairs, ["train"], "test", ["exact"]) == 6


def test_ag_news_stand_in_has_its_documented_copies(audit):
    # Two rows of one part and four of the other; the reader leaves out the one that is verbatim.
    pairs, _ = audit("ag_news_30k")
    rows = {
        pair["id"]
        for pair in pairs
        if pair["split"] != "test" and pair["other_split"] == "test" and pair["kind"] == "exact"
    }
    assert len(rows) == 5


def test_moroco_s_own_split_keeps_equal_texts_together(audit):
    pairs, _ = audit("moroco_vardial2019")
    across = [pair for pair in pairs if pair["split"] != pair["other_split"]]
    assert [pair for pair in across if pair["kind"] == "exact"] == []
