"""The command matrix: from files of scores to Parquet, CSV and Markdown that agree."""

import argparse
import csv
from pathlib import Path

from distilro.commands import matrix
from distilro.evaluation.scores import Score, read_scores, write_scores


def write_recipe(folder: Path, recipe: str, value: float) -> Path:
    cell = {"recipe": recipe, "scope": "emotion", "task": "emotion", "seed": 0}
    test_set = {"test_set": "redv2", "language": "ro", "variant": "official"}
    measured = {"metric": "macro_f1", "value": value, "low": 0.5, "high": 0.7, "n": 818}
    write_scores(folder / f"{recipe}.parquet", [Score(**cell, **test_set, **measured)])
    return folder / f"{recipe}.parquet"


def test_the_three_files_hold_the_same_numbers(tmp_path):
    files = [write_recipe(tmp_path, "single_ro", 0.625), write_recipe(tmp_path, "linear", 0.5625)]
    parser = argparse.ArgumentParser()
    matrix.add_arguments(parser)
    outs = {name: tmp_path / "results" / f"matrix.{name}" for name in ("parquet", "csv", "md")}
    words = ["--scores", *map(str, files), "--out", str(outs["parquet"])]
    words += ["--csv", str(outs["csv"]), "--markdown", str(outs["md"])]
    matrix.run(parser.parse_args(words))
    joined = [(row.recipe, row.value) for row in read_scores(outs["parquet"])]
    assert joined == [("linear", 0.5625), ("single_ro", 0.625)]
    with outs["csv"].open(encoding="utf-8", newline="") as file:
        assert [(row["recipe"], float(row["value"])) for row in csv.DictReader(file)] == joined
    markdown = outs["md"].read_text(encoding="utf-8")
    assert markdown.index("0.562") < markdown.index("0.625")
