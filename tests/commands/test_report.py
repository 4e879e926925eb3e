from xml.etree import ElementTree

import pytest

from distilro.artifacts import read_json, write_json
from distilro.cli import main
from tests.delivery.runs import write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path)


def test_the_pictures_for_the_readme_stand_alone(run, tmp_path):
    plot, rules = tmp_path / "plot.svg", tmp_path / "rules.svg"
    assert main(run.list_arguments("--plot", str(plot), "--dag-picture", str(rules))) == 0
    for path, word in ((plot, "annealed"), (rules, "fetch")):
        text = path.read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert word in text


def test_a_picture_of_the_sample_corpus_says_that_it_is_a_demonstration(tmp_path):
    run = write_run(tmp_path, "embedded")
    main(run.list_arguments("--plot", str(tmp_path / "plot.svg")))
    assert "a demonstration" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def test_a_card_without_a_key_stops_the_page_and_is_named(run, tmp_path, caplog):
    card = tmp_path / "models" / "multi" / "all" / "seed0" / "card.json"
    values = read_json(card)
    del values["parameters"]
    write_json(card, values)
    assert main(run.list_arguments()) == 6
    assert "multi/all/seed0/card.json: no key 'parameters'" in caplog.text
    assert not (tmp_path / "report.html").exists()


def test_a_missing_template_stops_the_page(run, tmp_path, caplog):
    assert main(run.list_arguments("--template", str(tmp_path / "nowhere.html"))) == 6
    assert "nowhere.html is missing" in caplog.text


def test_settings_of_another_scenario_are_refused(run, caplog):
    arguments = run.list_arguments()
    arguments[arguments.index("--scenario") + 1] = "study"
    assert main(arguments) == 2
    assert "--settings are those of laptop" in caplog.text
