"""N-grams: the corpus's own vectors are those of any later text, and bounded in number."""

import numpy as np

from distilro.modeling import ngrams
from distilro.modeling.ngrams import fit_ngrams
from distilro.settings import LinearSettings

TEXTS = ["Ștefan râde azi", "stefan rade mereu", "azi plouă mereu", "azi ștefan plouă"]


def test_the_vectors_that_come_with_the_fit_are_those_of_transform():
    fitted, vectors = fit_ngrams(TEXTS, LinearSettings())
    assert vectors.shape == (4, len(fitted))
    np.testing.assert_allclose(vectors.toarray(), fitted.transform(TEXTS).toarray(), atol=1e-6)


def test_case_and_diacritics_make_no_difference():
    fitted, _ = fit_ngrams(TEXTS, LinearSettings())
    first, second = fitted.transform(["ȘTEFAN RÂDE", "stefan rade"]).toarray()
    np.testing.assert_array_equal(first, second)


def test_every_kind_of_ngram_has_unit_length_by_itself():
    fitted, vectors = fit_ngrams(TEXTS, LinearSettings())
    words = len(fitted.terms["word"])
    for part in (vectors[:, :words], vectors[:, words:]):
        np.testing.assert_allclose(np.sqrt(part.multiply(part).sum(axis=1)), 1)


def test_ngrams_are_kept_from_their_number_of_texts_on():
    settings = LinearSettings(word_min_documents=3, char_min_documents=3, char_ngrams=(3, 3))
    fitted, _ = fit_ngrams(TEXTS, settings)
    assert fitted.terms["word"] == ["azi", "stefan"]
    of_azi, of_stefan = {" az", "azi", "zi "}, {" st", "ste", "tef", "efa", "fan", "an "}
    assert set(fitted.terms["char"]) == of_azi | of_stefan


def test_the_most_frequent_ngrams_are_kept_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(ngrams, "MAX_NGRAMS", 2)
    fitted, _ = fit_ngrams(TEXTS, LinearSettings())
    assert fitted.terms["word"] == ["azi", "stefan"]
    assert len(fitted) == 4
