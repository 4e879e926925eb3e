"""Publication: what of a finished run goes into git, and from where each of its facts comes."""

import html
import math
import shutil

import pytest
import yaml

from distilro.artifacts import hash_json, read_json, write_json
from distilro.cli import main
from distilro.delivery.expectations import read_expectations
from distilro.delivery.publication import (
    COPIED,
    COPIED_WHERE_FOUND,
    ENCODER,
    publish_run,
    read_page_settings,
)
from distilro.errors import ExportError
from distilro.evaluation.scores import Score, write_scores
from tests.delivery.runs import write_run

HARDWARE = {"processor": "A processor", "cores": 2, "memory_gib": 8.0, "gpus": [], "flags": []}
VERSIONS = {"distilro": "0.1.0", "torch": "2.0"}
SETTINGS = {
    "scenario": "laptop",
    "evaluation": {"confidence": 0.95, "threshold": 0.5},
    "encoders": {"source": "scratch"},
    "recipes": {
        "linear": {"kind": "linear", "stages": [{"ro": 1.0}]},
        "multi": {"kind": "encoder", "stages": [{"ro": 1.0}]},
    },
}
LABELS = {"emotion": ("fear", "joy"), "topic": ("sports", "tech")}
CELLS = [("linear", "emotion", (0,)), ("linear", "topic", (0,)), ("multi", "all", (0, 1))]
TEST_SETS = {"ro": ("official", "deduplicated", "stripped"), "en": ("official", "deduplicated")}
NO_SETTINGS = "@article{a & b, title = {Not YAML: [}}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A made-up run of 2 seeds, 2 recipes and 2 tasks; its page has what is read of a page."""
    folder = tmp_path_factory.mktemp("finished") / "laptop"
    for recipe, scope, seeds in CELLS:
        for seed in seeds:
            write_card(folder, recipe, scope, seed)
    write_record(folder, "train-multi-all", seconds=100.0)
    write_record(folder, "predict-multi-all", seconds=20.0)
    blocks = (NO_SETTINGS, yaml.safe_dump(SETTINGS, sort_keys=False))
    shown = "".join(f"<pre tabindex='0'>{html.escape(block)}</pre>" for block in blocks)
    page = f"{shown}<code>{hash_json(SETTINGS)}</code>"
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "matrix.svg").write_text("<svg/>", encoding="utf-8")
    write_scores(folder / "matrix.parquet", invent_scores())
    matrix = ["--scores", str(folder / "matrix.parquet"), "--out", str(folder / "matrix.parquet")]
    outs = ["--csv", str(folder / "matrix.csv"), "--markdown", str(folder / "matrix.md")]
    assert main(["matrix", *matrix, *outs]) == 0
    return folder


def invent_scores():
    """Return values that follow from names: 0.6 for multi, 0.01 per seed, -0.1 in English."""
    return [
        invent_score(recipe, scope, task, language, seed, variant=variant, metric=metric)
        for recipe, scope, seeds in CELLS
        for task in (LABELS if scope == "all" else (scope,))
        for language, variants in TEST_SETS.items()
        for seed in seeds
        for variant in variants
        for metric in ("accuracy", "macro_f1", *(f"f1_{label}" for label in LABELS[task]))
    ]


def invent_score(recipe, scope, task, language, seed, **place):
    value = 0.5 + 0.1 * (recipe == "multi") + 0.01 * seed - 0.1 * (language == "en")
    if (task, language) == ("topic", "en") and place["metric"] != "accuracy":
        value = math.nan  # gold rows name sets of labels: no F1
    bounds = {"value": value, "low": value - 0.02, "high": value + 0.04}
    place |= {"task": task, "test_set": f"{task}_{language}", "language": language}
    return Score(recipe, scope, seed=seed, **place, **bounds, n=0 if math.isnan(value) else 300)


def write_card(folder, recipe, scope, seed):
    tasks = list(LABELS) if scope == "all" else [scope]
    # As the two stages write them: a linear model names the stage alone.
    names = [f"{task}/ro1" for task in tasks]
    card = {"recipe": recipe, "scope": scope, "seed": seed, "tasks": tasks}
    card["mixtures"] = {name: hash_json("ro1") for name in names}
    card["weights"] = hash_json([recipe, scope, seed])
    write_json(folder / "models" / recipe / scope / f"seed{seed}" / "card.json", card)


