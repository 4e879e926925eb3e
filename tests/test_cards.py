import pytest

from distilro.artifacts import read_json
from distilro.cards import list_versions, record_run
from distilro.startup import measure_import_seconds


def test_a_record_says_what_ran_how_long_and_on_what(tmp_path):
    with record_run(tmp_path, "train", "multi-all", threads=2) as record:
        record["device"] = "cpu"
    written = read_json(tmp_path / "train-multi-all.json")
    assert (written["stage"], written["threads"], written["device"]) == ("train", 2, "cpu")
    assert written["seconds"] >= 0
    assert written["import_seconds"] == measure_import_seconds()
    assert set(written["versions"]) == set(list_versions())
    assert written["hardware"]


def test_the_seconds_of_a_work_that_was_gone_on_with_are_those_of_all_its_parts(tmp_path):
    with record_run(tmp_path, "train", "multi-all", threads=1) as record:
        record["earlier_seconds"] = 500.0
    assert 500.0 <= read_json(tmp_path / "train-multi-all.json")["seconds"] < 560.0


def test_a_run_that_fails_leaves_no_record(tmp_path):
    with pytest.raises(RuntimeError), record_run(tmp_path, "train", "x", threads=1):
        raise RuntimeError
    assert not list(tmp_path.iterdir())
