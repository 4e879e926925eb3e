from distilro.delivery.inputs import Source
from distilro.delivery.language_gap import build_gaps, describe_gaps, read_gaps
from tests.delivery.evidence import make_gap


def read(*rows):
    return read_gaps(Source("gaps.json", {"rows": list(rows)}))


def test_gaps_are_means_over_the_seeds_with_their_range():
    (table,) = build_gaps(read(make_gap(), make_gap(seed=1, gap=0.4, reference_gap=0.2)))
    assert table.caption == "emotion: how far apart English and Romanian lie"
    ((recipe, reference, own, other, difference),) = table.rows
    assert (recipe.text, reference.text) == ("adversarial", "zero_shot")
    assert (own.text, own.note) == ("0.250", "0.100 to 0.400")
    assert (other.text, other.note) == ("0.250", "0.200 to 0.300")
    assert (difference.text, difference.note) == ("0.000", "smaller in 1 of 2 seeds")


def test_the_sentence_says_both_gaps_and_counts_the_seeds():
    assert describe_gaps(read(make_gap(), make_gap(seed=1))) == (
        "On emotion, the gap is 0.100 after adversarial and 0.300 after zero_shot, smaller in 2 of "
        "2 seeds."
    )


def test_tasks_recipes_and_scopes_are_not_mixed():
    rows = [make_gap(), make_gap(task="topic", scope="topic"), make_gap(recipe="penalty")]
    rows += [make_gap(recipe="penalty", scope="emotion+topic", gap=0.9)]
    emotion, topic = build_gaps(read(*rows))
    names = [row[0].text for row in emotion.rows]
    assert names == ["adversarial", "penalty (emotion)", "penalty (emotion+topic)"]
    assert len(topic.rows) == 1
    assert "0.900 after penalty (emotion+topic)" in describe_gaps(read(*rows))


def test_a_run_without_an_adversary_says_so():
    assert build_gaps([]) == []
    assert describe_gaps([]).startswith("No recipe of this run learns against a critic")
