"""How far apart two languages lie in a model's features, told by a critic made for the purpose.

The features are frozen: a fresh critic learns on one part of the texts to tell the languages
apart, and what it found is measured on the other part. Its slope is at most 1, so that the gap is a
lower estimate of the Wasserstein distance, in a unit that models share. It trains no encoder; see
`distilro.training.adversary` for that.

Source: Arjovsky et al. 2017, equation 2; Miyato et al. 2018, "Spectral normalization for GANs".
Axes: N and M texts, H width of a feature vector.
"""

from math import prod, sqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from distilro.errors import DataError
from distilro.modeling.critic import Critic, build_critic, estimate_gap

STEPS = 500
HIDDEN = 128

_LEARNING_RATE = 5.0e-3
_BATCH_TEXTS = 128  # of each language in a step
_FITTED_SHARE = 0.5  # of each language's texts; the rest are measured on
_FEWEST_TEXTS = 4
_SMALLEST_DEVIATION = 1e-6  # of the largest value; below it an axis is constant but for rounding


def measure_gap(
    source: np.ndarray,
    target: np.ndarray,
    *,
    seed: int,
    steps: int = STEPS,
    hidden: int = HIDDEN,
) -> float:
    """Return how far apart two sets of features lie: about 0 where they are alike, about 2 at most.

    Both are first standardised together (see `_find_scale`): the unit is the root mean square
    distance of a text from the centre of both languages, so that models whose features differ in
    scale can be compared. Texts that the critic did not learn from are measured, so that chance
    differences count neither way and the gap of like sets may be slightly below 0.

    The result depends on its arguments alone; it is computed on the processor.

    Args:
        source: float32 [N, H].
        target: float32 [M, H].
        seed: decides the critic's first weights, its batches, and which texts it learns from.
        steps: of the critic.
        hidden: width of the critic's hidden layers.

    Raises:
        DataError: too few texts, widths that differ, or values that are not finite.
    """
    _check_features(source, target)
    rng = np.random.default_rng(seed)
    fitted, held_out = zip(*(_split(part, rng) for part in (source, target)), strict=True)
    centre, scale = _find_scale(*fitted)
    fitted, held_out = (
        [torch.from_numpy(((part - centre) / scale).astype(np.float32)) for part in parts]
        for parts in (fitted, held_out)
    )
    critic = _fit_critic(fitted, build_critic(source.shape[1], hidden, seed=seed), rng, steps)
    with torch.no_grad():
        return float(estimate_gap(critic, *held_out) / _bound_slope(critic))


def _fit_critic(
    features: list[Tensor], critic: Critic, rng: np.random.Generator, steps: int
) -> Critic:
    """Train `critic` to tell two languages' features apart, with a slope of about 1 at most."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))  # where the power iterations begin
        for layer in _list_linear(critic):
            spectral_norm(layer)
    optimiser = torch.optim.Adam(critic.parameters(), lr=_LEARNING_RATE, fused=True)
    for _ in range(steps):
        batch = [part[rng.integers(len(part), size=_BATCH_TEXTS)] for part in features]
        optimiser.zero_grad()
        (-estimate_gap(critic, *batch)).backward()
        optimiser.step()
    return critic.eval()


def _bound_slope(critic: Critic) -> Tensor:
    """Return the product of the layers' spectral norms: no slope of the critic is above it.

    Training only estimates the norms, so that this is close to 1 and not 1.
    """
    return prod(torch.linalg.matrix_norm(layer.weight, 2) for layer in _list_linear(critic))


def _list_linear(critic: Critic) -> list[nn.Linear]:
    return [layer for layer in critic.layers if isinstance(layer, nn.Linear)]


def _split(features: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    order = rng.permutation(len(features))
    cut = int(len(features) * _FITTED_SHARE)
    return features[order[:cut]], features[order[cut:]]


def _find_scale(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what to subtract and to divide by, float64 [H] each.

    Every axis gets mean 0 over both languages, which weigh the same whatever their sizes are, and
    variance 1 / H: no axis outweighs the others by its scale, and the mean square length is 1.
    """
    parts = [part.astype(np.float64) for part in (source, target)]
    centre = sum(part.mean(axis=0) for part in parts) / len(parts)
    variance = sum(((part - centre) ** 2).mean(axis=0) for part in parts) / len(parts)
    deviation = np.sqrt(variance)
    largest = max(np.abs(part).max() for part in parts)
    constant = deviation <= _SMALLEST_DEVIATION * largest
    return centre, np.where(constant, 1.0, deviation) * sqrt(source.shape[1])


def _check_features(source: np.ndarray, target: np.ndarray) -> None:
    shapes = f"{source.shape} and {target.shape}"
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:  # noqa: PLR2004
        raise DataError(
            f"Features of two languages: expected [N, H] and [M, H], got {shapes}. "
            "Pool both with the same model."
        )
    if min(len(source), len(target)) < _FEWEST_TEXTS:
        raise DataError(
            f"Features of two languages: expected {_FEWEST_TEXTS} texts of each or more, "
            f"got {len(source)} and {len(target)}. No gap was measured; give more texts."
        )
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise DataError(
            f"Features of two languages, {shapes}: expected finite numbers, got NaN or infinity. "
            "No gap was measured; look for the fault in the model that they come from."
        )
