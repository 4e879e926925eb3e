"""Logits become probabilities, however large they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from distilro.errors import DataError
from distilro.modeling.probabilities import compute_probabilities


def test_softmax_and_sigmoid_by_hand():
    logits = np.log(np.array([[1.0, 3.0]]))
    np.testing.assert_allclose(compute_probabilities("multi_class", logits), [[0.25, 0.75]])
    np.testing.assert_allclose(compute_probabilities("multi_label", logits), [[0.5, 0.75]])


@given(
    npst.arrays(
        np.float32, (3, 4), elements=st.floats(allow_nan=False, allow_infinity=False, width=32)
    )
)
def test_any_finite_logits_become_probabilities(logits):
    for kind in ("multi_class", "multi_label"):
        probabilities = compute_probabilities(kind, logits)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert np.abs(compute_probabilities("multi_class", logits).sum(axis=1) - 1).max() < 1e-5


def test_no_logits_give_no_probabilities():
    assert compute_probabilities("multi_class", np.zeros((0, 4))).shape == (0, 4)


def test_an_unknown_kind_is_refused():
    with pytest.raises(DataError, match="regression"):
        compute_probabilities("regression", np.zeros((1, 1)))
