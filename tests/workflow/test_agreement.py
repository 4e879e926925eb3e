"""Both engines see every change: what Snakemake would rerun first, DVC calls stale.

DVC may call more stages than Snakemake has jobs for: that costs a look. It must never call fewer,
or `dvc repro` would seal a stale result. By default a sample is changed; `pytest tests/workflow
--every-leaf` changes every setting and every module in turn.
"""

import copy
import json
import os
import re

import pytest
import yaml

from distilro.errors import SettingsError
from distilro.settings import check_settings
from distilro.sources import list_sources
from tests.support import ROOT
from tests.workflow.replay import build_small_params, find_variants

pytestmark = pytest.mark.workflow

SAMPLE = (
    "data.tasks.emotion.en",
    "mixtures.near_duplicate_jaccard",
    "encoders.scratch.layers",
    "encoders.texts.corpora",
    "training.seeds",
    "training.linear.inverse_regularisation",
    "training.joint.epochs",
    "evaluation.confidence",
    "delivery.title",
    "recipes.annealed.anneal",
    "recipes.annealed.reference",
)
SAMPLE_MODULES = (
    "src/distilro/corpora/near_duplicates.py",
    "src/distilro/training/losses.py",
    "src/distilro/delivery/svg.py",
)
# Settings whose change runs no job of their own phase here: unused ones, a recipe less, and how
# many jobs run side by side.
INERT = (
    "training.recipes",
    "training.threads",
    "training.gpus",
    "encoders.hub",
    "encoders.folder",
    "encoders.students",
)
# Settings that an earlier phase than their own takes.
EARLIER = {"encoders.texts": "mixtures"}
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
    "single_mixed": "linear",
}


def list_leaves(values, path=()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from list_leaves(value, (*path, key))
        elif key != "scenario" and value != {}:
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


def list_modules():
    """Return every module of the package that jobs of the workflow run."""
    rules = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "workflow/rules").glob("*.smk"))
    commands = set(re.findall(r'code\("(\w+)"\)', rules))
    sources = {path for command in commands for path in list_sources(command, str(ROOT / "src"))}
    return sorted(os.path.relpath(path, ROOT) for path in sources)


def pytest_generate_tests(metafunc):
    every = metafunc.config.getoption("--every-leaf")
    if "leaf" in metafunc.fixturenames:
        leaves = [".".join(path) for path in list_leaves(build_small_params())]
        metafunc.parametrize("leaf", leaves if every else SAMPLE)
    if "module" in metafunc.fixturenames:
        metafunc.parametrize("module", list_modules() if every else SAMPLE_MODULES)


def find_first_rules(jobs):
    """Return the planned rules that no other planned rule comes before."""
    flow = json.loads((ROOT / "workflow/report/flow.json").read_text(encoding="utf-8"))
    variants = find_variants()
    planned = {variants.get(rule, rule) for rule in jobs}
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
    first = find_first_rules(restored.plan())
    assert first <= find_stale_stages(restored)
    # A setting that no job of its own phase takes would be lost there and reach the page alone.
    if not leaf.startswith(INERT):
        phase = EARLIER.get(".".join(path[:2]), path[0])
        assert phase == "recipes" or phase in first
        assert first != {"delivery"} or path[0] == "delivery"


def test_an_edited_file_of_a_corpus_is_seen_by_both(restored):
    path = restored.folder / "data/embedded/emotion_ro.tsv"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert restored.plan()["fetch"] == 1
    assert "data" in find_stale_stages(restored)


def test_an_edited_module_is_seen_by_both(restored, module):
    path = restored.folder / module
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    first = find_first_rules(restored.plan())
    assert first
    assert first <= find_stale_stages(restored)


def find_stale_stages(copy_of_project):
    """Return the stages of which DVC says that a dependency changed."""
    status = json.loads(copy_of_project.run("dvc", "status", "--json"))
    return {
        stage
        for stage, reasons in status.items()
        if any("changed deps" in reason for reason in reasons if isinstance(reason, dict))
    }
