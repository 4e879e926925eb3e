from distilro.delivery.inputs import Source
from distilro.delivery.language_gap import build_gaps, describe_gaps, read_gaps
from tests.delivery.evidence import make_gap


def read(*rows):
    return read_gaps(Source("gaps.json", {"rows": list(rows)}))


def test_gaps_are_means_over_seeds_and_critics_with_their_range_and_the_texts():
    other = make_gap(seed=1, gaps=[0.3, 0.4, 0.5], reference_gaps=[0.2, 0.2, -0.1])
    (table,) = build_gaps(read(make_gap(), other))
    assert table.caption == "emotion: gap between 2,000 English and 543 Romanian validation texts"
    ((recipe, reference, own, before, difference),) = table.rows
    assert (recipe.text, reference.text) == ("adversarial", "zero_shot")
    assert (own.text, own.note) == ("0.250", "0.050 to 0.500")
    assert (before.text, before.note) == ("0.200", "−0.100 to 0.300")
    assert (difference.text, difference.note) == ("+0.050", "smaller in 1 of 2 seeds")


def test_the_sentence_says_both_gaps_and_counts_the_seeds():
    assert describe_gaps(read(make_gap(), make_gap(seed=1))) == (
        "On emotion, the gap is 0.100 after adversarial and 0.300 after zero_shot, smaller in 2 of "
        "2 seeds."
    )


def test_a_gap_below_zero_has_a_true_minus():
    assert "is −0.020 after" in describe_gaps(read(make_gap(gaps=[-0.03, -0.02, -0.01])))


def test_tasks_recipes_and_scopes_are_not_mixed():
    rows = [make_gap(), make_gap(task="topic", scope="topic"), make_gap(recipe="penalty")]
    rows += [make_gap(recipe="penalty", scope="emotion+topic", gaps=[0.9])]
    emotion, topic = build_gaps(read(*rows))
    names = [row[0].text for row in emotion.rows]
    assert names == ["adversarial", "penalty (emotion)", "penalty (emotion+topic)"]
    assert len(topic.rows) == 1
    assert "0.900 after penalty (emotion+topic)" in describe_gaps(read(*rows))


def test_a_run_without_an_adversary_says_so():
    assert build_gaps([]) == []
    assert describe_gaps([]).startswith("No recipe of this run has an adversary")
