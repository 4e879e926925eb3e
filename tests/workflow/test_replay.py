"""Both engines on a small copy of the project: what runs, what does not, what travels.

One copy is run once and then changed and restored by each test, so the order does not matter.
"""

import hashlib
import json
import os
import resource
import subprocess
import time

import psutil
import pytest

from distilro.delivery.study import EVIDENCE
from tests.workflow.replay import Replay, copy_project

pytestmark = pytest.mark.workflow


def test_a_second_run_does_nothing(replay):
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Nothing to be done" in replay.snakemake()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor seconds, which do not depend on what else the machine does.
    assert ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime < 10


def test_dvc_repro_after_snakemake_runs_no_job(replay):
    (replay.folder / "dvc.lock").unlink()
    printed = replay.run("dvc", "repro")
    replay.run("git", "checkout", "-q", "--", "dvc.lock")
    assert "Nothing to be done" in printed
    assert "Finished jobid" not in printed
    assert "up to date" in replay.run("dvc", "status")


def test_a_changed_knob_runs_only_what_depends_on_it(restored):
    def change(values):
        values["evaluation"]["bootstrap_samples"] = 120

    restored.edit_params(change)
    again = {"score", "matrix", "compare", "loyalty", "report"}  # whatever has an interval
    assert set(restored.plan()) - {"all", "evaluation", "delivery"} == again


def test_a_training_knob_leaves_data_mixtures_and_the_encoder_alone(restored):
    def change(values):
        values["training"]["joint"]["epochs"] = 2

    restored.edit_params(change)
    jobs = restored.plan()
    assert jobs["train"] == 1
    assert not {"prepare", "mix", "encoder", "logits", "train_linear", "predict"} & set(jobs)


def test_an_edited_module_runs_the_rules_that_use_it(restored):
    path = restored.folder / "src/distilro/evaluation/matrix.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    jobs = set(restored.plan())
    assert {"matrix", "report"} <= jobs
    assert not {"train", "prepare", "mix"} & jobs


def test_dvc_and_snakemake_see_the_same_stage_change(restored):
    def change(values):
        values["mixtures"]["salt"] = "14"

    restored.edit_params(change)
    status = json.loads(restored.run("dvc", "status", "--json"))
    changed = {stage for stage, what in status.items() if "params.yaml" in json.dumps(what)}
    assert "mixtures" in changed
    assert "mix" in restored.plan()


def test_a_clone_that_pulls_has_nothing_to_do(replay, tmp_path):
    remote = tmp_path / "remote"
    replay.run("dvc", "remote", "add", "--local", "--force", "-d", "store", str(remote))
    replay.run("dvc", "push", "-q")
    clone = Replay(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(replay.folder), str(clone.folder)], check=True)
    clone.run("dvc", "remote", "add", "--local", "-d", "store", str(remote))
    assert clone.plan()
    printed = clone.run("dvc", "repro", "--dry", "--allow-missing")
    assert "Running stage" not in printed
    clone.run("dvc", "pull", "-q")
    assert not clone.plan()
    assert "up to date" in clone.run("dvc", "status")


def test_no_object_of_the_dvc_cache_is_corrupt(replay):
    objects = [p for p in (replay.folder / ".dvc/cache/files/md5").rglob("*") if p.is_file()]
    assert len(objects) > 50
    for path in objects:
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        assert digest == path.parent.name + path.name.removesuffix(".dir")


def test_killed_and_resumed_the_weights_are_those_of_an_undisturbed_run(replay, tmp_path):
    second = copy_project(tmp_path / "again")
    running = subprocess.Popen(
        ["snakemake", "--cores", "2", "--resources", "gpu=1"],
        cwd=second.folder,
        env={**os.environ, "PYTHONPATH": str(second.folder / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(second.folder / "logs/embedded/train/single_mixed-emotion.log")
    time.sleep(2)
    kill_tree(running.pid)
    assert "lock" in second.snakemake(check=False).lower()
    second.snakemake("--unlock")  # what `make resume` does
    second.snakemake("--rerun-incomplete")
    cards = sorted(
        path.relative_to(second.folder) for path in (second.folder / "results").rglob("card.json")
    )
    # Two linear models, the folds of one, two teachers, an adversary, two students, the encoder.
    assert len(cards) == 9
    for card in cards:
        assert (second.folder / card).read_bytes() == (replay.folder / card).read_bytes()
    for name in ("matrix.csv", *(f"{name}.json" for name in EVIDENCE)):
        table = f"results/embedded/{name}"
        assert (second.folder / table).read_bytes() == (replay.folder / table).read_bytes()


def wait_for(path, seconds=300):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def kill_tree(pid):
    """Kill a process and all below it: Snakemake gives each job a group of its own."""
    parent = psutil.Process(pid)
    for process in [parent, *parent.children(recursive=True)]:
        process.kill()
    parent.wait()
