"""`distilro train` in real processes that are killed, or asked to stop, and started again."""

import signal

import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from tests.faults.cells import SETTINGS, make_cell
from tests.faults.processes import run_command, stop_command


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return tmp_path_factory.mktemp("cell") / "inputs"


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    """Give the cell that was trained in one go."""
    cell = make_cell(inputs, tmp_path_factory.mktemp("undisturbed"))
    assert main(cell.list_arguments()) == 0
    return cell


@pytest.fixture
def stop(inputs, tmp_path):
    """Give a cell, and a function that trains it until it is stopped at a write."""
    cell = make_cell(inputs, tmp_path / "results")

    def stop_at(training, time, by):
        at = (f"{training}/checkpoint.json", time)
        argv = cell.list_arguments()
        return stop_command(argv, tmp_path / "scratch", below=cell.checkpoints, at=at, by=by)

    return cell, stop_at


def test_a_cell_killed_over_and_over_has_the_models_of_one_that_never_was(undisturbed, stop):
    cell, stop_at = stop
    edge = undisturbed.read_card()["stages"][0]["history"][0]["step"]  # of the first epoch
    # Before the n-th index is put in its place there are n - 1 checkpoints.
    assert stop_at("seed0-stage0", 3, signal.SIGKILL).code == -signal.SIGKILL
    assert cell.read_step("seed0-stage0") == 2 < edge
    assert stop_at("seed0-stage0", edge - 1, signal.SIGKILL).code == -signal.SIGKILL
    assert cell.read_step("seed0-stage0") == edge
    assert stop_at("seed1-stage1", 4, signal.SIGKILL).code == -signal.SIGKILL
    steps = undisturbed.read_card(1)["stages"][0]["steps"]
    assert (cell.read_step("seed1-stage0"), cell.read_step("seed1-stage1")) == (steps, 3)
    assert main(cell.list_arguments()) == 0
    assert cell.read_models() == undisturbed.read_models()
    assert not list(cell.checkpoints.iterdir())
    record = read_json(cell.results / "records" / "train-multi-all.json")
    # Before the last start: both stages of the first seed, one and a part of the second.
    names = [f"seed{seed}-stage{stage}" for seed in (0, 1) for stage in (0, 1)]
    assert list(record["resumed"]) == names
    assert record["seconds"] > record["earlier_seconds"] > 0


def test_a_cell_asked_to_stop_leaves_a_checkpoint_and_goes_on_from_it(undisturbed, stop):
    cell, stop_at = stop
    steps = undisturbed.read_card()["stages"][0]["steps"]
    ended = stop_at("seed0-stage0", 2, signal.SIGTERM)
    assert ended.code == 143
    # It heard the signal while it wrote a checkpoint, and took one step more.
    assert f"3 of {steps} steps are done. A checkpoint was written" in ended.log
    assert cell.read_step("seed0-stage0") == 3
    assert not cell.find_torn_files()
    assert not cell.read_models()
    ended = stop_at("seed1-stage0", 4, signal.SIGINT)
    assert ended.code == 130
    assert "Traceback" not in ended.log
    assert cell.read_step("seed1-stage0") == 5
    assert not cell.find_torn_files()
    ended = run_command(cell.list_arguments())
    assert ended.code == 0, ended.log
    assert f"Going on after step 5 of {steps}" in ended.log
    assert cell.read_models() == undisturbed.read_models()
    assert not list(cell.checkpoints.iterdir())


def test_critics_and_learned_weights_go_on_from_a_kill(inputs, tmp_path):
    critic = {"steps": 2, "many_steps": 3, "many_first": 1, "batch_examples": 4, "weight": 1.0}
    recipe = {**SETTINGS["recipe"], "stages": [{"en": 1.0}, {"ro": 1.0, "en": 1.0}]}
    recipe |= {"adversary": critic, "weighting": "uncertainty"}
    told = {"recipe": recipe, "seeds": [0]}
    whole, killed = (make_cell(inputs, tmp_path / name) for name in ("whole", "killed"))
    assert main(whole.list_arguments(**told)) == 0
    argv = killed.list_arguments(**told)
    for at in (("seed0-stage0/checkpoint.json", 4), ("seed0-stage1/checkpoint.json", 3)):
        ended = stop_command(
            argv, tmp_path / "scratch", below=killed.checkpoints, at=at, by=signal.SIGKILL
        )
        assert ended.code == -signal.SIGKILL
    assert main(argv) == 0
    assert killed.read_models() == whole.read_models()


def test_a_stage_goes_on_with_its_optimiser_after_a_kill_in_the_one_before_and_in_itself(
    undisturbed, inputs, tmp_path
):
    recipe = {**SETTINGS["recipe"], "keep_optimiser": True}
    whole, killed = (make_cell(inputs, tmp_path / name) for name in ("whole", "killed"))
    assert main(whole.list_arguments(recipe=recipe)) == 0
    argv = killed.list_arguments(recipe=recipe)
    for at in (("seed0-stage0/checkpoint.json", 3), ("seed0-stage1/checkpoint.json", 3)):
        ended = stop_command(
            argv, tmp_path / "scratch", below=killed.checkpoints, at=at, by=signal.SIGKILL
        )
        assert ended.code == -signal.SIGKILL
    assert killed.read_step("seed0-stage1") == 2
    assert main(argv) == 0
    assert killed.read_models() == whole.read_models()
    assert whole.read_card()["stages"][0] == undisturbed.read_card()["stages"][0]
    assert whole.read_card()["weights"] != undisturbed.read_card()["weights"]


def test_two_seeds_have_different_weights(undisturbed):
    assert undisturbed.read_card(0)["weights"] != undisturbed.read_card(1)["weights"]
    assert len(undisturbed.read_card(0)["stages"]) == 2
