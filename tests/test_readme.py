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
from distilro.corpora.perturbations import TYPO_MIN_LETTERS, TYPO_RATE
from distilro.corpora.registry import list_datasets, load_dataset
from distilro.delivery.flow import draw_flow
from distilro.delivery.inputs import read_flow
from distilro.delivery.study import EVIDENCE
from distilro.delivery.svg import render_alone
from distilro.evaluation import comparisons
from distilro.evaluation.hypotheses import POWER
from distilro.evaluation.scores import VARIANTS, Score
from distilro.recipe_settings import Recipe
from distilro.recipes import list_cells
from distilro.settings import check_settings, load_settings, merge_settings
from tests.readme import (
    BLOCKS,
    INLINE,
    PROSE,
    README,
    find_names,
    find_test,
    list_snippets,
    read_table,
    read_yaml,
)
from tests.support import ROOT, read_params

# What runs make: never in a fresh clone, and so not to be looked for.
MADE = [".venv", "dvc.lock", "data/raw/*", "data/prepared/*", "results/<scenario>/*", "logs/*"]
MADE += ["results/embedded/report.html", "expected.json"]
MADE += [f"{name}.json" for name in EVIDENCE]


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
            *(count_rows(dataset, split) for split in ("train", "valid", "test")),
            dataset.licence,
        ]
        for dataset in real
        if not dataset.demonstration
    }


def count_rows(dataset, split):
    return f"{dataset.splits[split]:,}" if split in dataset.splits else "–"


def test_the_table_of_recipes_is_that_of_the_settings():
    rows = read_table("recipe", "what is trained", "question", "reference")
    told = {find_names(row[0])[0]: (row[2], *find_names(row[3])) for row in rows}
    recipes = load_settings(ROOT, "study").recipes
    assert list(told) == list(recipes)
    assert told == {
        name: (recipe.question or "–", *([recipe.reference] if recipe.reference else []))
        for name, recipe in recipes.items()
    }
    assert all(row[1] for row in rows)


def test_what_may_be_said_of_a_recipe_is_named_word_by_word():
    section = PROSE.partition("## Add a recipe")[2].partition("\n## ")[0]
    words = set(find_names(section)) | {"extends"}
    assert set(Recipe.model_fields) <= words
    choices = [
        value
        for field in ("sampling", "weighting", "teacher_logits", "scope")
        for value in re.findall(r"'(\w+)'", str(Recipe.model_fields[field].annotation))
    ]
    assert len(choices) > 10
    assert set(choices) <= words


def test_the_questions_are_those_that_recipes_help_to_answer():
    opening = README.partition("Two commands")[0].lower()
    asked = {recipe.question for recipe in load_settings(ROOT, "study").recipes.values()}
    for question in asked - {None}:
        assert question.removesuffix("e") in opening.replace("smaller student", "size"), question


def test_the_table_of_the_evidence_is_what_the_workflow_makes():
    files = [find_names(row[0])[0] for row in read_table("file", "what it holds")]
    assert files == [f"{name}.json" for name in EVIDENCE]
    rules = (ROOT / "workflow/rules/evaluation.smk").read_text(encoding="utf-8")
    assert all(f"{{RESULTS}}/{file}" in rules for file in files)


def test_the_fields_of_a_comparison_are_those_that_are_written():
    section = README.partition("## Read the evidence")[2].partition("\n## ")[0]
    named = set(re.findall(r"^- (`[^:]*`):", section, re.MULTILINE))
    told = {name for names in named for name in find_names(names)}
    assert {"difference", "p_holm", "minimum_detectable", "mcnemar", "verdict"} <= told
    written = {field.name for field in fields(comparisons.Effect)}
    written |= set(re.findall(r'"(\w+)"', inspect.getsource(comparisons)))
    assert told <= written


def test_the_figures_of_the_evidence_are_those_of_the_code_and_the_settings():
    text = " ".join(PROSE.split())
    assert load_settings(ROOT, "study").evaluation.seeds_needed == 5
    assert "**five seeds or more**" in text
    assert POWER == 4 / 5
    assert "find four times in five" in text
    assert (TYPO_RATE, TYPO_MIN_LETTERS) == (1 / 10, 4)
    assert "one word in ten of those with four letters or more" in text


def test_the_table_of_scenarios_is_the_folder_and_counts_its_seeds():
    files = {path.stem for path in (ROOT / "workflow/scenarios").glob("*.yaml")}
    files -= {"shipped_encoder"}  # for one phase; it stands in the section on encoders
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
    names = {"tasks", "students"}  # below these the keys are names of the user's choice
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
    evaluation = load_settings(ROOT, "study").evaluation
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
