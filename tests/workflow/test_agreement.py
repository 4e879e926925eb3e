"""Both engines see every change of a setting: what Snakemake would rerun first, DVC calls stale.

DVC may call more stages than Snakemake has jobs for: that costs a look. It must never call fewer,
or `dvc repro` would seal a stale result. By default a sample of the settings is changed;
`pytest tests/workflow --every-leaf` changes each of them.
"""

import copy
import json

import pytest
import yaml

from distilro.errors import SettingsError
from distilro.settings import check_settings
from tests.support import ROOT
from tests.workflow.replay import build_small_params

pytestmark = pytest.mark.workflow

SAMPLE = (
    "data.tasks.emotion.en",
    "mixtures.near_duplicate_jaccard",
    "encoders.scratch.layers",
    "training.seeds",
    "training.linear.inverse_regularisation",
    "training.joint.epochs",
    "evaluation.confidence",
    "delivery.title",
    "recipes.annealed.anneal",
)
OTHER_VALUES = {
    "sample_emotion_en": "goemotions",
    "sample_emotion_ro": "redv2",
    "sample_sentiment_en": "sst2",
    "sample_sentiment_ro": "laroseda",
    "auto": "fp32",
    "mean": "cls",
    "linear": 0.5,
    "annealed": "uniform",
    "hub": "scratch",
    "scratch": "hub",
    "all": "task",
}


def list_leaves(values, path=()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from list_leaves(value, (*path, key))
        elif key != "scenario":
            yield (*path, key)


def change_value(value):
    """Return another value of the same kind, or None where there is none to think of."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2
    if isinstance(value, list):
        return value[:-1] if len(value) > 1 else [*value, 7] if value == [0] else None
    return OTHER_VALUES.get(value, f"{value}x" if isinstance(value, str) else None)


def change_leaf(params, path):
    """Return the settings with one leaf changed, or None where no valid change is known."""
    changed = copy.deepcopy(params)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = change_value(place[path[-1]])
    try:
        check_settings(changed)
    except SettingsError:
        return None
    return changed


def pytest_generate_tests(metafunc):
    if "leaf" in metafunc.fixturenames:
        leaves = [".".join(path) for path in list_leaves(build_small_params())]
        chosen = leaves if metafunc.config.getoption("--every-leaf") else SAMPLE
        metafunc.parametrize("leaf", chosen)


def find_first_rules(jobs):
    """Return the planned rules that no other planned rule comes before."""
    flow = json.loads((ROOT / "workflow/report/flow.json").read_text(encoding="utf-8"))
    same = {"predict_joint": "predict", "predict_linear": "predict", "logits_linear": "logits"}
    planned = {same.get(rule, rule) for rule in jobs}
    phases = {node["id"]: node["phase"] for node in flow["nodes"]}
    edges = [edge for edge in flow["edges"] if edge != ["logits", "train"]]
    later = {after for before, after in edges if before in planned}
    return {phases[rule] for rule in planned - later if rule in phases}


def test_dvc_calls_stale_what_snakemake_would_run_first(restored, leaf):
    path = tuple(leaf.split("."))
    changed = change_leaf(build_small_params(), path)
    if changed is None:
        pytest.skip(f"no other valid value of {leaf} is known")
    (restored.folder / "params.yaml").write_text(
        yaml.safe_dump(changed, sort_keys=False), encoding="utf-8"
    )
    status = json.loads(restored.run("dvc", "status", "--json"))
    stale = {
        stage
        for stage, reasons in status.items()
        if any(
            "params.yaml" in reason.get("changed deps", {})
            for reason in reasons
            if isinstance(reason, dict)
        )
    }
    assert find_first_rules(restored.plan()) <= stale
