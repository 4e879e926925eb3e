import json

import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.commands.plan import TOKENS_PER_TEXT
from tests.support import ROOT, build_settings


def plan(*more, scenario="laptop"):
    values = build_settings(scenario).model_dump(mode="json", exclude_none=True)
    registry = str(ROOT / "data/registry")
    return main(["plan", "--settings", json.dumps(values), "--registry", registry, *more])


def test_the_table_and_the_file_tell_the_same(tmp_path, capsys):
    out = tmp_path / "plan.json"
    assert plan("--tokens-per-second", "40000", "--out", str(out)) == 0
    values, printed = read_json(out), capsys.readouterr().out
    assert f"{values['cells']} cells" in printed
    assert f"Hours of one device: {values['device_hours']:.3g}" in printed
    assert len(values["work"]) == values["cells"]
    texts = sum(load["training_texts"] for load in values["work"])
    assert values["training_tokens"] == round(texts * TOKENS_PER_TEXT)


def test_twice_the_speed_takes_half_the_hours(tmp_path):
    hours = []
    for speed in ("20000", "40000"):
        assert plan("--tokens-per-second", speed, "--out", str(tmp_path / speed)) == 0
        hours.append(read_json(tmp_path / speed)["device_hours"])
    assert hours[0] == pytest.approx(2 * hours[1])


@pytest.mark.parametrize(
    "speed",
    [["--tokens-per-second", "0"], ["--tokens-per-second", "1", "--flops-per-second", "1"]],
)
def test_a_speed_must_be_above_zero_and_the_only_one(speed):
    with pytest.raises(SystemExit, match="2"):
        plan(*speed)


def test_flops_of_an_encoder_of_unknown_size_are_refused(caplog):
    assert plan("--flops-per-second", "1e14", scenario="study") == 2
    assert "give --parameters" in caplog.text
    assert plan("--flops-per-second", "1e14", "--parameters", "85000000", scenario="study") == 0


def test_the_study_is_planned_whatever_is_known_of_the_device(capsys):
    assert plan("--parameters", "85054464", scenario="study") == 0
    printed = capsys.readouterr().out
    assert "compact_agnostic_random/all" in printed
    flops = float(printed.partition("FLOPs: ")[2].split()[0])
    assert flops > 1e17
    assert "Hours of one device: not known: give --tokens-per-second" in printed
