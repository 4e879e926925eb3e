"""A copy of the project in a folder of its own, small settings in it, and both engines on it.

The copy holds the files that git tracks or would track. Its package shadows the installed one, so
that an edit of a module in the copy is an edit of what its jobs run.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import yaml

from tests.support import ROOT, read_params

TASKS = ("emotion", "sentiment")
BOTH = [{"ro": 1.0, "en": 1.0}]
# A teacher of each kind: one that saw the rows, and one whose folds did not. And an adversary.
RECIPES = {
    "linear": {"kind": "linear"},
    "single_mixed": {"reference": "linear", "stages": BOTH},
    "adversarial": {
        "tasks": ["emotion"],
        "reference": "single_mixed",
        "stages": BOTH,
        "adversary": {"target": {"ro": 1.0}, "steps": 1, "many_steps": 1, "clip": 0.01},
    },
    "annealed": {
        "scope": "all",
        "reference": "single_mixed",
        "stages": BOTH,
        "sampling": "annealed",
        "teachers": ["single_mixed"],
        "anneal": "linear",
    },
    "guided": {
        "tasks": ["emotion"],
        "reference": "single_mixed",
        "teachers": ["linear"],
        "anneal": 0.5,
        "teacher_logits": "out_of_fold",
    },
}


class Replay:
    """One copy of the project; commands run in it and return their output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, check: bool = True, **environment: str) -> str:
        """Run a command in the copy; return what it printed, or raise with it."""
        variables = {**os.environ, "PYTHONPATH": str(self.folder / "src"), **environment}
        variables.pop("DVC_STAGE", None)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=variables,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=900,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command} returned {done.returncode}:\n{done.stdout[-6000:]}")
        return done.stdout

    def snakemake(self, *arguments: str, check: bool = True) -> str:
        """Run Snakemake on two cores."""
        command = ("snakemake", *arguments, "--cores", "2", "--resources", "gpu=1")
        return self.run(*command, check=check)

    def plan(self) -> Counter:
        """Return the jobs that Snakemake would run now: rule -> count."""
        printed = self.snakemake("--dry-run", "--quiet", "host")
        return count_jobs(printed)

    def edit_params(self, change) -> None:
        """Apply `change` to the mapping of params.yaml and write it back."""
        path = self.folder / "params.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(values)
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def commit(self, message: str) -> None:
        """Commit everything that git would track."""
        self.run("git", "add", "-A")
        identity = ("-c", "user.name=replay", "-c", "user.email=replay@example.org")
        self.run("git", *identity, "commit", "-q", "--allow-empty", "-m", message)


def copy_project(folder: Path) -> Replay:
    """Copy the project's files to `folder`, with small settings, as a git repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    replay = Replay(folder)
    (folder / "params.yaml").write_text(
        yaml.safe_dump(build_small_params(), sort_keys=False), encoding="utf-8"
    )
    (folder / "workflow/scenarios/embedded.yaml").write_text("{}\n", encoding="utf-8")
    replay.run("git", "init", "-q", "-b", "main")
    replay.commit("replay")
    return replay


def build_small_params() -> dict:
    """Return settings whose whole DAG runs in about a minute on two cores."""
    params = read_params("embedded")
    params["data"]["tasks"] = {task: params["data"]["tasks"][task] for task in TASKS}
    params["encoders"] |= {"source": "scratch", "folder": None}
    params["encoders"]["scratch"] |= {"vocabulary_size": 400, "layers": 1, "hidden": 32}
    params["encoders"]["scratch"] |= {"heads": 2, "intermediate": 64}
    params["encoders"]["adaptation"]["epochs"] = 1
    params["recipes"] = RECIPES
    params["training"] |= {"recipes": list(RECIPES), "seeds": [0], "max_tokens": 32}
    params["training"]["task"] |= {"epochs": 1}
    params["training"]["joint"] |= {"epochs": 1}
    params["evaluation"]["bootstrap_samples"] = 100
    return params


def write_whole_scenario(copy: Replay) -> None:
    """Give a copy a scenario `whole`, in which every rule of the workflow has a job."""
    params = read_params("embedded")
    params["data"]["tasks"]["emotion"]["ood"] = "xed_ro"
    params["encoders"] |= {"source": "scratch", "folder": None}
    params["encoders"]["texts"]["collections"] = ["stories_ro"]
    (copy.folder / "workflow/scenarios/whole.yaml").write_text(
        yaml.safe_dump(params), encoding="utf-8"
    )


def find_variants() -> dict[str, str]:
    """Return the rules that stand for another one in the picture of the flow: rule -> that one."""
    rules = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "workflow/rules").glob("*.smk"))
    variants = {new: old for old, new in re.findall(r"^use rule (\w+) as (\w+) with", rules, re.M)}
    # Written out, since they have other wildcards or no encoder.
    variants |= {"predict_pair": "predict", "folds_linear": "folds"}
    return {rule: variants.get(old, old) for rule, old in variants.items()}


def count_jobs(printed: str) -> Counter:
    """Read the table of job counts that Snakemake prints; empty where there is nothing to do."""
    table = re.findall(r"^(\w+) +(\d+)$", printed, flags=re.MULTILINE)
    return Counter({rule: int(count) for rule, count in table if rule not in ("total", "job")})
