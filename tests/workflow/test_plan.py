"""What Snakemake plans, without running a job."""

import json
import re
import subprocess
from collections import defaultdict

import pytest
import yaml

from distilro.recipes import list_cells
from tests.support import ROOT, build_settings
from tests.workflow.replay import copy_project, count_jobs


def plan(scenario: str, *arguments: str) -> str:
    command = ["snakemake", "--dry-run", "--cores", "2", "--resources", "gpu=1"]
    done = subprocess.run(
        [*command, *arguments, "--config", f"scenario={scenario}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A copy in which nothing has run."""
    return copy_project(tmp_path_factory.mktemp("plan"))


@pytest.mark.parametrize("scenario", ["embedded", "laptop", "study"])
def test_every_scenario_plans(scenario):
    jobs = count_jobs(plan(scenario, "--quiet", "host", "--forceall"))
    settings = build_settings(scenario)
    neural = [
        cell for cell in list_cells(settings) if settings.recipes[cell.recipe].kind != "linear"
    ]
    assert jobs["fetch"] == jobs["prepare"] == 6
    assert jobs["train"] == len(neural)
    assert jobs["report"] == 1


def test_the_workflow_profile_is_read():
    assert "Using workflow specific profile profiles/default" in plan("embedded")


def test_a_fresh_copy_plans_every_phase(fresh):
    jobs = fresh.plan()
    assert {"fetch", "prepare", "audit", "mix", "encoder", "train", "train_linear"} <= set(jobs)
    assert {"logits", "predict", "predict_joint", "score", "matrix", "report"} <= set(jobs)
    assert jobs["train"] == 3  # a teacher for each of two tasks, and one student


def test_the_picture_of_the_flow_is_the_graph_of_the_rules(fresh):
    graph = fresh.snakemake("--rulegraph", "mermaid-js")
    rules = dict(re.findall(r"id(\d+)\[(\w+)\]", graph))
    edges = {(rules[a], rules[b]) for a, b in re.findall(r"id(\d+) --> id(\d+)", graph)}
    phases = {path.stem for path in (ROOT / "workflow/rules").glob("*.smk")} | {"all"}
    same = {"predict_joint": "predict", "predict_linear": "predict", "logits_linear": "logits"}
    drawn = {
        (same.get(a, a), same.get(b, b))
        for a, b in edges
        if a not in phases and b not in phases and a != b
    }
    flow = json.loads((ROOT / "workflow/report/flow.json").read_text(encoding="utf-8"))
    told = {tuple(edge) for edge in flow["edges"]}
    # Inputs that are read for the page alone are not drawn, nor is what an edge implies.
    for_page = {(a, "report") for a in ("audit", "mix", "prepare", "train", "train_linear")}
    assert drawn - for_page - {("logits", "train"), ("train", "logits")} <= told
    assert told - {("logits", "train"), ("train", "logits")} <= drawn | for_page


def test_every_output_lies_under_exactly_one_dvc_out(fresh):
    printed = fresh.snakemake("--summary")
    outputs = set(re.findall(r"^((?:data|results)/\S+)\t", printed, flags=re.MULTILINE))
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    outs = [
        next(iter(out)).replace("${scenario}", "embedded")
        for stage in stages.values()
        for out in stage["outs"]
    ]
    owners = defaultdict(list)
    for output in outputs:
        owners[output] = [out for out in outs if output == out or output.startswith(f"{out}/")]
    assert len(outputs) > 50
    assert {output: found for output, found in owners.items() if len(found) != 1} == {}


def test_every_phase_has_one_name_everywhere():
    phases = {path.stem for path in (ROOT / "workflow/rules").glob("*.smk")} - {"common"}
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert phases == set(stages) == set(params) - {"scenario", "recipes"}
    for phase in phases:
        text = (ROOT / "workflow/rules" / f"{phase}.smk").read_text(encoding="utf-8")
        assert f"\nrule {phase}:\n" in text
        assert stages[phase]["cmd"].startswith(f"snakemake {phase} ")
        assert all(next(iter(out.values()))["persist"] for out in stages[phase]["outs"])


def test_a_mistyped_setting_stops_before_any_job(fresh):
    printed = fresh.snakemake("--dry-run", "--config", "evaluation={treshold: 0.5}", check=False)
    assert "did you mean threshold?" in printed
    assert not count_jobs(printed)


@pytest.mark.parametrize("name", ["../../x", "a b"])
def test_a_scenario_name_that_is_no_name_is_refused(fresh, name):
    printed = fresh.snakemake("--dry-run", "--config", f"scenario={name}", check=False)
    assert not count_jobs(printed)
    assert "rror" in printed
