"""How long it takes to see that nothing is to be done, in a study of hundreds of jobs.

Nothing is trained: every output is a file of a few bytes, and Snakemake is told to take it for
what its job would have made.
"""

import resource
import shutil

import pytest
import yaml

from tests.support import ROOT
from tests.workflow.replay import copy_project, count_jobs

pytestmark = pytest.mark.workflow

JOBS = 300
SECONDS = 5.0
SHARES = (
    {"ro": 1.0},
    {"ro": 1.0, "en": 1.0},
    {"ro": 1.0, "en": 0.5},
    {"ro": 1.0, "en": 0.25},
    {"ro": 0.5},
    {"en": 1.0},
)


def build_recipes():
    """Return many recipes: each share of the data with and without teachers, alone and joint."""
    recipes = {}
    for number, share in enumerate(SHARES):
        alone, joint = f"alone{number}", f"joint{number}"
        taught = {"teachers": [alone], "anneal": "linear"}
        recipes |= {
            alone: {"stages": [share]},
            f"gradual{number}": {"stages": [share, {"ro": 1.0}]},
            f"again{number}": {"extends": alone, **taught},
            f"ensemble{number}": {"extends": alone, "teachers": ["linear", alone], "anneal": 0.5},
        }
        for sampling in ("annealed", "uniform"):
            name = f"{joint}_{sampling}"
            recipes[name] = {"scope": "all", "stages": [share], "sampling": sampling}
            recipes[f"{name}_taught"] = {"extends": name, **taught}
    return recipes


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy with a study of many recipes and five seeds, in which all outputs are up to date."""
    copy = copy_project(tmp_path_factory.mktemp("study"))
    shutil.copy(ROOT / "params.yaml", copy.folder)
    recipes = build_recipes()
    many = {"training": {"recipes": ["linear", *recipes]}, "recipes": recipes}
    path = copy.folder / "workflow/scenarios/study.yaml"
    path.write_text(yaml.safe_dump(many), encoding="utf-8")
    for line in run_study(copy, "--summary").splitlines():
        output = line.partition("\t")[0]
        if output.startswith(("data/", "results/")):
            (copy.folder / output).parent.mkdir(parents=True, exist_ok=True)
            (copy.folder / output).write_text(output, encoding="utf-8")
    run_study(copy, "--touch", "--forceall", "--quiet", "all")
    return copy


def run_study(copy, *arguments):
    return copy.snakemake(*arguments, "--config", "scenario=study")


def test_hundreds_of_finished_jobs_are_found_done_in_five_seconds(finished):
    planned = count_jobs(run_study(finished, "--dry-run", "--quiet", "host", "--forceall"))
    assert planned.total() >= JOBS
    assert min(take_until(SECONDS, lambda: time_plan(finished))) < SECONDS


def time_plan(copy):
    """Return the processor seconds of a plan, which the machine's other work hardly changes."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Nothing to be done" in run_study(copy, "--dry-run")
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


def take_until(limit, measure, tries=3):
    """Yield measurements, the last of which is the first below the limit, if any is."""
    for _ in range(tries):
        seconds = measure()
        yield seconds
        if seconds < limit:
            return


def test_among_hundreds_a_changed_knob_still_runs_what_depends_on_it(finished):
    changed = ("--config", "scenario=study", "recipes={joint0_uniform: {sampling: annealed}}")
    jobs = count_jobs(finished.snakemake("--dry-run", "--quiet", "host", *changed))
    assert (jobs["train"], jobs["predict_joint"], jobs["score"]) == (2, 2, 2)
    assert not {"fetch", "mix", "encoder", "predict", "logits", "train_linear"} & set(jobs)
