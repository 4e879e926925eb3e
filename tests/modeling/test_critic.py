import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from distilro.modeling.critic import Critic, build_critic, estimate_gap, penalise_slope


class FirstAxis(nn.Module):
    """A critic that is known: `slope` times the first of a text's features."""

    def __init__(self, slope=1.0):
        super().__init__()
        self.slope = slope

    def forward(self, features):
        return self.slope * features[:, 0]


def train(shift, *, steps=300, bound=None, penalty=None, seed=0):
    """Return a critic of two Gaussians `shift` apart, and W on texts that it did not learn from."""
    rng = np.random.default_rng(seed)
    critic = build_critic(4, 16, seed=seed)
    optimiser = torch.optim.Adam(critic.parameters(), lr=5e-3)

    def draw(rows):
        source, target = torch.from_numpy(rng.normal(size=(2, rows, 4)).astype(np.float32))
        return source + torch.tensor([shift, 0, 0, 0]), target

    for _ in range(steps):
        source, target = draw(64)
        loss = -estimate_gap(critic, source, target)
        if penalty is not None:
            shares = torch.from_numpy(rng.random((64, 1), np.float32))
            loss = loss + penalty * penalise_slope(critic, source, target, shares)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if bound is not None:
            critic.clip_weights(bound)
    with torch.no_grad():
        return critic, float(estimate_gap(critic, *draw(4000)))


def test_a_text_gets_one_number():
    scores = build_critic(4, 16, seed=0)(torch.zeros(5, 4))
    assert scores.shape == (5,)
    assert scores.dtype == torch.float32


def test_a_score_depends_on_its_own_text_alone():
    critic = build_critic(4, 16, seed=0).train()
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(critic(features)[2:3], critic(features[2:3]))


def test_no_layer_standardises_a_batch():
    kinds = {type(module) for module in Critic(4, 16).modules()}
    assert kinds == {Critic, nn.Sequential, nn.Linear, nn.LeakyReLU}
    assert not list(Critic(4, 16).buffers())  # running statistics would be buffers


def test_standardising_each_language_would_hide_a_shift():
    """Why there is no batch normalisation: the gap between shifted languages is gone with it."""
    plain = build_critic(4, 16, seed=0)
    standardising = nn.Sequential(nn.BatchNorm1d(4), plain).train()
    target = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        gap = estimate_gap(plain, target + 3.0, target)
        hidden = standardising(target + 3.0).mean() - standardising(target).mean()
    assert abs(float(gap)) > 1000 * abs(float(hidden))


def test_the_seed_alone_decides_the_weights():
    first = build_critic(4, 16, seed=3)
    torch.rand(7)
    again, other = build_critic(4, 16, seed=3), build_critic(4, 16, seed=4)
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
        assert not torch.equal(weight, other.state_dict()[name])


def test_building_a_critic_leaves_the_global_random_numbers_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build_critic(4, 16, seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_the_gap_is_the_difference_of_mean_scores():
    """Means of 1, 3 and of 5, 6, 7 are 2 and 6, and the gap is -4."""
    source, target = torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [6.0], [7.0]])
    assert float(estimate_gap(FirstAxis(), source, target)) == -4.0


def test_clipping_by_hand():
    critic, values = Critic(1, 1), (0.5, -0.5, 0.02, -0.02, 0.0, 0.01)
    with torch.no_grad():
        for parameter, value in zip(critic.parameters(), values, strict=True):
            parameter.fill_(value)
    critic.clip_weights(0.02)
    clipped = [value.item() for value in critic.parameters()]
    assert clipped == pytest.approx([0.02, -0.02, 0.02, -0.02, 0.0, 0.01])


def test_clipping_does_not_hide_what_is_not_finite():
    critic = build_critic(4, 16, seed=0)
    with torch.no_grad():
        critic.layers[0].weight[0, 0] = float("nan")
    critic.clip_weights(0.01)
    assert torch.isnan(critic(torch.ones(1, 4))).all()


@pytest.mark.parametrize(("slope", "expected"), [(1.0, 0.0), (3.0, 4.0), (0.0, 1.0)])
def test_the_penalty_by_hand(slope, expected):
    """A slope of 3 is 2 too steep, and the penalty is 2 squared."""
    source, target = torch.ones(5, 4), torch.zeros(5, 4)
    penalty = penalise_slope(FirstAxis(slope), source, target, torch.full((5, 1), 0.5))
    assert float(penalty) == pytest.approx(expected, abs=1e-6)


@given(share=st.floats(0, 1, width=32), seed=st.integers(0, 100))
@settings(max_examples=30)
def test_the_penalty_looks_at_points_between_the_languages(share, seed):
    seen = []

    class Witness(FirstAxis):
        def forward(self, features):
            seen.append(features.detach())
            return super().forward(features)

    source, target = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed))
    penalise_slope(Witness(), source, target, torch.full((3, 1), share))
    torch.testing.assert_close(seen[0], torch.lerp(target, source, share))


def test_the_penalty_reaches_the_critic_and_not_the_features():
    critic = build_critic(4, 16, seed=0)
    features = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    penalise_slope(critic, *features, torch.full((3, 1), 0.5)).backward()
    assert features.grad is None
    assert float(critic.layers[0].weight.grad.abs().sum()) > 0


@pytest.mark.parametrize("limit", [{"bound": 0.1}, {"penalty": 10.0}])
def test_a_critic_tells_shifted_gaussians_apart_the_better_the_farther(limit):
    gaps = [train(shift, **limit)[1] for shift in (0.0, 1.0, 4.0)]
    assert abs(gaps[0]) < 0.05
    assert gaps[0] + 0.05 < gaps[1] < gaps[2] / 2


def test_under_the_penalty_the_critic_reaches_its_known_best():
    """Of a slope s between Gaussians a shift of 2 apart: 2 s - 10 (s - 1) ** 2 is highest at 1.1.

    W is then 1.1 times the Wasserstein distance, which is the shift.
    """
    critic, gap = train(2.0, penalty=10.0)
    points = torch.randn(500, 4, generator=torch.Generator().manual_seed(1)) + 1.0
    points.requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(points).sum(), points)
    slopes = gradient.norm(dim=1)
    assert float(slopes.mean()) == pytest.approx(1.1, abs=0.05)
    assert float(slopes.std()) < 0.1
    assert gap == pytest.approx(2.2, abs=0.1)
