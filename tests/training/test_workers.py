"""Several processes that train one model: they learn what one process learns.

The processes are forks that talk over gloo; one test starts them as a user does, by torchrun.
"""

import os
import signal
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import distributed

from distilro.artifacts import read_json, write_json
from distilro.cli import main
from distilro.errors import SettingsError, StopRequestedError, TrainingError
from distilro.training.batches import BatchLimits
from distilro.training.checkpoints import Checkpoints
from distilro.training.engine import Goal, train_classifier
from distilro.training.workers import ALONE, Workers, join_workers
from tests.faults.cells import make_cell
from tests.faults.crash import start_fork, wait_for
from tests.faults.processes import run_command
from tests.training import test_engine
from tests.training.test_engine import BagOfWords, make_data, make_objective, make_teacher

TOLERANCE = 1e-5  # of weights and losses in float32: the sum of a gradient in another order

TOPIC = make_data("topic", rows=9)
DATA = [replace(TOPIC, teacher=make_teacher(TOPIC)), make_data("emotion", rows=5)]
SETTINGS = replace(test_engine.SETTINGS, epochs=2, limits=BatchLimits(4, 64))


class TellingBag(BagOfWords):
    """A bag of words that calls `tell` with the number of its training step before each."""

    def __init__(self, tell=lambda step: None):
        super().__init__(dropout=0.0)
        self.tell, self.step = tell, 0

    def forward(self, task, batch, precision="fp32"):
        if self.training:
            self.tell(self.step)
            self.step += 1
        return super().forward(task, batch, precision)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(folder, workers, tell=lambda step: None, packed=False, seconds=(0, 0)):
    """Train, and write what came of it to the folder, each worker for itself."""
    classifier = TellingBag(tell)
    checkpoints = Checkpoints(folder / "kept", "one", seconds=seconds[workers.rank])
    training = train_classifier(
        classifier,
        DATA,
        replace(SETTINGS, packed=packed),
        Goal(lambda _: {"topic": 0.5}, make_objective("linear")),
        checkpoints=checkpoints,
        workers=workers,
    )
    weights = torch.cat([p.detach().reshape(-1) for p in classifier.parameters()])
    told = {**asdict(training), "weights": weights.tolist(), "resumed_at": checkpoints.resumed_at}
    del told["seconds"]
    write_json(folder / f"worker{workers.rank}.json", told)


def train_together(folder, **keywords):
    """Let two workers train in forks of this process, and return their exit codes."""
    folder.mkdir(exist_ok=True)
    meeting = folder / f"meeting{len(list(folder.iterdir()))}"

    def work(rank):
        distributed.init_process_group(
            "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
        )
        workers = Workers(rank, 2, distributed.new_group(backend="gloo"))
        try:
            train(folder, workers, **keywords)
        except (StopRequestedError, TrainingError) as error:
            os._exit(error.exit_code)

    forks = [start_fork(lambda rank=rank: work(rank)) for rank in range(2)]
    return [wait_for(fork) for fork in forks]


def assert_same(got, expected):
    np.testing.assert_allclose(got["weights"], expected["weights"], atol=TOLERANCE, rtol=0)
    losses = [[epoch["loss"] for epoch in told["history"]] for told in (got, expected)]
    np.testing.assert_allclose(*losses, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("packed", [False, True])
def test_two_workers_learn_what_one_learns(tmp_path, packed):
    """Batches of one example are among them: one of the two has nothing to do then."""
    train(tmp_path, ALONE, packed=packed)
    assert train_together(tmp_path / "two", packed=packed) == [0, 0]
    alone = read_json(tmp_path / "worker0.json")
    first, second = (read_json(tmp_path / "two" / f"worker{rank}.json") for rank in range(2))
    assert_same(first, alone)
    assert first == second


def test_what_one_worker_is_asked_all_do_and_they_go_on_together(tmp_path):
    """Only the second worker gets the signal; only the first one writes the checkpoint."""

    def ask(step):
        if step == 3 and distributed.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert train_together(whole) == [0, 0]
    assert train_together(stopped, tell=ask) == [143, 143]
    assert read_json(stopped / "kept" / "checkpoint.json")["step"] == 4
    assert train_together(stopped) == [0, 0]
    for rank in range(2):
        got, expected = (read_json(path / f"worker{rank}.json") for path in (stopped, whole))
        assert (got.pop("resumed_at"), expected.pop("resumed_at")) == (4, 0)
        assert got == expected


def fail_second(step):
    if step == 2 and distributed.get_rank() == 1:
        raise torch.OutOfMemoryError("no memory left")


def test_a_worker_that_fails_does_not_leave_the_other_waiting(tmp_path):
    codes = train_together(tmp_path, tell=fail_second)
    assert codes[1] == TrainingError.exit_code
    assert codes[0] != 0
    assert read_json(tmp_path / "kept" / "checkpoint.json")["step"] == 2


def test_the_first_worker_s_clock_says_when_a_checkpoint_is_due(tmp_path):
    train_together(tmp_path, tell=fail_second, seconds=(1e9, 0))
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_every_example_is_taken_by_one_worker(count, size):
    rows = np.arange(10, 10 + size)
    parts = [Workers(rank, count).take(rows) for rank in range(count)]
    assert sorted(np.concatenate(parts)) == list(rows)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(("started", "count"), [("1", 2), ("2", 1), ("4", 2)])
def test_another_number_of_processes_than_the_settings_say_is_refused(monkeypatch, started, count):
    monkeypatch.setenv("WORLD_SIZE", started)
    message = f"processes is {count}, but {started} were started.*nproc-per-node {count} "
    with pytest.raises(SettingsError, match=message), join_workers("cpu", count):
        pass


def test_torchrun_makes_the_model_of_one_process(tmp_path):
    cell = make_cell(tmp_path / "inputs", tmp_path / "alone")
    two = make_cell(tmp_path / "inputs", tmp_path / "two")
    settings = {"seeds": [3], "dropout": 0.0, "encoder_dropout": 0.0, "attention_dropout": 0.0}
    assert main(cell.list_arguments(**settings)) == 0
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = run_command(
        two.list_arguments(**settings, processes=2), program=[*torchrun, "-m", "distilro.cli"]
    )
    assert ended.code == 0, ended.log
    weights = [
        load_file(part.results / "models" / "multi" / "all" / "seed3" / "model.safetensors")
        for part in (cell, two)
    ]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, atol=TOLERANCE, rtol=0, msg=name)
    losses = [
        [epoch["loss"] for stage in part.read_card(3)["stages"] for epoch in stage["history"]]
        for part in (cell, two)
    ]
    np.testing.assert_allclose(*losses, atol=TOLERANCE, rtol=0)
