"""Texts as TF-IDF vectors of word and character n-grams, kept as plain lists and arrays.

Words and, inside word boundaries, characters are counted with sublinear term frequency; each kind
is weighed by inverse document frequency and scaled to unit length by itself. Letters are counted
in lower case without diacritics. It does not normalise texts otherwise: the caller does.
Axes: N texts, F n-grams, words first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from distilro.errors import DataError, SettingsError
from distilro.settings import LinearSettings

UNITS = ("word", "char")  # the order of the n-grams in the columns
MAX_NGRAMS = 200_000  # of each unit, the most frequent ones: bounds the file of a large corpus


@dataclass(frozen=True)
class Ngrams:
    """The n-grams that a corpus showed: `terms[unit]` in column order and their `idf[unit]`."""

    settings: LinearSettings
    terms: dict[str, list[str]]
    idf: dict[str, np.ndarray]  # float32, one per term

    def __len__(self) -> int:
        """Return F."""
        return sum(len(terms) for terms in self.terms.values())

    def transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Return the vectors of texts, sparse float64 [N, F]; n-grams not kept count nothing."""
        return sp.hstack([v.transform(texts) for v in self._vectorizers], format="csr")

    @cached_property
    def _vectorizers(self) -> list[TfidfVectorizer]:
        rebuilt = []
        for unit in UNITS:
            vectorizer = _make_vectorizer(unit, self.settings, self.terms[unit])
            vectorizer.idf_ = self.idf[unit].astype(np.float64)
            rebuilt.append(vectorizer)
        return rebuilt


def fit_ngrams(texts: Sequence[str], settings: LinearSettings) -> tuple[Ngrams, sp.csr_matrix]:
    """Choose the n-grams of a corpus and weigh them; return them with the corpus's own vectors.

    The vectors, sparse float64 [N, F], are those that `transform` gives, up to the rounding of idf
    to float32; they come along because counting a large corpus again is half the work.

    Raises:
        DataError: no n-gram of a unit stands in enough texts.
        SettingsError: a range of n-gram lengths is empty or begins below one.
    """
    terms, idf, features = {}, {}, []
    for unit in UNITS:
        _check_range(unit, settings)
        vectorizer = _make_vectorizer(unit, settings)
        try:
            features.append(vectorizer.fit_transform(texts))
        except ValueError as error:  # what scikit-learn raises for an empty vocabulary
            raise DataError(
                f"No {unit} n-gram stands in at least {vectorizer.min_df} of the {len(texts)} "
                f"training texts ({error}). Give more texts, or lower {unit}_min_documents."
            ) from error
        terms[unit] = vectorizer.get_feature_names_out().tolist()
        idf[unit] = vectorizer.idf_.astype(np.float32)
    return Ngrams(settings, terms, idf), sp.hstack(features, format="csr")


def _check_range(unit: str, settings: LinearSettings) -> None:
    shortest, longest = getattr(settings, f"{unit}_ngrams")
    if not 1 <= shortest <= longest:
        raise SettingsError(
            f"{unit}_ngrams: expected shortest and longest length with 1 <= shortest <= longest, "
            f"got {shortest} and {longest}."
        )


def _make_vectorizer(
    unit: str, settings: LinearSettings, terms: list[str] | None = None
) -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer="word" if unit == "word" else "char_wb",
        ngram_range=getattr(settings, f"{unit}_ngrams"),
        min_df=1 if terms is not None else getattr(settings, f"{unit}_min_documents"),
        max_features=MAX_NGRAMS if terms is None else None,
        sublinear_tf=True,
        # why: a quarter of REDv2's tweets has no diacritics; folding won on its validation split.
        strip_accents="unicode",
        vocabulary=terms,
    )
