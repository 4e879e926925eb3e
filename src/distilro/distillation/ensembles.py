"""Ensembles: several teachers' logits on the same rows, made into the probabilities of one.

Any model takes part that answers with logits, the linear baseline like the encoders, since the
softmax or sigmoid of a logit means the same for all of them. Where logits and validation scores
come from is the caller's matter (see `teachers`).

Axes: N rows, L labels.
"""

from collections.abc import Sequence

import numpy as np

from distilro.errors import IntegrityError, SettingsError
from distilro.modeling.probabilities import compute_probabilities

ENSEMBLES = ("mean_probability", "mean_logit", "validation")


def combine_answers(
    kind: str,
    logits: Sequence[np.ndarray],
    *,
    how: str,
    temperature: float,
    weights: Sequence[float] | None,
) -> np.ndarray:
    """Return the probabilities of several teachers as one, at temperature T, float32 [N, L].

    Args:
        kind: "multi_class" or "multi_label".
        logits: each teacher's [N, L], one teacher at least.
        how: "mean_probability" averages the probabilities; "validation" does so with `weights`;
            "mean_logit" averages the logits, which is the normalised geometric mean of the
            probabilities (in a multi-label task, of a label's two).
        temperature: T, above 0, by which every logit is divided.
        weights: each teacher's validation score, in [0, 1] and not all 0, with "validation"; else
            None.

    Raises:
        IntegrityError: the teachers' logits are not of one shape.
        SettingsError: there is no such ensemble, or the weights do not fit it.

    Source: arithmetic and geometric mean, Hinton et al. 2015, section 1.

    >>> sure, unsure = np.array([[9.0, -9.0]]), np.array([[0.0, 0.0]])
    >>> for how in ("mean_probability", "mean_logit"):
    ...     combined = combine_answers(
    ...         "multi_label", [sure, unsure], how=how, temperature=1.0, weights=None
    ...     )
    ...     print([round(float(share), 2) for share in combined[0]])
    [0.75, 0.25]
    [0.99, 0.01]
    """
    _check(logits, how, weights)
    if how == "mean_logit":
        centred = [_centre(kind, answers) / temperature for answers in logits]
        return compute_probabilities(kind, np.mean(centred, axis=0))
    said = [
        compute_probabilities(kind, answers.astype(np.float64) / temperature) for answers in logits
    ]
    # subtle: averaged in float64, one teacher's float32 come back to the last bit at any weight.
    return np.average(np.float64(said), axis=0, weights=weights).astype(np.float32)


def _centre(kind: str, logits: np.ndarray) -> np.ndarray:
    """Return float64 [N, L] in which a multi-class row's largest logit is 0.

    A constant that is added to all logits of a row means nothing to a softmax, nor to the mean of
    several: taken away, a teacher with large constants costs the others no digits. It is the
    largest, which `compute_probabilities` takes away too, so that one teacher keeps every bit. A
    sigmoid has no such constant.
    """
    logits = logits.astype(np.float64)
    return logits - logits.max(axis=1, keepdims=True) if kind == "multi_class" else logits


def _check(logits: Sequence[np.ndarray], how: str, weights: Sequence[float] | None) -> None:
    shapes = {answers.shape for answers in logits}
    if len(shapes) != 1:
        raise IntegrityError(
            f"Expected one teacher or more with logits of one shape, got {sorted(shapes)}. "
            "Nothing was combined; run the stage logits again."
        )
    if how not in ENSEMBLES:
        raise SettingsError(f"ensemble: expected one of {', '.join(ENSEMBLES)}, got {how!r}.")
    if how != "validation":
        if weights is not None:
            raise SettingsError(f"ensemble: {how} takes no weights, got {list(weights)}.")
        return
    given = np.asarray([] if weights is None else weights, dtype=np.float64)
    if len(given) != len(logits) or not ((given >= 0) & (given <= 1)).all() or not given.any():
        raise SettingsError(
            f"ensemble: validation needs a score in [0, 1] for each of {len(logits)} teachers, "
            f"and one above 0; got {given.tolist()}. Nothing was combined; choose "
            "mean_probability, or look at the teachers' cards."
        )
