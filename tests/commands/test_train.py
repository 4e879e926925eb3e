"""The command `train`: one cell, from its mixtures to its models. For kills see tests/faults."""

import os
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from distilro.artifacts import hash_file, read_json
from distilro.cli import main
from distilro.corpora.examples import read_examples, write_examples
from distilro.training.checkpoints import Checkpoints
from tests.faults.cells import SETTINGS, make_cell

ONE_SEED = {"seeds": [0]}
CRITIC = {"steps": 2, "many_steps": 3, "many_first": 1, "batch_examples": 4, "weight": 1.0}
ENGLISH = [{"en": 1.0}, {"ro": 1.0, "en": 1.0}]
WITHOUT_DROPOUT = {"dropout": 0.0, "encoder_dropout": 0.0, "attention_dropout": 0.0}


@pytest.fixture(autouse=True)
def threads():
    """Put the number of threads back, which the command sets for its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cell(tmp_path):
    return make_cell(tmp_path / "inputs", tmp_path / "results")


@pytest.fixture
def stopped(cell, monkeypatch):
    """Give a cell whose training was asked to stop in its fourth step."""
    with monkeypatch.context() as patch:
        save, saved = Checkpoints.save, []

        def save_and_ask(checkpoints, moment):
            save(checkpoints, moment)
            saved.append(moment.step)
            if len(saved) == 3:
                os.kill(os.getpid(), signal.SIGTERM)

        patch.setattr(Checkpoints, "save", save_and_ask)
        assert main(cell.list_arguments(**ONE_SEED)) == 143
    assert cell.read_step("seed0-stage0") == 4
    return cell


def train_anew(cell, tmp_path, **settings):
    """Return the models of the cell's settings and inputs, trained in one go elsewhere."""
    other = make_cell(cell.inputs, tmp_path / "anew")
    assert main(other.list_arguments(**{**ONE_SEED, **settings})) == 0
    return other.read_models()


def stop_after(cell, settings, saves, training, monkeypatch):
    """Train until a training has written so many checkpoints, then ask it to stop."""
    with monkeypatch.context() as patch:
        save, saved = Checkpoints.save, []

        def save_and_ask(checkpoints, moment):
            save(checkpoints, moment)
            saved.extend([moment.step] * (checkpoints.folder.name == training))
            if len(saved) == saves:
                os.kill(os.getpid(), signal.SIGTERM)

        patch.setattr(Checkpoints, "save", save_and_ask)
        assert main(cell.list_arguments(**settings)) == 143


def load_kept(cell, training):
    (path,) = (cell.checkpoints / training).glob("*.safetensors")
    return load_file(path)


def load_bytes(cell):
    return (cell.results / "models" / cell.name / "seed0" / "model.safetensors").read_bytes()


def read_weights(cell, seed=0):
    return load_file(cell.results / "models" / "multi" / "all" / f"seed{seed}/model.safetensors")


def test_a_cell_leaves_a_model_per_seed_and_no_checkpoint(cell):
    assert main(cell.list_arguments()) == 0
    for seed in SETTINGS["seeds"]:
        card = cell.read_card(seed)
        assert (card["recipe"], card["scope"], card["seed"]) == ("multi", "all", seed)
        folder = cell.results / "models" / "multi" / "all" / f"seed{seed}"
        assert card["weights"] == hash_file(folder / "model.safetensors")
        assert [len(stage["history"]) for stage in card["stages"]] == [2, 2]
    assert not [path for path in cell.checkpoints.rglob("*") if path.is_file()]
    assert read_json(cell.results / "records" / "train-multi-all.json")["resumed"] == {}


def test_the_same_settings_give_the_same_bytes_wherever_they_are_run(cell, tmp_path):
    assert main(cell.list_arguments(**ONE_SEED)) == 0
    assert cell.read_models() == train_anew(cell, tmp_path)


def test_a_stopped_cell_goes_on_and_its_record_says_from_where(stopped, tmp_path):
    assert main(stopped.list_arguments(**ONE_SEED)) == 0
    record = read_json(stopped.results / "records" / "train-multi-all.json")
    assert list(record["resumed"].values()) == [4]
    assert stopped.read_models() == train_anew(stopped, tmp_path)


