"""The optimiser and its schedule: AdamW, warm-up, linear decay, layer-wise rates.

Schedules are pure functions of (step, total). The loop itself is in engine.py.
"""

import re

import torch
from torch import nn

_LAYER = re.compile(r"\blayer\.(\d+)\.")


def scale_learning_rate(step: int, total_steps: int, warmup_share: float) -> float:
    """Return the factor of the highest learning rate at `step` of 0 .. total_steps - 1.

    Rises over the first warmup_share of the steps, then falls linearly and would reach 0 one step
    after the last. Source: Devlin et al. 2019, appendix A.2.

    >>> [round(scale_learning_rate(step, 10, 0.2), 3) for step in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.125]
    """
    warmup_steps = int(total_steps * warmup_share)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return (total_steps - step) / max(1, total_steps - warmup_steps)


def scale_by_depth(name: str, layers: int, layer_decay: float) -> float:
    """Return the learning-rate factor of a parameter: layer_decay ** (layers + 2 - depth).

    Depth is 0 for the embeddings, i + 1 for layer i and layers + 2 for the heads.
    Source: Clark et al. 2020, ELECTRA, appendix B; Clark et al. 2019, BAM's own settings.
    """
    found = _LAYER.search(name)
    if found:
        depth = int(found.group(1)) + 1
    else:
        depth = layers + 2 if name.startswith("heads.") else 0
    return layer_decay ** (layers + 2 - depth)


def build_optimiser(
    model: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> torch.optim.AdamW:
    """Return AdamW over the model's parameters, grouped by decay and by depth.

    Norms and biases (all parameters of fewer than two axes) are not decayed.
    Each group keeps its highest rate in "peak"; `set_learning_rate` scales it.
    """
    layers = 1 + max(
        (
            int(found.group(1))
            for name, _ in model.named_parameters()
            if (found := _LAYER.search(name))
        ),
        default=-1,
    )
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        decay = weight_decay if parameter.ndim > 1 else 0.0
        peak = learning_rate * scale_by_depth(name, layers, layer_decay)
        groups.setdefault((decay, peak), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "lr": peak, "peak": peak}
            for (decay, peak), parameters in groups.items()
        ],
        betas=betas,
        eps=eps,
        fused=True,
    )


def add_parameters(
    optimiser: torch.optim.Optimizer, module: nn.Module, learning_rate: float, weight_decay: float
) -> None:
    """Let an optimiser change a module's parameters, too, at its highest rate."""
    for parameter in module.parameters():
        decay = weight_decay if parameter.ndim > 1 else 0.0
        group = {"weight_decay": decay, "lr": learning_rate, "peak": learning_rate}
        optimiser.add_param_group({"params": [parameter], **group})


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's rate to `factor` times its peak."""
    for group in optimiser.param_groups:
        group["lr"] = factor * group["peak"]
