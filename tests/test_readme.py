"""What README.md says is so: links, paths, pictures, snippets, tables and figures.

Its commands are checked in test_readme_commands.py.
"""

import inspect
import re
import subprocess
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path

import yaml

from distilro.corpora import english_readers
from distilro.corpora.registry import list_datasets, load_dataset
from distilro.delivery.flow import draw_flow
from distilro.delivery.inputs import read_flow
from distilro.delivery.svg import render_alone
from distilro.evaluation.scores import VARIANTS, Score
from distilro.recipes import list_cells
from distilro.settings import check_settings, load_settings, merge_settings
from tests.readme import (
    BLOCKS,
    INLINE,
    PROSE,
    find_names,
    find_test,
    list_snippets,
    read_table,
    read_yaml,
)
from tests.support import ROOT, read_params

# What runs make: never in a fresh clone, and so not to be looked for.
MADE = [".venv", "dvc.lock", "data/raw/*", "data/prepared/*", "results/<scenario>/*", "logs/*"]
MADE += ["results/embedded/report.html"]


def test_every_link_leads_somewhere():
    targets = re.findall(r"\]\(([^)\s]+)\)", PROSE)
    titles = re.findall(r"^#+ (.+)$", PROSE, re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    local = [target for target in targets if "://" not in target]
    missing = [t for t in local if t.startswith("#") and t not in anchors]
    missing += [t for t in local if not t.startswith("#") and not (ROOT / t).is_file()]
    assert len(local) > 15
    assert missing == []


def test_every_path_in_backticks_is_tracked_or_made():
    shape = re.compile(r"\.?[\w<>][\w.<>-]*(/[\w.<>-]+)*/?")
    suffixes = (".md", ".yaml", ".py", ".lock", ".json", ".html", ".csv", ".parquet", ".cff")
    paths = [c for c in INLINE if shape.fullmatch(c) and ("/" in c or c.endswith(suffixes))]
    paths = [path.rstrip("/") for path in paths if path != "<host>/<path>"]
    made = [p for p in paths if any(fnmatch(f"{p}/", f"{m}/") or fnmatch(p, m) for m in MADE)]
    made += [p for p in paths if p in ("data/raw", "data/prepared", "results/<scenario>")]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = set(listed.stdout.splitlines())
    tracked |= {str(parent) for name in tracked for parent in Path(name).parents}
    tracked.add("results/published")  # holds nothing until a real run is published
    assert len(paths) > 20
    assert sorted(set(paths) - set(made) - tracked) == []


def test_the_picture_of_the_graph_is_the_graph():
    flow = read_flow(ROOT / "workflow/report/flow.json")
    drawn = render_alone(draw_flow(flow, upright=False))
    picture = (ROOT / "docs/flow.svg").read_text(encoding="utf-8")
    assert picture == drawn, "make docs/flow.svg anew: distilro report --dag-picture docs/flow.svg"


def test_the_recipes_to_copy_pass_the_checks_of_the_settings():
    ((_, text),) = [part for part in list_snippets("yaml") if part[0] == "params.yaml"]
    settings = check_settings(merge_settings(read_params(), yaml.safe_load(text)))
    new = set(yaml.safe_load(text)["recipes"])
    assert new
    assert new <= {cell.recipe for cell in list_cells(settings)}


def test_the_dataset_to_copy_is_a_part_of_its_registry_file():
    parts = [part for part in list_snippets("yaml") if part[0].startswith("data/registry/")]
    assert parts
    for name, text in parts:
        assert_part(yaml.safe_load(text), read_yaml(name), name)


def assert_part(part, whole, where):
    """Check that every key and item of `part` stands in `whole` with the same value."""
    if isinstance(part, dict):
        for key, value in part.items():
            assert_part(value, whole[key], f"{where}: {key}")
    elif isinstance(part, list) and part and isinstance(part[0], dict):
        for item in part:
            key = "name" if "name" in item else "kind"
            (same,) = [other for other in whole if other[key] == item[key]]
            assert_part(item, same, f"{where}: {item[key]}")
    else:
        assert part == whole, where


def test_the_reader_to_copy_is_the_one_in_the_code():
    readers = [text for language, text in BLOCKS if language == "python"]
    assert len(readers) == 1
    assert readers[0] in inspect.getsource(english_readers)


def test_the_table_of_datasets_is_the_registry():
    rows = {find_names(row[0])[0]: row[1:] for row in read_table("dataset", "task", "language")}
    registry = ROOT / "data/registry"
    real = [load_dataset(registry, name) for name in list_datasets(registry)]
    assert rows == {
        dataset.name: [
            dataset.task,
            dataset.language,
            *(f"{dataset.splits[split]:,}" for split in ("train", "valid", "test")),
            dataset.licence,
        ]
        for dataset in real
        if not dataset.demonstration
    }


def test_the_table_of_recipes_is_that_of_the_settings():
    rows = read_table("recipe", "what is trained")
    assert [find_names(row[0])[0] for row in rows] == list(read_yaml("params.yaml")["recipes"])


def test_the_table_of_scenarios_is_the_folder_and_counts_its_seeds():
    files = {path.stem for path in (ROOT / "workflow/scenarios").glob("*.yaml")}
    rows = {find_names(row[0])[0]: row for row in read_table("scenario", "data", "encoder")}
    assert set(rows) == files
    assert {name: int(row[3]) for name, row in rows.items()} == {
        name: len(load_settings(ROOT, name).training.seeds) for name in files
    }


def test_the_table_of_settings_names_every_one():
    table = read_table("section", "settings")
    rows = {find_names(row[0])[0]: set(find_names(row[1])) for row in table}
    params = read_yaml("params.yaml")
    assert list(rows) == list(params)
    free = {"scenario", "recipes"}  # described in words, and elsewhere on the page
    names = {"tasks"}  # below these the keys are names of the user's choice
    for section in set(params) - free:
        assert rows[section] == set(walk_keys(params[section], names)), section


def walk_keys(values, names):
    for key, value in values.items():
        yield key
        if isinstance(value, dict) and key not in names:
            yield from walk_keys(value, names)


def test_the_table_of_the_matrix_names_every_column_and_the_text_every_variant():
    columns = [name for row in read_table("column", "meaning") for name in find_names(row[0])]
    assert columns == [column.name for column in fields(Score)]
    assert set(VARIANTS) <= set(INLINE)


def test_the_figures_of_the_decision_rule_and_the_intervals_are_those_of_the_settings():
    evaluation = load_settings(ROOT).evaluation
    assert f"at least {evaluation.threshold}" in " ".join(PROSE.split())
    assert f"the {100 * evaluation.confidence:g} % interval" in PROSE
    assert f"{evaluation.bootstrap_samples:,} resamples" in PROSE


def test_the_chain_of_layers_is_that_of_the_package():
    ((_, text),) = [block for block in BLOCKS if block[0] == "text"]
    folders = {path.parent.name for path in (ROOT / "src/distilro").glob("*/__init__.py")}
    assert {layer.strip() for layer in text.split("<-")} - {"ground floor", "cli"} == folders


def test_every_promise_names_tests_that_exist():
    rows = read_table("promise", "tested by")
    assert len(rows) > 6
    for _, tests in rows:
        names = find_names(tests)
        assert names
        for name in names:
            find_test(name) if name.startswith("test_") else (ROOT / name).stat()