@pytest.fixture
def results(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "laptop")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "published"


def write_record(folder, name, *, seconds=1.0, versions=VERSIONS, **hardware):
    record = {"stage": name.split("-")[0], "name": name, "seconds": seconds, "threads": 2}
    record |= {"hardware": {**HARDWARE, **hardware}, "versions": versions}
    write_json(folder / "records" / f"{name}.json", record)


def test_the_table_is_published_under_the_name_of_its_machine(results, out):
    publish_run(results, out)
    text = (out / "matrix.md").read_text(encoding="utf-8")
    assert "Measured on A processor, 2 cores, 8.0 GiB of memory, no GPU." in text
    assert "took 2 min 0 s added up. Seeds: 0, 1." in text
    assert "Versions: distilro 0.1.0, torch 2.0." in text
    assert text.endswith((results / "matrix.md").read_text(encoding="utf-8"))
    for name in COPIED:
        assert (out / name).read_bytes() == (results / name).read_bytes()


def test_the_card_of_the_encoder_comes_along(results, out):
    publish_run(results, out)
    assert not (out / ENCODER).exists()
    write_json(results / "encoders" / "folder" / "card.json", {"parameters": 1})
    write_json(results / "encoders" / "scratch" / "card.json", {"parameters": 2})
    publish_run(results, out)
    assert read_json(out / ENCODER) == {"parameters": 2}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "added up, 1 job that went on from a checkpoint by the last part. Seeds"),
        ({"earlier_seconds": 60.0}, "added up. Seeds"),
    ],
)
def test_times_that_leave_a_part_out_are_said_to(results, out, told, said):
    path = results / "records/train-multi-all.json"
    write_json(path, {**read_json(path), "resumed": {"seed0-stage0": 30}, **told})
    publish_run(results, out)
    assert f"took 2 min 0 s {said}" in (out / "matrix.md").read_text(encoding="utf-8")


def test_every_cell_of_every_test_set_is_expected(results, out):
    publish_run(results, out)
    expected = read_expectations(out / "expected.json")
    # Per recipe and task: 3 variants in Romanian, 2 in English.
    assert len(expected.cells) == 2 * 2 * (3 + 2)
    assert {cell.recipe for cell in expected.cells if cell.deterministic} == {"linear"}
    assert expected.labels == LABELS
    key = ("multi", "all", "emotion", "emotion_ro", "ro", "deduplicated")
    (cell,) = [cell for cell in expected.cells if cell.key == key]
    assert cell.mean == pytest.approx(0.605)
    assert cell.standard_deviation == pytest.approx(0.01 / 2**0.5)
    assert cell.half_width == pytest.approx(0.03)
    assert (cell.metric, cell.n, cell.seeds) == ("macro_f1", 300, (0, 1))


def test_a_primary_metric_that_is_undefined_gives_way_to_one_that_is_not(results, out):
    publish_run(results, out)
    cells = read_expectations(out / "expected.json").cells
    metrics = {cell.metric for cell in cells if (cell.task, cell.language) == ("topic", "en")}
    assert metrics == {"accuracy"}


def test_the_header_says_what_the_run_was_made_with(results, out):
    publish_run(results, out)
    expected = read_expectations(out / "expected.json")
    assert expected.scenario == "laptop"
    assert expected.settings == SETTINGS
    assert expected.settings_hash == hash_json(SETTINGS)
    assert expected.confidence == SETTINGS["evaluation"]["confidence"]
    assert expected.mixtures == {f"{task}/ro1": hash_json("ro1") for task in LABELS}
    assert expected.models["multi/all/seed1"] == hash_json(["multi", "all", 1])
    assert len(expected.models) == 4
    assert expected.versions == (VERSIONS,)


def test_the_page_that_the_stage_report_writes_has_what_is_read_of_it(tmp_path):
    run = write_run(tmp_path)
    assert main(run.list_arguments()) == 0
    settings = read_page_settings(tmp_path / "report.html")
    assert settings.values == read_json(tmp_path / "settings.json")


def test_a_run_that_is_not_finished_is_not_published(results, out):
    (results / "report.html").unlink()
    with pytest.raises(ExportError, match=r"report\.html not found"):
        publish_run(results, out)
    assert not out.exists()


