from distilro.delivery.inputs import Source
from distilro.delivery.loyalty import build_loyalty, describe_loyalty
from tests.delivery.evidence import make_loyalty


def read(*rows):
    return Source("loyalty.json", {"rows": list(rows)})


def test_values_and_bounds_are_means_over_the_seeds():
    other = {"value": 0.8, "low": 0.78, "high": 0.82}
    (row,) = build_loyalty(read(make_loyalty(), make_loyalty(seed=1, label=other, n=800))).rows
    assert (row[3].text, row[3].note) == ("0.850", "[0.830, 0.870]")
    assert (row[6].text, row[6].note) == ("n=800", "2 seeds")


def test_a_student_that_was_taught_by_models_of_folds_is_marked():
    rows = read(make_loyalty(), make_loyalty(student="oof"))
    plain, taught = build_loyalty(rows, {"oof"}).rows
    assert "folds" not in plain[1].note and taught[1].note.endswith("its folds taught")


def test_a_loyalty_that_is_not_defined_is_named():
    (row,) = build_loyalty(read(make_loyalty())).rows
    assert row[5].text == "n/a"


def test_the_sentence_names_the_most_and_the_least_loyal_student():
    worse = make_loyalty(student="compact", label={"value": 0.7, "low": 0.6, "high": 0.8})
    said = describe_loyalty(read(make_loyalty(), worse))
    assert said == (
        "On emotion, annealed and single_mixed give the same label to 90% of the texts, "
        "compact and single_mixed to 70%."
    )


def test_tasks_are_not_mixed():
    other = make_loyalty(task="topic", label={"value": 0.4, "low": 0.3, "high": 0.5})
    said = describe_loyalty(read(make_loyalty(), other))
    assert said == (
        "On emotion, annealed and single_mixed give the same label to 90% of the texts. "
        "On topic, annealed and single_mixed give the same label to 40% of the texts."
    )


def test_a_single_student_is_not_compared_with_itself():
    said = describe_loyalty(read(make_loyalty()))
    assert said == "On emotion, annealed and single_mixed give the same label to 90% of the texts."


def test_nothing_is_said_of_what_is_not_defined():
    empty = make_loyalty(label={"value": None, "low": None, "high": None})
    assert describe_loyalty(read(empty)) == "No loyalty is defined."
