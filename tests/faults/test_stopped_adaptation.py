"""`distilro encoder` in real processes that are killed, or asked to stop, and started again."""

import json
import signal

import pytest

from distilro.cli import main
from tests.commands.test_encoder import ADAPTATION, write_texts
from tests.faults.processes import stop_command
from tests.modeling.tiny import SCRATCH, TEXTS


@pytest.fixture
def texts(tmp_path):
    distinct = [f"{text} {number}" for text in TEXTS for number in range(2)]
    return write_texts(tmp_path / "texts.parquet", distinct)


@pytest.fixture
def list_arguments(tmp_path, texts):
    """Give a function: the folder to write -> the arguments of a command that adapts in steps."""
    adaptation = {**ADAPTATION, "epochs": 2.5}
    settings = {"source": "scratch", "scratch": SCRATCH.model_dump(), "seed": 13}

    def list_for(out):
        argv = ["encoder", "--settings", json.dumps({**settings, "adaptation": adaptation})]
        argv += ["--texts", str(texts), "--records", str(tmp_path / "records")]
        argv += ["--out", str(out / "encoder"), "--lock", str(tmp_path / "lock.json")]
        return [*argv, "--checkpoints", str(out / "checkpoints"), "--checkpoint-seconds", "0"]

    return list_for


def read_all(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_adaptation_stopped_twice_makes_the_encoder_of_one_that_never_was(
    tmp_path, list_arguments, caplog
):
    caplog.set_level("INFO")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(list_arguments(whole)) == 0
    argv, checkpoints = list_arguments(stopped), stopped / "checkpoints"

    def stop_at(time, by):
        at = ("checkpoint.json", time)
        code = stop_command(argv, tmp_path / "scratch", below=checkpoints, at=at, by=by).code
        kept = json.loads((checkpoints / "checkpoint.json").read_text(encoding="utf-8"))
        return code, kept["step"]

    assert stop_at(2, signal.SIGTERM) == (143, 3)  # it heard the signal before its third step
    assert not list(stopped.rglob(".writing-*"))
    assert not (stopped / "encoder").exists()
    assert stop_at(5, signal.SIGKILL) == (-signal.SIGKILL, 7)
    assert main(argv) == 0
    assert "Going on after step 7 of" in caplog.text
    assert read_all(stopped / "encoder") == read_all(whole / "encoder")
    assert not checkpoints.exists()
