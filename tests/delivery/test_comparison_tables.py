import pytest

from distilro.delivery.comparison_tables import build_differences, build_family, build_seed_tests
from distilro.delivery.comparisons import read_family
from distilro.delivery.inputs import Source
from tests.delivery.evidence import make_comparison, make_family


def read(*rows):
    return read_family(Source("comparisons.json", make_family(*rows)))


def test_a_recipe_of_one_model_per_task_is_one_row_over_all_tasks():
    family = read(
        make_comparison(),
        make_comparison(task="topic", test_set="moroco", scope="topic", difference=-0.02,
                        verdict="lower"),
    )  # fmt: skip
    table = build_differences("English", family.rows)
    (row,) = table.rows
    assert [cell.text for cell in row] == ["single_mixed", "+0.030 ▲", "−0.020 ▼"]
    assert row[1].note == "[+0.010, +0.050]\n0.620 − 0.590"
    assert [cell.text for cell in table.head] == ["recipe", "emotion", "topic"]


def test_scopes_of_one_recipe_are_rows_of_their_own_and_gaps_are_named():
    family = read(
        make_comparison(recipe="pairs", scope="a-b"),
        make_comparison(recipe="pairs", scope="a-c"),
        make_comparison(recipe="pairs", scope="a-c", task="topic", test_set="moroco"),
    )
    rows = build_differences("Tasks", family.rows).rows
    assert [row[0].text for row in rows] == ["pairs (a-b)", "pairs (a-c)"]
    assert rows[0][2].text == "not compared"


def test_the_family_says_what_an_indication_still_needs():
    claim, indication = build_family(read(make_comparison(), make_comparison(claim=False))).rows
    assert (claim[2].text, claim[2].note) == ("▲ higher", "")
    assert indication[2].note == "an indication: a claim needs 5 seeds"


def test_the_family_shows_the_corrected_p_and_the_plain_one_below():
    (row,) = build_family(read(make_comparison(p_holm=0.0, p=0.0314))).rows
    assert (row[5].text, row[5].note) == ("<0.001", "alone 0.031")
    assert row[6].text == "0.028"


@pytest.mark.parametrize("missing", ["difference", "minimum_detectable"])
def test_what_is_not_defined_is_a_dash(missing):
    (row,) = build_family(read(make_comparison(**{missing: None}))).rows
    assert "–" in [cell.text for cell in row]
    assert "nan" not in " ".join(cell.text for cell in row)


def test_every_pair_of_seeds_has_its_own_test():
    tests = [
        {"seed": k, "reference_seed": k, "only_recipe": 9, "only_reference": 2, "p": 0.04}
        for k in range(3)
    ]
    rows = build_seed_tests(read(make_comparison(mcnemar=tests))).rows
    assert [row[3].text for row in rows] == ["0 and 0", "1 and 1", "2 and 2"]
    assert [cell.text for cell in rows[0][4:]] == ["9", "2", "0.040"]