def test_parts_of_a_run_on_one_machine_are_one_machine(results, out):
    write_record(results, "train-a", gpus=["A GPU"], flags=["avx2"])
    write_record(results, "train-b", flags=["avx2", "amx"])
    publish_run(results, out)
    (machine,) = read_expectations(out / "expected.json").machines
    assert (machine.gpus, machine.flags) == (("A GPU",), ("avx2", "amx"))
    text = (out / "matrix.md").read_text(encoding="utf-8")
    assert "Measured on A processor, 2 cores, 8.0 GiB of memory, A GPU." in text


@pytest.mark.parametrize(
    "other", [{"cores": 4}, {"memory_gib": 16.0}, {"processor": "Another processor"}]
)
def test_a_run_on_two_machines_names_both(results, out, other):
    write_record(results, "train-z", **other)
    publish_run(results, out)
    assert len(read_expectations(out / "expected.json").machines) == 2
    second = {**HARDWARE, **other}
    text = (out / "matrix.md").read_text(encoding="utf-8")
    assert "Measured on (1) A processor, 2 cores, 8.0 GiB of memory, no GPU; (2) " in text
    assert f"(2) {second['processor']}, {second['cores']} cores, {second['memory_gib']} GiB" in text


def test_two_kinds_of_gpu_are_two_machines(results, out):
    write_record(results, "train-a", gpus=["A GPU"])
    write_record(results, "train-b", gpus=["Another GPU"])
    publish_run(results, out)
    machines = read_expectations(out / "expected.json").machines
    assert [machine.gpus for machine in machines] == [("A GPU",), ("Another GPU",)]


def test_a_run_of_two_installations_names_both(results, out):
    write_record(results, "train-z", versions={**VERSIONS, "torch": "2.1"})
    publish_run(results, out)
    assert len(read_expectations(out / "expected.json").versions) == 2
    text = (out / "matrix.md").read_text(encoding="utf-8")
    assert "(1) distilro 0.1.0, torch 2.0; (2) distilro 0.1.0, torch 2.1." in text


def test_a_run_without_records_is_not_published(results, out):
    shutil.rmtree(results / "records")
    with pytest.raises(ExportError, match="expected records of the run's jobs, got none"):
        publish_run(results, out)
    assert not out.exists()


def test_a_record_of_another_shape_is_not_published(results, out):
    write_record(results, "train-z", cores="four")
    with pytest.raises(ExportError, match=r"(?s)cores.*delete the file and run its stage again"):
        publish_run(results, out)
    assert not out.exists()


def test_models_that_saw_two_versions_of_their_data_are_not_published(results, out):
    card = results / "models/multi/all/seed0/card.json"
    values = read_json(card)
    values["mixtures"]["topic/ro1"] = hash_json("older")
    write_json(card, values)
    with pytest.raises(ExportError, match=r"topic/ro1: expected .* two versions of their data"):
        publish_run(results, out)
    assert not out.exists()


def test_a_page_whose_settings_do_not_fit_their_hash_is_not_published(results, out):
    page = results / "report.html"
    text = page.read_text(encoding="utf-8")
    assert text.count("confidence: 0.95") == 1
    changed = text.replace("confidence: 0.95", "confidence: 0.9")
    page.write_text(changed, encoding="utf-8")
    with pytest.raises(ExportError, match="settings and their hash, got none that belong together"):
        publish_run(results, out)
    assert not out.exists()


def test_what_later_stages_found_is_copied_where_it_is(results, out):
    for name in COPIED_WHERE_FOUND[:2]:
        write_json(results / name, {"version": 1, "name": name})
    publish_run(results, out)
    for name in COPIED_WHERE_FOUND[:2]:
        assert (out / name).read_bytes() == (results / name).read_bytes()
    assert not any((out / name).exists() for name in COPIED_WHERE_FOUND[2:])


def test_what_an_earlier_run_found_does_not_stay_beside_a_later_one(results, out):
    write_json(results / "loyalty.json", {"version": 1})
    publish_run(results, out)
    (results / "loyalty.json").unlink()
    publish_run(results, out)
    assert not (out / "loyalty.json").exists()


def test_publishing_twice_writes_the_same_bytes(results, out, tmp_path):
    publish_run(results, out)
    publish_run(results, tmp_path / "again")
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted([*COPIED, "matrix.md", "expected.json"])
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
