"""The benchmarks: one tiny measurement of every part, and what is computed from its rows."""

import json
import statistics
import subprocess
import sys

import pytest
from benchmarks.jobs import WORKERS, Job, Plan, read_job, write_job
from benchmarks.ratios import COMPARISONS, NOT_MEASURED, compare, compute_ratios
from benchmarks.run import main
from benchmarks.table import EXPECTED, MARKERS, insert, render

from distilro.artifacts import read_json
from distilro.errors import DataError
from tests.support import ROOT

SIDES = {
    "trainer": ["ours", "tuned", "default"],
    "store": ["plain", "store", "teacher_in_loop"],
    "matrix": ["cells_ours", "cell_trainer"],
}
FIGURES = ("examples_per_second", "tokens_per_second", "peak_memory_mib", "wall_seconds")
PLAN = Plan(
    model="tiny",
    device="cpu",
    threads=1,
    epochs=1,
    learning_rate=1e-3,
    attention_dropout=0.1,
    our_attention_dropout=0.0,
    prepared="absent",
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Give the folder and the printed tables of one round of every part, in small."""
    folder = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "benchmarks.run", "--model", "tiny", "--data", "redv2"]
    command += ["--rows", "24", "--repeats", "1", "--cells", "1", "--threads", "1"]
    command += ["--prepared", str(folder / "absent"), "--results", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def result(measured):
    return read_json(measured[0] / "cpu-tiny-redv2.json")


def test_every_side_of_every_part_has_a_row(result):
    assert [row["side"] for row in result["rows"]] == [s for part in SIDES.values() for s in part]


def test_a_result_says_on_what_and_with_what_it_was_measured(result):
    assert result["machine"]["processor"] and result["machine"]["gpus"] == []
    assert {"torch", "transformers", "accelerate", "distilro"} <= set(result["versions"])
    assert (result["model"]["name"], result["data"]["texts"]) == ("tiny", "drawn")
    assert result["settings"]["attention_dropout"] == 0.1
    assert result["gpu"] == NOT_MEASURED
    assert str(ROOT) not in json.dumps(result)


def test_all_sides_see_the_same_examples_and_the_same_threads(result):
    for part in SIDES:
        rows = [row for row in result["rows"] if row["part"] == part]
        assert len({(row["examples"], row["tokens"], row["threads"]) for row in rows}) == 1
        assert {row["threads"] for row in rows} == {1}


def test_every_row_has_its_figures(result):
    for row in result["rows"]:
        assert all(row[figure] > 0 for figure in FIGURES)
        assert row["examples_per_second"] == row["examples"] / row["seconds"]
        assert row["seconds"] < row["wall_seconds"]
        assert 0.0 <= row["padding_share"] < 1.0 and 0.0 <= row["score_last"] <= 1.0
        assert row["mfu"] is None


def test_the_sides_differ_as_they_are_meant_to(result):
    by_side = {row["side"]: row for row in result["rows"]}
    assert by_side["default"]["batch_examples"] == 8
    assert by_side["default"]["precision"] == "fp32"
    assert by_side["tuned"]["batch_examples"] == by_side["ours"]["batch_examples"] == 32
    assert by_side["tuned"]["precision"] == by_side["ours"]["precision"]
    assert [by_side[s]["attention_dropout"] for s in ("ours", "tuned")] == [0.0, 0.1]


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_ratio_is_the_quotient_of_its_rows(result, name):
    comparison = COMPARISONS[name]
    ours, theirs = (
        next(row for row in result["rows"] if row["side"] == side)
        for side in (comparison.ours, comparison.theirs)
    )
    amount, time = comparison.amount, comparison.time
    expected = (ours[amount] / ours[time]) / (theirs[amount] / theirs[time])
    assert result[name]["pairs"] == pytest.approx([expected])
    assert result[name]["median"] == statistics.median(result[name]["pairs"])


def test_what_was_measured_is_printed_and_what_was_not_says_so(measured):
    folder, printed = measured
    assert printed.count("CPU, tiny, redv2") == 1 + 8 + 1  # ratios, sides, machine
    tables = render(folder)
    absent = [line for line in tables.splitlines() if line.count(NOT_MEASURED) == 6]
    assert len(absent) == len(EXPECTED)
    assert "| CPU, small, redv2 |" in absent[0]


def test_without_any_result_all_is_not_measured(tmp_path):
    tables = render(tmp_path)
    assert tables.count(NOT_MEASURED) == 6 * len(EXPECTED)
    page = f"before {MARKERS[0]}\nold\n{MARKERS[1]} after"
    assert insert(page, tables) == f"before {MARKERS[0]}\n{tables}{MARKERS[1]} after"
    with pytest.raises(DataError, match="benchmarks"):
        insert("no markers here", tables)


def make_row(side, number, wall_seconds):
    row = {"part": "matrix", "side": side, "round": number, "wall_seconds": wall_seconds}
    return {**row, "cells": 2 if side == "cells_ours" else 1}


def test_rounds_are_paired_and_the_processes_of_a_round_count_together():
    rows = [make_row("cells_ours", 1, 10.0), make_row("cells_ours", 2, 20.0)]
    rows += [make_row("cell_trainer", 1, seconds) for seconds in (10.0, 30.0)]  # 40 s: 4 times
    rows += [make_row("cell_trainer", 2, seconds) for seconds in (20.0, 20.0)]  # 40 s: twice
    rows += [make_row("cell_trainer", 3, 1.0)]  # a round without ours counts for nothing
    ratio = compare(rows, COMPARISONS["ratio_cells"])
    assert ratio["pairs"] == [4.0, 2.0]
    assert (ratio["median"], ratio["low"], ratio["high"]) == (3.0, 2.0, 4.0)
    assert compute_ratios(rows)["ratio_tuned"] == NOT_MEASURED


def test_a_job_survives_its_file(tmp_path):
    job = Job("matrix", "cells_ours", 1, (1, 2), ("redv2-all",), "work", PLAN)
    write_job(tmp_path / "job.json", job)
    assert read_job(tmp_path / "job.json") == job


def test_a_worker_that_fails_stops_all_and_is_heard(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(WORKERS, "prepare", "benchmarks.absent")
    assert main(["--model", "tiny", "--results", str(tmp_path / "results")]) == 1
    shown = capsys.readouterr()
    assert "side prepare" in shown.err and "No module named benchmarks.absent" in shown.err
    assert shown.out == ""
    assert not (tmp_path / "results").exists()


def test_a_gpu_that_is_not_there_is_no_cpu_in_disguise(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("distilro.devices.list_gpus", list)
    assert main(["--device", "cuda", "--results", str(tmp_path)]) == 2
    assert "no GPU here" in capsys.readouterr().err
    assert render(tmp_path).count(NOT_MEASURED) == 6 * len(EXPECTED)
