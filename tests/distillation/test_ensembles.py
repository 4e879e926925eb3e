import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from distilro.distillation.ensembles import ENSEMBLES, combine_answers
from distilro.errors import IntegrityError, SettingsError
from distilro.modeling.probabilities import compute_probabilities

KINDS = ("multi_class", "multi_label")


def make_answers(seed, teachers, rows=4, labels=3):
    generator = np.random.default_rng(seed)
    scale = generator.uniform(0.1, 20)
    return list((scale * generator.standard_normal((teachers, rows, labels))).astype(np.float32))


def combine(kind, logits, how="mean_probability", temperature=1.0, weights=None):
    if how == "validation" and weights is None:
        weights = [0.5] * len(logits)
    return combine_answers(kind, logits, how=how, temperature=temperature, weights=weights)


def test_means_of_two_classes_by_hand():
    """One teacher says 1/4 and 3/4, the other 1/2 and 1/2; their odds are 3 and 1."""
    logits = [np.log([[1.0, 3.0]]), np.log([[1.0, 1.0]])]
    odds = 3**0.5
    assert combine("multi_class", logits)[0] == pytest.approx([3 / 8, 5 / 8])
    by_logit = combine("multi_class", logits, "mean_logit")[0]
    assert by_logit == pytest.approx([1 / (1 + odds), odds / (1 + odds)])
    by_score = combine("multi_class", logits, "validation", weights=[0.2, 0.6])[0]
    assert by_score == pytest.approx([7 / 16, 9 / 16])


def test_means_of_a_label_by_hand_at_temperature_two():
    """Halved logits log 9 and 0 are probabilities 9/10 and 1/2; their mean is that of odds 3."""
    logits = [np.array([[2 * np.log(9.0)]]), np.array([[0.0]])]
    assert combine("multi_label", logits, temperature=2.0).item() == pytest.approx(0.7)
    by_logit = combine("multi_label", logits, "mean_logit", temperature=2.0)
    assert by_logit.item() == pytest.approx(3 / 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ENSEMBLES)
@given(seed=st.integers(0, 9999), weight=st.floats(1e-3, 1))
def test_one_teacher_is_itself_to_the_last_bit(kind, how, seed, weight):
    (logits,) = make_answers(seed, teachers=1)
    weights = [weight] if how == "validation" else None
    combined = combine(kind, [logits], how, weights=weights)
    assert combined.dtype == np.float32
    assert np.array_equal(combined, compute_probabilities(kind, logits))


@pytest.mark.parametrize("how", ENSEMBLES)
@given(seed=st.integers(0, 9999), teachers=st.integers(1, 4), temperature=st.floats(0.5, 8))
def test_the_answers_for_classes_are_a_distribution_between_the_teachers(
    how, seed, teachers, temperature
):
    logits = make_answers(seed, teachers)
    combined = combine("multi_class", logits, how, temperature)
    assert np.allclose(combined.sum(axis=1), 1, atol=1e-6)
    if how != "mean_logit":
        each = [softmax(answers / temperature, axis=1) for answers in logits]
        assert (combined >= np.min(each, axis=0) - 1e-6).all()
        assert (combined <= np.max(each, axis=0) + 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 9999), temperature=st.floats(0.5, 8))
def test_the_means_are_those_of_scipy(kind, seed, temperature):
    logits = make_answers(seed, teachers=3)

    def normalise(z):
        return softmax(z, axis=-1) if kind == "multi_class" else expit(z)

    each = normalise(np.float64(logits) / temperature)
    by_probability = combine(kind, logits, "mean_probability", temperature)
    by_logit = combine(kind, logits, "mean_logit", temperature)
    by_score = combine(kind, logits, "validation", temperature, [0.1, 0.0, 0.3])
    assert np.allclose(by_probability, each.mean(axis=0), atol=1e-6)
    assert np.allclose(by_logit, normalise(np.mean(logits, axis=0) / temperature), atol=1e-5)
    assert np.allclose(by_score, (each[0] + 3 * each[2]) / 4, atol=1e-6)


@pytest.mark.parametrize("how", ENSEMBLES)
@given(seed=st.integers(0, 9999), order=st.permutations(range(3)))
def test_the_order_of_the_teachers_does_not_matter(how, seed, order):
    logits, scores = make_answers(seed, teachers=3), [0.2, 0.5, 0.9]
    weights, shuffled = (
        ([scores[place] for place in places] if how == "validation" else None)
        for places in (range(3), order)
    )
    combined = combine("multi_label", [logits[place] for place in order], how, weights=shuffled)
    assert np.allclose(combined, combine("multi_label", logits, how, weights=weights), atol=1e-6)


@pytest.mark.parametrize("how", ENSEMBLES)
@given(seed=st.integers(0, 9999), constant=st.floats(-1e6, 1e6))
def test_a_constant_on_all_logits_of_a_class_means_nothing(how, seed, constant):
    first, second = (np.float64(answers) for answers in make_answers(seed, teachers=2))
    moved = combine("multi_class", [first + constant, second], how)
    assert np.allclose(moved, combine("multi_class", [first, second], how), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ensembles_differ_where_teachers_do(kind):
    logits = make_answers(3, teachers=2)
    weights = {"validation": [0.9, 0.1]}
    said = [combine(kind, logits, how, weights=weights.get(how)) for how in ENSEMBLES]
    assert min(np.abs(a - b).max() for a, b in [said[:2], said[1:], said[::2]]) > 1e-3


def test_equal_scores_are_the_plain_mean():
    logits = make_answers(4, teachers=3)
    by_score = combine("multi_class", logits, "validation", weights=[0.3] * 3)
    assert np.allclose(by_score, combine("multi_class", logits), atol=1e-7)


@pytest.mark.parametrize(
    "weights", [None, [], [0.5], [0.0, 0.0], [0.5, -0.1], [0.5, 1.1], [0.5, np.nan]]
)
def test_scores_that_cannot_weigh_are_refused(weights):
    logits = make_answers(5, teachers=2)
    with pytest.raises(SettingsError, match=r"score in \[0, 1\] for each of 2 teachers"):
        combine_answers("multi_class", logits, how="validation", temperature=1.0, weights=weights)


@pytest.mark.parametrize("how", ["mean_probability", "mean_logit"])
def test_scores_that_would_have_no_effect_are_refused(how):
    with pytest.raises(SettingsError, match="takes no weights"):
        combine("multi_class", make_answers(6, teachers=2), how, weights=[0.5, 0.5])


def test_an_unknown_ensemble_is_refused():
    with pytest.raises(SettingsError, match=r"mean_logit.*got 'median'"):
        combine("multi_class", make_answers(7, teachers=2), "median")


@pytest.mark.parametrize("rows", [[], [2, 3]])
def test_teachers_of_no_or_of_different_rows_are_refused(rows):
    with pytest.raises(IntegrityError, match="logits of one shape"):
        combine("multi_class", [np.zeros((count, 3)) for count in rows])
