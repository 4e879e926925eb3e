"""Losses per example: gold labels with sets and gaps, teacher answers, and their mixture.

Axes: B examples of one task, L labels. Every function returns one loss per example [B], so that a
caller weighs examples as it likes. Softmax over labels in multi-class tasks, independent Bernoulli
labels in multi-label tasks, where terms are averaged over labels. No temperature: T = 1, as in
born-again multi-task distillation.
"""

from torch import Tensor
from torch.nn import functional

LOWEST = -1e30  # stands for log 0 where an infinity would make the gradient NaN


def compute_gold_loss(kind: str, logits: Tensor, target: Tensor, observed: Tensor) -> Tensor:
    """Return the loss against gold labels.

    A multi-class target is a set of labels of which one is true: the loss is the negative log of
    the set's total probability. A multi-label target counts only where it is observed, and is
    averaged over the observed labels, so that a partly observed example weighs as much as a full
    one; an example with nothing observed has loss 0.

    Args:
        kind: "multi_class" or "multi_label".
        logits: [B, L].
        target: [B, L] of 0 and 1.
        observed: [B, L] bool; all True in a multi-class task.

    Source: label sets, Jin and Ghahramani 2002, "Learning with Multiple Labels", eq. 2, in its
        marginal-likelihood form.
    """
    if kind == "multi_class":
        log_probability = functional.log_softmax(logits, dim=-1)  # [B, L]
        return -log_probability.masked_fill(target <= 0, LOWEST).logsumexp(dim=-1)  # [B]
    terms = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")  # [B, L]
    counts = observed.sum(dim=-1).clamp(min=1)  # [B]
    return (terms * observed).sum(dim=-1) / counts


def compute_teacher_loss(kind: str, logits: Tensor, teacher: Tensor) -> Tensor:
    """Return the cross entropy of the student with a teacher's probabilities [B, L].

    A teacher answers for every label, so nothing is masked: where gold is silent it still teaches.

    Source: Hinton et al. 2015, section 2, at T = 1; per-label Bernoulli form for multi-label tasks.
    """
    if kind == "multi_class":
        return -(teacher * functional.log_softmax(logits, dim=-1)).sum(dim=-1)  # [B]
    terms = functional.binary_cross_entropy_with_logits(logits, teacher, reduction="none")  # [B, L]
    return terms.mean(dim=-1)


def mix_losses(gold_loss: Tensor, teacher_loss: Tensor, teacher_weight: float) -> Tensor:
    """Return teacher_weight * teacher + (1 - teacher_weight) * gold, per example [B].

    For single gold labels that are all observed this equals the loss against the mixed target.

    Source: Clark et al. 2019, "BAM!", section 3.3, where lambda = 1 - teacher_weight.
    """
    return teacher_weight * teacher_loss + (1.0 - teacher_weight) * gold_loss


def compute_teacher_weight(anneal: str | float | None, step: int, total_steps: int) -> float:
    """Return the teacher's weight at `step` of 0 .. total_steps - 1, one clock for all tasks.

    "linear" falls from 1 at the first step to 1 / total_steps at the last; a number is constant;
    None means that there is no teacher.

    Source: Clark et al. 2019, section 3.3: lambda = step / total_steps, also through the warm-up.

    >>> [compute_teacher_weight("linear", step, 4) for step in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """
    if anneal is None:
        return 0.0
    return 1.0 - step / total_steps if anneal == "linear" else float(anneal)
