"""The command verify: what a stranger sees, and the exit codes a script sees."""

import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.delivery.expectations import summarise_measures, write_expectations
from distilro.delivery.measures import join_seeds
from distilro.errors import VerificationError
from distilro.evaluation.scores import Score, write_scores
from tests.delivery.test_expectations import make_expectations

NEURAL = {0: 0.60, 1: 0.62, 2: 0.64}


def make_scores(linear=0.5, shift=0.0, recipes=("linear", "multi")):
    cell = {"task": "emotion", "test_set": "redv2", "language": "ro", "variant": "official"}
    values = {"linear": {0: linear}, "multi": {seed: v + shift for seed, v in NEURAL.items()}}
    return [
        Score(recipe, "emotion", seed=seed, **cell, metric=metric, value=value, low=value - 0.03,
              high=value + 0.03, n=818)
        for recipe in recipes
        for seed, value in values[recipe].items()
        for metric in ("macro_f1", "f1_joy")
    ]  # fmt: skip


@pytest.fixture
def verify(tmp_path):
    """Give a function that holds scores against the published ones; it returns the exit code."""
    cells = summarise_measures(join_seeds(make_scores()), deterministic={"linear"}, confidence=0.95)
    expected = make_expectations(cells).model_copy(update={"labels": {"emotion": ("joy",)}})
    write_expectations(tmp_path / "expected.json", expected)

    def run(scores, *more):
        write_scores(tmp_path / "matrix.parquet", scores)
        files = ["--matrix", str(tmp_path / "matrix.parquet")]
        return main(["verify", *files, "--expected", str(tmp_path / "expected.json"), *more])

    return run


def test_a_run_that_agrees_exits_with_0_and_shows_every_cell(verify, capsys):
    assert verify(make_scores(shift=0.01)) == 0
    head, *rows = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [text.strip() for text in head if text] == [
        "verdict", "recipe", "scope", "test set", "variant", "metric",
        "published", "here", "difference", "allowed", "check",
    ]  # fmt: skip
    shown = [[text.strip() for text in row if text] for row in rows[:2]]
    place = ["emotion", "redv2", "official", "macro F1"]
    assert shown[0] == [
        "agree", "linear", *place, "0.500 (1)", "0.500 (1)", "+0.000", "0.005", "tolerance"
    ]  # fmt: skip
    assert shown[1] == [
        "agree", "multi", *place, "0.620 ± 0.020 (3)", "0.630 ± 0.020 (3)", "+0.010", "0.045",
        "seeds",
    ]  # fmt: skip


def test_columns_stand_below_their_heads(verify, capsys):
    verify(make_scores())
    lines = capsys.readouterr().out.splitlines()[:3]
    assert len({line.index("  redv2") if "redv2" in line else None for line in lines[1:]}) == 1
    assert lines[0].index("test set") == lines[1].index("redv2")


def test_a_run_that_differs_exits_with_1_and_shows_it_last(verify, capsys, caplog):
    assert verify(make_scores(linear=0.6)) == VerificationError.exit_code == 1
    rows = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert rows[-1].split()[:2] == ["differ", "linear"]
    assert "agree: 1, extra: 0, not comparable: 0, missing: 0, differ: 1" in caplog.text
    assert "published hash 000000" in caplog.text


def test_a_cell_that_is_missing_is_no_success(verify, capsys):
    assert verify(make_scores(recipes=("multi",))) == 1
    row = capsys.readouterr().out.split("\n\n")[0].splitlines()[-1].split()
    assert row[0] == "missing"
    assert row[-2:] == ["-", "none"]


def test_the_summary_says_what_chance_has_to_do_with_it(verify, capsys):
    verify(make_scores())
    text = capsys.readouterr().out
    assert "1 cells were held against chance" in text
    assert "with a probability of 95 % or more" in text
    assert "Weak checks: 0." in text


@pytest.mark.parametrize(("shift", "code"), [(0.0, 0), (0.2, 1)])
def test_the_findings_are_written_whatever_they_are(verify, tmp_path, shift, code):
    out = tmp_path / "verification.json"
    assert verify(make_scores(shift=shift), "--out", str(out)) == code
    written = read_json(out)
    assert (written["version"], written["reproduced"]) == (1, code == 0)
    assert len(written["findings"]) == 2


def test_a_file_that_is_no_publication_is_another_error_than_a_difference(verify, tmp_path):
    out = tmp_path / "verification.json"
    assert verify(make_scores(), "--expected", str(tmp_path / "nowhere.json")) == 3
    assert verify(make_scores(), "--expected", str(tmp_path / "matrix.parquet")) == 3
    assert not out.exists()
