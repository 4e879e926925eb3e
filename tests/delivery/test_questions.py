import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.delivery.comparisons import read_family
from distilro.delivery.inputs import Source
from distilro.delivery.questions import (
    OTHER,
    answer_question,
    describe_sizes,
    describe_standing,
    describe_test_sets,
    group_questions,
)
from distilro.evaluation.verdicts import VERDICTS
from tests.delivery.evidence import make_comparison, make_family


def read(*rows):
    return read_family(Source("comparisons.json", make_family(*rows)))


def test_the_field_question_of_the_settings_groups_the_recipes_whatever_their_names():
    recipes = {"x": {"question": "size"}, "y": {"question": "english"}, "z": {"question": None}}
    family = read(*(make_comparison(recipe=name) for name in ("x", "z", "y", "unknown")))
    questions = group_questions(family, Source("settings", recipes))
    found = [(q.name, [row.recipe for row in q.rows]) for q in questions]
    assert found == [("english", ["y"]), ("size", ["x"]), (OTHER, ["z", "unknown"])]


def test_the_answer_counts_every_verdict():
    rows = read(*(make_comparison(verdict=v) for v in (*VERDICTS, "higher"))).rows
    answer = answer_question(rows)
    assert "Of 4 comparisons" in answer
    assert "2 came out higher, 1 lower, and 1 not distinguishable" in answer
    assert answer_question(()) == "Nothing was compared."


@given(st.lists(st.sampled_from(VERDICTS), min_size=1, max_size=12))
def test_the_counts_of_an_answer_add_up(verdicts):
    rows = read(*(make_comparison(verdict=verdict) for verdict in verdicts)).rows
    numbers = [
        int(word) for word in answer_question(rows).replace(",", "").split() if word.isdigit()
    ]
    assert numbers[0] == sum(numbers[1:]) == len(verdicts)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        (
            (True, True),
            "These are claims: each neural side, where there is one, has 5 seeds or more.",
        ),
        ((True, False), "1 are indications, not claims: a claim needs 5 seeds"),
        ((False, False), "All of these are indications, not claims"),
    ],
)
def test_what_lacks_seeds_is_called_an_indication(claims, said):
    rows = read(*(make_comparison(claim=claim) for claim in claims)).rows
    assert said in describe_standing(rows, 5)


def test_a_test_sets_sentence_names_who_is_higher_and_lower_the_farthest_first():
    rows = read(
        make_comparison(recipe="a", difference=0.02, value=0.6),
        make_comparison(recipe="b", difference=0.04, value=0.62),
        make_comparison(recipe="c", difference=-0.1, value=0.5, verdict="lower"),
        make_comparison(recipe="d", difference=0.001, verdict="not distinguishable", value=0.58),
    ).rows
    ((task, sentence),) = describe_test_sets(rows)
    assert task == "emotion"
    assert sentence == (
        "Higher than the reference: b (+0.040 beside single_ro) and a (+0.020 beside single_ro). "
        "Lower: c (−0.100 beside single_ro). Not distinguishable: 1 of 4. "
        "The highest value is that of b, 0.620 (+0.040 beside single_ro)."
    )


def test_nobody_is_named_where_nothing_differs():
    ((_, sentence),) = describe_test_sets(read(make_comparison(verdict=VERDICTS[2])).rows)
    assert sentence.startswith("Higher than the reference: none. Lower: none.")


def test_only_a_recipe_that_is_smaller_than_its_reference_is_said_to_be():
    rows = read(
        make_comparison(recipe="small"), make_comparison(recipe="equal"), make_comparison()
    ).rows
    parameters = {
        ("small", "emotion"): 45.0, ("equal", "emotion"): 100.0, ("single_ro", "emotion"): 100.0,
    }  # fmt: skip
    assert describe_sizes(rows, parameters) == ["small has 45% of the parameters of single_ro."]
