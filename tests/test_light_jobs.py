"""A linear cell's jobs, run as the workflow runs them: no torch, and a record of their start."""

import json
import shutil
import subprocess
import sys

import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.recipes import Cell, describe_prediction, describe_training, name_stage
from tests.support import ROOT, build_settings

CELL = Cell("linear", "emotion")
RUN = """
import sys
from distilro.cli import main
code = main(sys.argv[1:])
print("torch" in sys.modules)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The small emotion corpora, prepared, and the Romanian one as the cell's mixture."""
    folder = tmp_path_factory.mktemp("light")
    registry = str(ROOT / "data/registry")
    datasets = build_settings().data.tasks[CELL.scope]
    for dataset in (datasets.ro, datasets.en):
        source = ["--dataset", dataset, "--registry", registry]
        manifest = str(folder / "raw" / dataset / "manifest.json")
        assert main(["fetch", *source, "--out", manifest]) == 0
        prepared = ["--manifest", manifest, "--out", str(folder / "prepared" / dataset)]
        assert main(["prepare", *source, *prepared]) == 0
    mixture = folder / "results/mixtures" / CELL.scope / f"{name_stage({'ro': 1.0})}.parquet"
    mixture.parent.mkdir(parents=True)
    shutil.copy(folder / "prepared" / datasets.ro / "train.parquet", mixture)
    return folder


def run_job(folder, stage, settings, *arguments):
    """Run `distilro <stage>` of the cell in a fresh interpreter; return whether torch came in."""
    command = [stage, "--cell", f"{CELL.recipe}/{CELL.scope}", "--settings", json.dumps(settings)]
    command += ["--results", str(folder / "results"), *arguments]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip() == "True"


def test_a_linear_cell_is_trained_and_predicts_without_torch(folder):
    settings = build_settings()
    prepared = ("--prepared", str(folder / "prepared"))
    assert not run_job(folder, "train-linear", describe_training(CELL, settings), *prepared)
    tests = describe_prediction(CELL.scope, settings)
    assert not run_job(folder, "predict", tests, "--seeds", "0", *prepared)
    records = sorted((folder / "results/records").iterdir())
    assert [path.name for path in records] == [
        "predict-linear-emotion.json",
        "train-linear-emotion.json",
    ]
    for values in map(read_json, records):
        assert 0 < values["import_seconds"] < 60
        assert values["seconds"] > 0
