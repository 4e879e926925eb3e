"""Tests of one hypothesis, and of a family: McNemar's, the bootstrap's, Student's, Holm's.

Plain numbers in, plain numbers out: nothing here knows models, seeds or files, or what is done
with a p-value. B resamples.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr, stdtrit

from distilro.errors import DataError

POWER = 0.8  # share of true differences of the minimum detectable size that the test finds

_RESOLUTION = 5  # the smallest adjusted p-value is at most alpha divided by this
_TIE = 1e-12  # differences closer than this are equal: rounding decides nothing


def compute_mcnemar_p(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value that two models err on a row equally often.

    Of the rows that one model alone gets right, `only_first` belong to the first: under the null
    hypothesis that number is binomial with a half. Rows where both are right, or both wrong, say
    nothing. In [0, 1]; 1 where the models never differ; it underflows to 0 when a thousand rows
    and more all speak for one model.

    Source: McNemar (1947), Psychometrika 12; its exact form in Fagerland, Lydersen and Laake
    (2013), BMC Medical Research Methodology 13:91, section "The McNemar exact conditional test".

    Raises:
        DataError: a count is negative.

    >>> compute_mcnemar_p(1, 5)  # 2 (1 + 6) / 2 ** 6
    0.21875
    """
    fewer, rows = min(only_first, only_second), only_first + only_second
    if fewer < 0:
        raise DataError(f"McNemar's test: expected counts >= 0, got {only_first}, {only_second}.")
    ways = tail = 1  # whole numbers of any size: nothing is rounded before the division
    for successes in range(fewer):
        ways = ways * (rows - successes) // (successes + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**rows)


def compute_bootstrap_p(difference: float, resampled: np.ndarray) -> float:
    """Return the two-sided p-value of a difference [] from its resamples [B], in [1 / (B + 1), 1].

    The resamples, moved so that their centre is 0, stand for the differences that chance makes
    where there is none; p is the share of them at least as far from 0 as the observed one. The
    observed difference counts as one more of them, so that p is never 0.

    Source: Hall and Wilson (1991), Biometrics 47, first guideline (centre the resamples on the
    estimate); Phipson and Smyth (2010), "Permutation P-values Should Never Be Zero" (the added
    one).

    >>> compute_bootstrap_p(2.0, np.array([1.0, 2.0, 3.0, 4.5]))  # only 4.5 is 2 or more away
    0.4
    """
    extreme = np.abs(resampled - difference) >= abs(difference) - _TIE
    return (1 + int(extreme.sum())) / (1 + len(resampled))


def count_degrees(variance: float, parts: Sequence[tuple[float, int]]) -> float:
    """Return the degrees of freedom of a variance of which some parts were told by few values.

    Args:
        variance: of the whole; what is not among the parts was told by many values.
        parts: (variance, number of values that told it) of each.

    Returns:
        At least 1; infinite where no part varies.

    Source: Satterthwaite (1946), Biometrics Bulletin 2.

    >>> count_degrees(2.0, [(1.0, 5)])  # half of it from five values: 2 ** 2 / (1 ** 2 / 4)
    16.0
    """
    uncertainty = math.fsum(part**2 / (count - 1) for part, count in parts if count > 1)
    # subtle: by chance the whole may come out smaller than its parts.
    whole = max(variance, math.fsum(part for part, _ in parts))
    return whole**2 / uncertainty if uncertainty > 0 else math.inf


def compute_student_p(difference: float, standard_error: float, degrees: float) -> float:
    """Return the two-sided p-value of a difference whose standard error is itself uncertain.

    Source: Student (1908), Biometrika 6; `degrees` need not be whole.

    >>> round(compute_student_p(2.776, 1.0, 4.0), 3)
    0.05
    """
    if standard_error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stdtr(degrees, -abs(difference) / standard_error))


def find_student_quantile(probability: float, degrees: float) -> float:
    """Return what a Student variable of `degrees` stays below with a probability.

    >>> [round(find_student_quantile(0.975, degrees), 3) for degrees in (4.0, math.inf)]
    [2.776, 1.96]
    """
    return float(stdtrit(degrees, probability))


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values of a family, in the order given.

    Rejecting those below alpha errs anywhere in the family with a probability of alpha at most,
    however the tests depend on one another.

    Source: Holm (1979), Scandinavian Journal of Statistics 6.

    Raises:
        DataError: a p-value is outside [0, 1].

    >>> adjust_holm([0.03, 0.01, 0.04])
    [0.06, 0.03, 0.06]
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise DataError(f"Holm's correction: expected p-values in [0, 1], got {list(p_values)}.")
    adjusted, largest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[position]))
        adjusted[position] = largest
    return adjusted


def compute_minimum_detectable(
    standard_error: float, confidence: float, degrees: float = math.inf
) -> float:
    """Return the true difference that one two-sided test finds with a probability of `POWER`.

    The test is at alpha = 1 - `confidence`, uncorrected; the standard error has so many degrees of
    freedom.

    Source: Bloom (1995), Evaluation Review 19, "Minimum Detectable Effects"; Card et al. (2020),
    EMNLP, "With Little Power Comes Great Responsibility", on test sets of this size.

    >>> round(compute_minimum_detectable(0.01, 0.95), 4)  # (1.960 + 0.842) / 100
    0.028
    """
    wanted = ((1 + confidence) / 2, POWER)
    return math.fsum(find_student_quantile(one, degrees) for one in wanted) * standard_error


def count_resamples(asked: int, tests: int, confidence: float) -> int:
    """Return how many resamples a family needs: those asked for, or more where it is large.

    The smallest adjusted p-value is tests / (B + 1). Where that is not well below alpha, no
    difference could ever be found, however large: so it is made a small part of alpha.

    >>> count_resamples(1000, 4, 0.95), count_resamples(1000, 60, 0.95)
    (1000, 6000)
    """
    return max(asked, math.ceil(round(_RESOLUTION * tests / (1 - confidence), 6)))
