"""What Snakemake plans, without running a job."""

import json
import re
import subprocess
from collections import defaultdict

import pytest
import yaml

from distilro.corpora.registry import load_dataset
from distilro.recipes import list_cells, list_datasets
from tests.support import ROOT, SCENARIOS, build_settings
from tests.workflow.replay import copy_project, count_jobs, find_variants, write_whole_scenario


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
    copy = copy_project(tmp_path_factory.mktemp("plan"))
    write_whole_scenario(copy)
    return copy


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_plans(scenario):
    jobs = count_jobs(plan(scenario, "--quiet", "host", "--forceall"))
    settings = build_settings(scenario)
    kinds = [settings.recipes[cell.recipe].kind for cell in list_cells(settings)]
    names = {*list_datasets(settings), *settings.encoders.texts.kept_out}
    splits = [load_dataset(ROOT / "data/registry", name).splits for name in names]
    trained = sum("train" in found for found in splits)
    assert jobs["fetch"] == len(names)
    assert (jobs["prepare"], jobs["prepare_test"]) == (trained, len(names) - trained)
    assert jobs["train"] == kinds.count("encoder")
    assert jobs["train_linear"] == len(kinds) - kinds.count("encoder")
    once = ("compare", "language_gap", "calibrate", "loyalty", "report")
    assert [jobs[name] for name in once] == [1] * len(once)


def test_the_workflow_profile_is_read():
    assert "Using workflow specific profile profiles/default" in plan("embedded")


def test_a_fresh_copy_plans_every_phase(fresh):
    jobs = fresh.plan()
    assert {"fetch", "prepare", "audit", "mix", "encoder", "train", "train_linear"} <= set(jobs)
    assert {"logits", "predict", "predict_joint", "score", "matrix", "report"} <= set(jobs)
    assert jobs["train"] == 5  # a teacher for each of two tasks, an adversary, two students
    assert (jobs["logits"], jobs["folds_linear"]) == (2, 1)


def test_every_rule_but_one_has_a_job_in_the_whole_workflow(fresh):
    jobs = count_jobs(plan_whole(fresh))
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^rule (\w+):| as (\w+) with:$", text, re.MULTILINE))
    names = {name for pair in rules for name in pair if name}
    # No recipe has an in-sample linear teacher or the folds of a joint one: in README, and below.
    rare = {"logits_linear", "folds_joint"}
    phases = {path.stem for path in (ROOT / "workflow/rules").glob("*.smk")}
    assert names - phases - set(jobs) == rare


def plan_whole(copy, *arguments):
    return copy.snakemake("--dry-run", "--quiet", "host", *arguments, "--config", "scenario=whole")


def test_a_joint_teacher_may_answer_out_of_fold(fresh):
    again = {"extends": "multi_again", "teacher_logits": "out_of_fold"}
    whole = yaml.safe_load(
        (fresh.folder / "workflow/scenarios/whole.yaml").read_text(encoding="utf-8")
    )
    whole["training"]["recipes"] = ["again"]
    whole["recipes"]["again"] = again
    path = fresh.folder / "workflow/scenarios/again.yaml"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    printed = fresh.snakemake("--dry-run", "--quiet", "host", "--config", "scenario=again")
    path.unlink()
    assert count_jobs(printed)["folds_joint"] == 1
    assert "logits" not in count_jobs(printed)


def test_the_encoders_of_a_study_can_be_made_alone(fresh):
    jobs = count_jobs(
        fresh.snakemake("encoders", "--dry-run", "--quiet", "host", "--config", "scenario=whole")
    )
    assert {"encoder", "student_encoder", "texts", "clean_texts"} <= set(jobs)
    assert not {"train", "train_linear", "mix", "report"} & set(jobs)


def test_a_student_encoder_is_told_of_all_its_teachers(fresh):
    told = "encoders={students: {half: {teachers: [data/embedded/encoder]}}}"
    printed = fresh.snakemake(
        "encoders", "--dry-run", "--printshellcmds", "--config", "scenario=whole", told
    )
    (command,) = re.findall(r"distilro student-encoder .*$", printed, re.MULTILINE)
    teachers = command.partition("--teachers ")[2].partition(" --")[0].split()
    assert teachers == ["results/whole/encoders/scratch", "data/embedded/encoder"]


def test_a_question_or_a_reference_trains_nothing(fresh):
    """What a recipe is compared with is no part of its training, nor of its predictions."""
    told = "recipes={multi_uniform: {reference: single_ro, question: english}}"
    assert describe_jobs(fresh, told) == describe_jobs(fresh) != []
    weighed = "recipes={multi_uniform: {sampling: proportional}}"
    assert describe_jobs(fresh, weighed) != describe_jobs(fresh)


def describe_jobs(copy, *config):
    """Return the shell commands of every training and prediction of the scenario `whole`."""
    printed = copy.snakemake("--dry-run", "--printshellcmds", "--config", "scenario=whole", *config)
    return sorted(set(re.findall(r"distilro (?:train|predict) .*$", printed, re.MULTILINE)))


def test_the_picture_of_the_flow_is_the_graph_of_the_rules(fresh):
    graph = fresh.snakemake("--rulegraph", "mermaid-js", "--config", "scenario=whole")
    rules = dict(re.findall(r"id(\d+)\[(\w+)\]", graph))
    edges = {(rules[a], rules[b]) for a, b in re.findall(r"id(\d+) --> id(\d+)", graph)}
    phases = {path.stem for path in (ROOT / "workflow/rules").glob("*.smk")} | {"all"}
    variants = find_variants()
    drawn = {
        (variants.get(a, a), variants.get(b, b))
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


@pytest.mark.parametrize(
    "target",
    [
        "models/unknown/emotion/seed0/card.json",
        "models/linear/unknown/seed0/card.json",
        "models/../../x/emotion/seed0/card.json",
        "predictions/single_mixed/../seed0/x.parquet",
        "predictions/unknown/emotion/seed0/emotion.parquet",
        "predictions/linear/all/seed0/emotion.parquet",
        "scores/unknown.parquet",
        "scores/../x.parquet",
        "mixtures/../x/ro1.parquet",
    ],
)
def test_a_file_of_no_recipe_scope_or_task_is_refused(fresh, target):
    printed = fresh.snakemake("--dry-run", f"results/embedded/{target}", check=False)
    assert not count_jobs(printed)
    assert re.search(r"rror|Exception", printed)


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
