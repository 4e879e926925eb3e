"""The section `encoders`: what is taken and what is refused."""

import os
import subprocess
import sys

import pytest

from distilro.encoder_settings import EncoderSettings
from distilro.errors import SettingsError
from distilro.settings import check_section
from tests.support import SCENARIOS, read_params


def read_section(scenario: str) -> dict:
    """Return the section, without students that extend another: the whole tree resolves these."""
    section = read_params(scenario)["encoders"]
    alone = {name: each for name, each in section["students"].items() if "extends" not in each}
    assert alone
    return {**section, "students": alone}


def change(part: str | None = None, **values: object) -> dict:
    """Return the section of params.yaml with values of it, or of one part of it, changed."""
    section = read_section("study")
    if part is None:
        return {**section, **values}
    return {**section, part: {**section[part], **values}}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_s_section_is_right(scenario: str):
    check_section(EncoderSettings, read_section(scenario))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (change(source="web"), "source"),
        (change(source="folder"), "source is 'folder', but folder is not set"),
        (change(source="hub", hub=None), "source is 'hub', but hub is not set"),
        (change(source="scratch", scratch=None), "source is 'scratch', but scratch is not set"),
        (change("hub", revision="main"), "hub.revision"),
        (change("hub", name="https://a.ro/b"), "hub.name"),
        (change("scratch", heads=3), r"hidden \(256\) is not a multiple of heads \(3\)"),
        (change("adaptation", epochs=-1), "adaptation.epochs"),
        (change("adaptation", precision="int8"), "adaptation.precision"),
        (change("adaptation", epoch=1), "did you mean epochs"),
        (change(seed="13"), "seed"),
        (change("texts", most_words={"novels_en": 9}), r"most_words\.novels_en: it is not among"),
        (change("texts", collections=["Tales"]), "texts.collections"),
        (change(vocabulary={"size": 99, "lowercase": True}), "vocabulary.size"),
        (change(vocabulary={"size": 8000}), "vocabulary.lowercase"),
        (
            change(source="scratch", vocabulary={"size": 8000, "lowercase": True}),
            "scratch learns its own",
        ),
        (change("students", half={"ce": 0.0, "masked": 0.0, "cosine": 0.0}), "one of them must"),
        (change("students", half={"student": {"layers": 0}}), r"students\.half\.student\.layers"),
        (change("students", half={"temprature": 2.0}), "did you mean temperature"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_it(section: dict, message: str):
    with pytest.raises(SettingsError, match=message):
        check_section(EncoderSettings, section)


def test_a_revision_that_is_not_known_yet_may_be_left_open():
    assert check_section(EncoderSettings, change("hub", revision=None)).hub.revision is None


def test_a_vocabulary_is_for_an_encoder_that_has_one():
    settings = check_section(EncoderSettings, change(vocabulary={"size": 8000, "lowercase": True}))
    assert (settings.vocabulary.size, settings.vocabulary.lowercase) == (8000, True)


def test_a_student_that_says_nothing_is_distilbert_s():
    half = check_section(EncoderSettings, change("students", half={})).students["half"]
    assert half.student.layers == "half"
    assert (half.ce, half.masked, half.cosine, half.temperature) == (5.0, 2.0, 1.0, 2.0)


def test_the_settings_do_not_load_torch():
    code = "import sys, distilro.encoder_settings; sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, env=environment, check=True)