@pytest.mark.parametrize(
    ("recipe", "beside"),
    [
        ({"adversary": CRITIC, "stages": ENGLISH}, "work.adversary.model."),
        (
            {"adversary": {**CRITIC, "gradient_penalty": 10.0}, "stages": ENGLISH},
            "work.adversary.model.",
        ),
        ({"weighting": "uncertainty"}, "beside.weighting."),
        ({"init_from": "multi", "alignment": {"masked": 1.0, "cosine": 1.0}}, "beside.alignment."),
    ],
)
def test_what_is_learned_beside_a_model_goes_on_to_the_same_bytes(
    cell, tmp_path, monkeypatch, recipe, beside
):
    """Asked to stop once in each stage, in the middle of the first and of the second epoch."""
    settings = {**ONE_SEED, "recipe": {**SETTINGS["recipe"], **recipe}}
    if "init_from" in recipe:
        assert main(cell.list_arguments(**ONE_SEED)) == 0
        settings["start"] = {"recipe": "multi", "scope": "all", "seeds": [0]}
    whole, broken = (replace(cell, name=name) for name in ("whole/all", "broken/all"))
    assert main(whole.list_arguments(**settings)) == 0
    for stop, training in ((3, "seed0-stage0"), (7, "seed0-stage1")):
        stop_after(broken, settings, stop, training, monkeypatch)
        tensors = load_kept(broken, training)
        moved = [t for n, t in tensors.items() if n.startswith(beside)]
        assert moved and any(bool(tensor.any()) for tensor in moved)
    assert main(broken.list_arguments(**settings)) == 0
    weights = [load_bytes(part) for part in (whole, broken)]
    assert weights[0] == weights[1]
    assert whole.read_card()["stages"] == broken.read_card()["stages"]


@pytest.mark.parametrize(
    "changes", [{"dropout": 0.2}, {"clip_norm": 0.5}, {"max_tokens": 20}, {"packing": "auto"}]
)
def test_a_checkpoint_of_other_settings_is_not_used(stopped, tmp_path, changes, caplog):
    caplog.set_level("INFO")
    assert main(stopped.list_arguments(**ONE_SEED, **changes)) == 0
    assert "is of another training" in caplog.text
    assert "Going on" not in caplog.text
    assert stopped.read_models() == train_anew(stopped, tmp_path, **changes)


@pytest.mark.parametrize("changed", ["mixture", "validation", "encoder"])
def test_a_checkpoint_of_other_inputs_is_not_used(stopped, changed, caplog):
    caplog.set_level("INFO")
    if changed == "encoder":
        path = stopped.inputs / "encoder" / "model.safetensors"
        save_file({n: t * 1.5 for n, t in load_file(path).items()}, path, metadata={"format": "pt"})
    else:
        folder = {"mixture": stopped.results / "mixtures", "validation": stopped.inputs}[changed]
        path = sorted(folder.rglob("*.parquet"))[0]
        examples = read_examples(path)
        write_examples(path, examples.select(torch.arange(1, len(examples)).numpy()))
    assert main(stopped.list_arguments(**ONE_SEED)) == 0
    assert "Going on" not in caplog.text


def test_a_damaged_checkpoint_stops_the_command_and_is_named(stopped, caplog):
    (path,) = (stopped.checkpoints / "seed0-stage0").glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert main(stopped.list_arguments(**ONE_SEED)) == 3
    assert f"{path}: the checkpoint changed" in caplog.text
    assert not stopped.read_models()


def test_a_loss_that_is_not_finite_stops_the_command_and_no_model_is_written(cell, caplog):
    path = cell.inputs / "encoder" / "model.safetensors"
    weights = load_file(path)
    weights["embeddings.word_embeddings.weight"][:] = float("inf")
    save_file(weights, path, metadata={"format": "pt"})
    assert main(cell.list_arguments()) == 5
    assert "not finite at step 0 of 9 (task " in caplog.text
    assert any(id_ in caplog.text for id_ in _list_ids(cell))
    assert not cell.read_models()


def test_another_number_of_processes_is_refused_before_anything_is_read(cell, caplog):
    assert main(cell.list_arguments(processes=2)) == 2
    assert "training.processes is 2, but 1 were started" in caplog.text
    assert "torchrun --standalone --nproc-per-node 2 -m distilro.cli" in caplog.text
    assert not cell.read_models()


def test_packed_batches_train_the_weights_of_padded_ones(cell, tmp_path):
    """Without dropout, whose masks differ, they agree within 1e-5 in float32."""
    packed = make_cell(cell.inputs, tmp_path / "packed")
    for part, packing in ((cell, "padded"), (packed, "packed")):
        settings = {**ONE_SEED, **WITHOUT_DROPOUT, "packing": packing}
        assert main(part.list_arguments(**settings)) == 0
    got = read_weights(packed)
    for name, weight in read_weights(cell).items():
        torch.testing.assert_close(got[name], weight, atol=1e-5, rtol=0, msg=name)


def _list_ids(cell):
    paths = (cell.results / "mixtures").rglob("*.parquet")
    return [identity for path in paths for identity in read_examples(path).id]
