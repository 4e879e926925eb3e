"""Checkpoints: read back as written, refused when changed, and never another training's.

For processes that are killed while they write one, see tests/faults.
"""

import os
import sys

import pytest
import torch
from safetensors.torch import save

from distilro.artifacts import read_json, write_json
from distilro.errors import IntegrityError
from distilro.training.checkpoints import Checkpoints, Moment
from tests.faults.crash import run_in_fork

MOMENT = Moment(
    3,
    {
        "model.weight": torch.tensor([[1.0, float("nan")], [-0.0, 1e-45]]),
        "model.ids": torch.arange(3),
        "optimiser.step.weight": torch.tensor(3.0),
        "work.half": torch.ones(2, dtype=torch.bfloat16),
    },
    {"history": [{"loss": 0.1, "valid": {"topic": 1 / 3}}], "best_score": None, "threads": 1},
)


@pytest.fixture
def folder(tmp_path):
    Checkpoints(tmp_path / "kept", "one", seconds=0).save(MOMENT)
    return tmp_path / "kept"


def load(folder, fingerprint="one"):
    return Checkpoints(folder, fingerprint, seconds=0).load()


def find_tensors(folder):
    (path,) = folder.glob("*.safetensors")
    return path


def test_a_moment_comes_back_to_the_last_bit(folder):
    moment = load(folder)
    assert (moment.step, moment.values) == (MOMENT.step, MOMENT.values)
    assert save(dict(moment.tensors)) == save(dict(MOMENT.tensors))


def test_where_there_is_none_there_is_none(tmp_path):
    assert load(tmp_path / "absent") is None


def test_the_newest_one_is_kept_and_the_others_are_removed(folder):
    checkpoints = Checkpoints(folder, "one", seconds=0)
    for step in (4, 5, 5, 5):
        checkpoints.save(Moment(step, {"weight": torch.tensor([float(step)])}))
        assert checkpoints.load().tensors["weight"] == step
        assert len(list(folder.iterdir())) == 2


def test_a_folder_holds_safetensors_and_json_and_nothing_that_is_unpickled(folder):
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".safetensors"]

    def read():
        unpickled = []
        sys.addaudithook(lambda event, _: unpickled.append(event) if "pickle" in event else None)
        load(folder)
        os._exit(len(unpickled))

    assert run_in_fork(read) == 0


def test_another_training_s_checkpoint_is_not_used_and_is_overwritten_in_time(folder, caplog):
    caplog.set_level("INFO")
    assert load(folder, "other") is None
    assert "checkpoint.json is of another training" in caplog.text
    Checkpoints(folder, "other", seconds=0).save(Moment(1, {"weight": torch.ones(1)}))
    assert load(folder, "other").step == 1
    assert load(folder) is None


def test_another_version_is_not_used(folder):
    index = folder / "checkpoint.json"
    write_json(index, {**read_json(index), "version": 0})
    assert load(folder) is None


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_flipped_bit_is_refused_and_the_file_is_named(folder, place):
    path = find_tensors(folder)
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match=rf"{path.name}: the checkpoint changed.*delete the f"):
        load(folder)


def test_tensors_that_are_gone_are_missed(folder):
    find_tensors(folder).unlink()
    with pytest.raises(IntegrityError, match=r"got none: the file is missing"):
        load(folder)


def test_a_torn_index_is_refused_and_named(folder):
    index = folder / "checkpoint.json"
    index.write_bytes(index.read_bytes()[:40])
    with pytest.raises(IntegrityError, match=r"checkpoint\.json is not valid JSON"):
        load(folder)


def test_a_checkpoint_is_due_when_its_time_has_passed(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("distilro.training.checkpoints.time.monotonic", lambda: now[0])
    checkpoints = Checkpoints(tmp_path, "one", seconds=30)
    for later, due in ((29.0, False), (1.0, True), (5.0, True)):
        now[0] += later
        assert checkpoints.is_due() is due
    checkpoints.save(MOMENT)
    assert not checkpoints.is_due()


def test_the_seconds_of_all_parts_are_added_up(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("distilro.training.checkpoints.time.monotonic", lambda: now[0])
    first = Checkpoints(tmp_path, "one", seconds=30)
    assert first.earlier_seconds == 0.0
    for later in (40.0, 5.0):
        now[0] += later
        first.save(MOMENT)
    now[0] += 1000.0  # stopped and gone on with later
    second = Checkpoints(tmp_path, "one", seconds=30)
    second.load()
    assert second.earlier_seconds == 45.0
    now[0] += 10.0
    second.save(MOMENT)
    third = Checkpoints(tmp_path, "one", seconds=30)
    third.load()
    assert third.earlier_seconds == 55.0


def test_clearing_removes_the_folder_and_may_be_done_twice(folder):
    (folder / ".writing-left.safetensors").write_bytes(b"half")
    for _ in range(2):
        Checkpoints(folder, "one", seconds=0).clear()
        assert not folder.exists()
