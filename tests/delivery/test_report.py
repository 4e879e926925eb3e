import json
import re

import pytest
import yaml

from distilro.artifacts import read_json, write_json
from distilro.cli import main
from distilro.evaluation.metrics import choose_primary_metric
from tests.delivery.pages import Page
from tests.delivery.runs import RECIPES, ROWS, write_run


def make_page(run, *more):
    assert main(run.list_arguments(*more)) == 0
    return (run.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("laptop"))


@pytest.fixture(scope="module")
def markup(run):
    return make_page(run)


@pytest.fixture(scope="module")
def page(markup):
    return Page(markup)


def test_every_primary_number_on_the_page_is_the_mean_of_the_matrix(run, page):
    for task in ("emotion", "sentiment", "topic"):
        head, *rows = page.tables[task]
        assert [row[0][0] for row in rows] == list(RECIPES)
        for column, (title, _) in list(enumerate(head))[1:]:
            for row in rows:
                expected = find_mean(run, task, row[0][0], title)
                assert row[column][0].partition(" ± ")[0] == f"{expected[0]:.3f}"
                assert f"[{expected[1]:.3f}, {expected[2]:.3f}]" in row[column][1]
                assert f"n={expected[3]}" in row[column][1]


def test_every_metric_is_on_the_page_with_what_is_not_defined_named(run, page):
    caption = "topic, English, official: Ag News 30K"
    rows = {row[0][0]: row[1:] for row in page.tables[caption]}
    assert set(rows) == {"metric", "accuracy", "macro F1"} | {
        f"F1 {label}" for label in ("culture", "finance", "politics", "science", "sports", "tech")
    }
    assert {value for value, _ in rows["macro F1"]} == {"n/a (n=0)"}
    assert rows["accuracy"][0][0] == "0.550"


def test_the_answer_names_the_best_recipe_and_its_numbers(page):
    assert "annealed is highest: macro F1 0.623 [0.595, 0.653], n = 321, 2 seeds." in page.text
    assert "linear has 0.554 [0.526, 0.584]; clearly above it: annealed." in page.text


def test_the_demonstration_is_stated_exactly_where_it_is_one(tmp_path, page):
    assert ("p", "demonstration") not in list_ids(page)
    embedded = Page(make_page(write_run(tmp_path, "embedded")))
    assert ("p", "demonstration") in list_ids(embedded)
    assert "A demonstration, not a result." in embedded.text
    assert f"{6 * sum(ROWS.values()):,} rows" in embedded.text


def test_the_page_loads_nothing(markup, page):
    assert not re.search(r"""url\(|@import|src\s*=|srcset|<link|<script|<iframe|<object""", markup)
    links = [values.get("href", "") for _, values in page.tags if "href" in values]
    assert links and all(link.startswith("#") for link in links)
    ((_, policy),) = [tag for tag in page.tags if tag[1].get("http-equiv")]
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_the_page_is_well_formed_and_made_for_phones(page):
    assert page.open == []
    assert any(values.get("name") == "viewport" for _, values in page.tags)
    ids = [name for _, name in list_ids(page)]
    assert len(ids) == len(set(ids))
    targets = {values["href"][1:] for _, values in page.tags if "href" in values}
    assert targets <= set(ids)


def test_corpora_copies_and_mixtures_are_counted(page):
    corpora = {
        row[0][1]: [cell[0] for cell in row] for row in page.tables["Corpora, rows per split"]
    }
    assert corpora["redv2"][1:6] == ["emotion", "Romanian", "1,234", "150", "321"]
    assert "120,000 training rows" in corpora["ag_news_30k"][7]
    (copies,) = page.tables["Copies between splits"][1:]
    (repeats,) = page.tables["Copies inside splits"][1:]
    assert repeats[:3] == [("redv2", "test"), ("1", ""), ("8", "")]
    assert copies[:3] == [("redv2", "train"), ("redv2", "test"), ("5", "")]
    dropped = page.tables["Training rows dropped: copies of validation or test rows"]
    assert [cell[0] for cell in dropped[1]] == ["ag_news_30k", "1,234", "34"]
    mixtures = page.tables["Training mixtures"]
    assert [cell[0] for cell in mixtures[1]][2:] == ["1,234", "34", "200", "0", "1,000"]


def test_machine_time_and_settings_are_told(page):
    assert "A processor" in page.text
    assert "1 min 19 s" in page.text
    assert "bootstrap_samples: 1000" in page.text
    assert "--config scenario=laptop" in page.text


def test_what_was_not_recorded_is_said_not_to_be(tmp_path):
    run = write_run(tmp_path)
    for folder in ("records", "benchmarks"):
        for path in sorted((tmp_path / folder).rglob("*.*")):
            path.unlink()
    assert make_page(run).count("not recorded") == 3


def test_equal_inputs_make_equal_pages(tmp_path, run, markup):
    assert make_page(run) == markup
    assert make_page(write_run(tmp_path)) == markup


def test_a_script_in_any_input_is_text_on_the_page(tmp_path):
    evil = "<script>alert(1)</script>"
    run = write_run(tmp_path)
    path = tmp_path / "registry" / "redv2.yaml"
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key in ("title", "licence", "notes", "citation"):
        declared[key] = f"{evil} & {key} \"'"
    path.write_text(yaml.safe_dump(declared), encoding="utf-8")
    settings = read_json(tmp_path / "settings.json")
    settings["delivery"]["title"] = evil
    (tmp_path / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    record = read_json(tmp_path / "records" / "train-multi-all.json")
    record["hardware"]["processor"] = evil
    write_json(tmp_path / "records" / "train-multi-all.json", record)
    card = sorted(tmp_path.glob("models/multi/all/*/card.json"))[0]
    write_json(card, {**read_json(card), "scope": evil})
    markup = make_page(run)
    assert evil not in markup
    assert markup.count("&lt;script&gt;alert(1)") >= 7
    assert not [tag for tag, _ in Page(markup).tags if tag == "script"]


def test_no_rows_of_a_corpus_are_read_for_the_page(run, markup):
    assert not list(run.folder.glob("prepared/**/*.parquet"))
    assert "text_hash" not in markup


def list_ids(page):
    return [(tag, values["id"]) for tag, values in page.tags if "id" in values]


def find_mean(run, task, recipe, title):
    """Return mean, low, high and n of a column, straight from the scores."""
    language, variant = title.split(", ")
    language = {"Romanian": "ro", "English": "en"}[language]
    scores = [
        score
        for score in run.scores
        if (score.task, score.recipe, score.language, score.variant)
        == (task, recipe, language, variant)
    ]
    metric = choose_primary_metric({s.metric for s in scores if s.value == s.value})
    chosen = [score for score in scores if score.metric == metric]
    count = len(chosen)
    return (
        sum(score.value for score in chosen) / count,
        sum(score.low for score in chosen) / count,
        sum(score.high for score in chosen) / count,
        chosen[0].n,
    )
