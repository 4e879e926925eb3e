"""Label maps: sets, unobserved labels, and no label that is dropped or guessed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.examples import Task
from distilro.corpora.labels import LabelMap, suggest
from distilro.corpora.registry import LabelMeaning
from distilro.errors import DataError, SettingsError

EMOTION = Task("emotion", "multi_label", ("sadness", "neutral", "trust", "joy"))
TOPIC = Task("topic", "multi_class", ("culture", "politics", "sports"))


def build(task: Task, never: tuple[str, ...] = (), **meanings: dict) -> LabelMap:
    checked = {label: LabelMeaning(**meaning) for label, meaning in meanings.items()}
    return LabelMap(task, checked, never, "made_up")


@pytest.fixture
def carer() -> LabelMap:
    return build(
        EMOTION,
        ("trust", "neutral"),
        sadness={"labels": ["sadness"]},
        joy={"labels": ["joy"]},
        love={"labels": ["joy"], "unobserved": ["trust"]},
    )


@pytest.fixture
def news() -> LabelMap:
    return build(TOPIC, World={"labels": ["politics", "culture"]}, Sports={"labels": ["sports"]})


def test_love_is_joyful_and_says_nothing_of_trust(carer):
    target, observed = carer.encode(["love"], "row 1")
    assert target.tolist() == [0, 0, 0, 1]
    assert observed.tolist() == [True, False, False, True]


def test_world_is_a_set_in_which_everything_is_observed(news):
    target, observed = news.encode(["World"], "row 1")
    assert target.tolist() == [1, 1, 0]
    assert observed.all()


def test_a_label_that_one_source_label_asserts_and_another_leaves_open_is_present():
    labels = build(
        EMOTION, care={"labels": ["joy"], "unobserved": ["trust"]}, faith={"labels": ["trust"]}
    )
    target, observed = labels.encode(["care", "faith"], "row 1")
    assert target.tolist() == [0, 0, 1, 1]
    assert observed.all()


@pytest.mark.parametrize("label", ["Joy", "joy ", "jooy", "", "Love"])
def test_an_unknown_label_is_an_error_that_names_it_its_place_and_the_nearest(carer, label):
    with pytest.raises(DataError) as caught:
        carer.encode([label], "train.txt:7")
    message = str(caught.value)
    assert "train.txt:7" in message
    assert repr(label) in message
    assert "nearest" in message


def test_the_nearest_label_is_found_without_regard_to_case():
    assert suggest("JOOY", ["sadness", "joy"]) == "joy"


@pytest.mark.parametrize("labels", [[], ["World", "Sports"]])
def test_a_multi_class_row_has_exactly_one_source_label(news, labels):
    with pytest.raises(DataError, match="expected one label"):
        news.encode(labels, "row 1")


@pytest.mark.parametrize("labels", [[], ["joy", "joy"]])
def test_a_multi_label_row_has_distinct_labels(carer, labels):
    with pytest.raises(DataError, match="distinct labels"):
        carer.encode(labels, "row 1")


@pytest.mark.parametrize(
    ("task", "never", "meaning", "complaint"),
    [
        (EMOTION, (), {"labels": ["happy"]}, "no label 'happy'"),
        (EMOTION, (), {"unobserved": ["trst"]}, "nearest: 'trust'"),
        (EMOTION, ("love",), {"labels": ["joy"]}, "no label 'love'"),
        (EMOTION, ("joy",), {"labels": ["joy"]}, "present and unobserved"),
        (EMOTION, (), {"labels": ["joy"], "unobserved": ["joy"]}, "present and unobserved"),
        (TOPIC, (), {"labels": []}, "at least one label"),
        (TOPIC, (), {"labels": ["sports"], "unobserved": ["culture"]}, "set of labels"),
        (TOPIC, ("culture",), {"labels": ["sports"]}, "set of labels"),
    ],
)
def test_a_map_that_does_not_fit_its_task_is_refused(task, never, meaning, complaint):
    with pytest.raises(SettingsError, match=complaint):
        build(task, never, x=meaning)


def test_votes_are_shares_in_the_tasks_order_and_unsaid_where_nobody_voted(carer):
    votes = carer.encode_votes({"joy": 2 / 3, "sadness": 0.0}, "row 1")
    assert np.allclose(votes, [0, np.nan, np.nan, 2 / 3], equal_nan=True)
    assert np.isnan(carer.encode_votes(None, "row 1")).all()


@given(st.sets(st.sampled_from(["sadness", "joy", "love"]), min_size=1))
def test_what_is_present_is_observed_and_never_observed_labels_never_are(labels):
    fresh = build(
        EMOTION,
        ("neutral",),
        sadness={"labels": ["sadness"], "unobserved": ["trust"]},
        joy={"labels": ["joy"]},
        love={"labels": ["joy", "trust"]},
    )
    target, observed = fresh.encode(sorted(labels), "row 1")
    assert observed[target > 0].all()
    assert not observed[1]
    assert observed[2] == ("love" in labels or "sadness" not in labels)
