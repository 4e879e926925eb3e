"""A language critic: a small network that scores a text's features, high for one of two languages.

The difference of its mean scores estimates how far apart the languages lie, as long as something
keeps it from scoring steeply: a bound on its weights, or a penalty on its slope. It does not choose
texts, compute features or know which language is which; see `training.adversary`.

Source: Chen et al. 2018, "Adversarial deep averaging networks for cross-lingual text
classification", section 3.2; Arjovsky et al. 2017, "Wasserstein GAN".
Axes: B texts, H width of a feature vector.
"""

import torch
from torch import Tensor, nn

# Of a negative input. subtle: bounded weights can shut a plain ReLU for every text, for good.
_LEAK = 0.2


class Critic(nn.Module):
    """Two hidden layers and one number.

    It has no batch normalisation: the languages come in batches of their own, so each would be
    standardised on its own statistics, and the very shift that is looked for would be gone.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.LeakyReLU(_LEAK),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(_LEAK),
            nn.Linear(hidden, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return a score for each text, float32 [B], of float32 [B, H]."""
        return self.layers(features).squeeze(-1)

    @torch.no_grad()
    def clip_weights(self, bound: float) -> None:
        """Bring each of the critic's own weights and biases into [-bound, bound]; NaN stays NaN.

        Source: Arjovsky et al. 2017, algorithm 1.
        """
        for parameter in self.parameters():
            parameter.clamp_(-bound, bound)


def build_critic(width: int, hidden: int, *, seed: int) -> Critic:
    """Return a fresh critic; the seed alone decides its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Critic(width, hidden)


def estimate_gap(critic: nn.Module, source: Tensor, target: Tensor) -> Tensor:
    """Return W = mean Q(source) - mean Q(target), scalar, for features [B, H] of either language.

    Source: Chen et al. 2018, equation 3.
    """
    scores = critic(torch.cat([source, target]))
    return scores[: len(source)].mean() - scores[len(source) :].mean()


def penalise_slope(critic: nn.Module, source: Tensor, target: Tensor, shares: Tensor) -> Tensor:
    """Return the mean of (|gradient of Q| - 1) ** 2 at points between the languages, scalar.

    Args:
        critic: Q.
        source: features [B, H].
        target: features [B, H], as many.
        shares: float32 [B, 1] in [0, 1], how much of the source is in each point.

    Source: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", equation 3.
    """
    points = (shares * source + (1.0 - shares) * target).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)  # [B, H]
    return (torch.linalg.vector_norm(gradient, dim=1) - 1.0).square().mean()
