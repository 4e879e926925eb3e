import pytest

from distilro.delivery.influence import build_influence, describe_influence, read_influences
from distilro.delivery.inputs import Source
from distilro.errors import ExportError
from tests.delivery.evidence import make_influence


def read(*rows):
    return read_influences(Source("influence.json", {"rows": list(rows)}))


def test_a_cell_tells_sign_interval_and_counts_in_words():
    (table,) = build_influence(read(make_influence()))
    cell = table.rows[0][1]
    assert cell.text == "+0.020 ▲"
    assert cell.note == "[+0.005, +0.035]\nleast detectable 0.020\nn=818, 5 seeds"
    assert table.rows[0][0].note == "single_mixed minus single_ro"


def test_a_row_says_what_else_differs():
    (table,) = build_influence(read(make_influence(also=["schedule", "sampling"])))
    note = "single_mixed minus single_ro\nother schedule and sampling"
    assert table.rows[0][0].note == note


def test_the_tint_is_the_share_of_the_largest_difference_with_its_sign():
    big = {"test_set": "other", "difference": -0.04, "low": -0.05, "high": -0.03}
    (table,) = build_influence(read(make_influence(), make_influence(**big)))
    assert [cell.shade for cell in table.rows[0][1:]] == [0.5, -1.0]


def test_no_direction_is_marked_where_the_interval_holds_zero():
    (table,) = build_influence(read(make_influence(low=-0.01)))
    assert table.rows[0][1].text == "+0.020"


def test_datasets_and_tasks_are_tables_of_their_own():
    tables = build_influence(read(make_influence(), make_influence(kind="task", added="topic")))
    assert [table.caption for table in tables] == ["Adding a dataset", "Adding a task"]


def test_what_was_not_measured_or_not_defined_is_named():
    (table,) = build_influence(
        read(make_influence(added="a"), make_influence(added="b", test_set="x", difference=None))
    )
    assert [[cell.text for cell in row[1:]] for row in table.rows] == [
        ["+0.020 ▲", "–"],
        ["–", "n/a (n=818)"],
    ]


def test_one_place_with_two_numbers_is_refused():
    with pytest.raises(ExportError, match="carer on redv2 stands twice"):
        build_influence(read(make_influence(), make_influence()))


def test_the_sentence_counts_by_intervals_and_names_the_largest():
    rows = [make_influence(added=f"d{i}", difference=0.01 * i, low=0.001, high=0.2)
            for i in range(1, 6)]  # fmt: skip
    rows += [make_influence(added="down", difference=-0.1, low=-0.2, high=-0.05)]
    rows += [make_influence(added="level", low=-0.1)]
    assert describe_influence(read(*rows)) == (
        "Of 7 effects of an addition, 5 raised the score (most: d5 on redv2 by +0.050, "
        "d4 on redv2 by +0.040 and d3 on redv2 by +0.030), 1 lowered it (down on redv2 by "
        "−0.100), and for 1 the interval holds zero."
    )
