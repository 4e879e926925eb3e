import pytest

from distilro.delivery.inputs import Source
from distilro.delivery.trainings import build_models, draw_trainings
from distilro.errors import ExportError


def make_stage(epochs=2, **changes):
    history = [
        {"epoch": epoch, "step": 10 * epoch, "loss": 1.0 / epoch, "valid": {"emotion": 0.1 * epoch}}
        for epoch in range(1, epochs + 1)
    ]
    stage = {"history": history, "best_step": 20, "steps": 10 * epochs, "tokens": 500}
    return {**stage, "padding_share": 0.05, **changes}


def make_card(**changes):
    card = {"recipe": "gradual", "scope": "emotion", "seed": 0, "tasks": ["emotion"]}
    return Source("card.json", {**card, "parameters": 1000, "stages": [make_stage()], **changes})


def test_a_second_stage_goes_on_where_the_first_one_ended():
    one = draw_trainings([make_card(stages=[make_stage(4)])])[0]
    two = draw_trainings([make_card(stages=[make_stage(2), make_stage(2)])])[0]
    assert one.count("<circle") - one.count('"ring"') == two.count("<circle") - two.count('"ring"')
    assert (one.count('"ring"'), two.count('"ring"')) == (1, 2)


def test_tokens_and_steps_of_all_stages_are_added():
    table = build_models([make_card(stages=[make_stage(), make_stage()])])
    assert [cell.text for cell in table.rows[0]] == [
        "gradual", "emotion", "0", "1,000", "1,000", "5.0%", "40", "20",
    ]  # fmt: skip


def test_a_baseline_without_a_history_is_in_the_table_and_has_no_curve():
    card = Source("card.json", {**make_card().values, "recipe": "linear"})
    del card.values["stages"]
    assert draw_trainings([card]) == []
    assert [cell.text for cell in build_models([card]).rows[0]][4:] == ["–"] * 4


def test_a_stage_without_its_steps_is_refused_by_name():
    stage = make_stage()
    del stage["steps"]
    with pytest.raises(ExportError, match=r"card\.json: stages\[0\]: no key 'steps'"):
        build_models([make_card(stages=[stage])])
