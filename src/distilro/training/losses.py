"""Losses per example: gold labels with sets and gaps, votes, teacher answers, and their mixtures.

Axes: B examples of one task, L labels. Every loss is one number per example [B], so that a caller
weighs examples as it likes. Softmax over labels in multi-class tasks, independent Bernoulli labels
in multi-label tasks, where terms are averaged over labels. Several teachers are made one before
(see `distillation.ensembles`), and tasks are weighed after (see `weighting`).
"""

import torch
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


def compute_teacher_loss(
    kind: str, logits: Tensor, teacher: Tensor, temperature: float = 1.0
) -> Tensor:
    """Return T^2 times the cross entropy of the student at temperature T with its teacher.

    A teacher answers for every label, so nothing is masked: where gold is silent it still teaches.
    Without T^2 the gradient would shrink with T^2, and the teacher's weight would mean less.

    Args:
        kind: "multi_class" or "multi_label".
        logits: the student's, [B, L], not yet divided by T.
        teacher: probabilities at temperature T already, [B, L].
        temperature: T, above 0.

    Source: Hinton et al. 2015, section 2; per-label Bernoulli form for multi-label tasks. Cross
        entropy and KL divergence differ by the teacher's entropy, which has no gradient.
    """
    logits = logits / temperature
    if kind == "multi_class":
        losses = -(teacher * functional.log_softmax(logits, dim=-1)).sum(dim=-1)  # [B]
    else:
        terms = functional.binary_cross_entropy_with_logits(logits, teacher, reduction="none")
        losses = terms.mean(dim=-1)  # [B, L] -> [B]
    return losses * temperature**2


def mix_losses(gold_loss: Tensor, teacher_loss: Tensor, teacher_weight: float) -> Tensor:
    """Return teacher_weight * teacher + (1 - teacher_weight) * gold, per example [B].

    At T = 1, for single gold labels that are all observed, this equals the loss against the mixed
    target.

    Source: Clark et al. 2019, "BAM!", section 3.3, where lambda = 1 - teacher_weight.
    """
    return teacher_weight * teacher_loss + (1.0 - teacher_weight) * gold_loss


def find_votes(kind: str, votes: Tensor) -> Tensor:
    """Return which examples have votes to learn from, bool [B].

    In a multi-class task someone must have voted; in a multi-label task "nobody chose any label"
    is an answer, too.

    Args:
        kind: "multi_class" or "multi_label".
        votes: [B, L] in [0, 1], NaN where a label has none.
    """
    if kind == "multi_class":
        return votes.nan_to_num().sum(dim=-1) > 0
    return ~votes.isnan().all(dim=-1)


def compute_votes_loss(kind: str, logits: Tensor, votes: Tensor, has_votes: Tensor) -> Tensor:
    """Return the cross entropy with the annotators' votes, 0 where there are none, [B].

    In a multi-class task the votes of an example are shared out to sum to 1; in a multi-label task
    the terms are averaged over the labels with votes.

    Args:
        kind: "multi_class" or "multi_label".
        logits: [B, L].
        votes: share of annotators who chose a label, [B, L] in [0, 1], NaN where it has none.
        has_votes: bool [B], as `find_votes` says.

    Source: Peterson et al. 2019, "Human uncertainty makes classification more robust": the targets
        are the distribution of the annotators' labels.
    """
    # subtle: NaN must be gone before the loss, since 0 * NaN would come back as a gradient.
    shares = votes.nan_to_num()
    if kind == "multi_label":
        observed = ~votes.isnan() & has_votes.unsqueeze(-1)  # [B, L]
        return compute_gold_loss(kind, logits, shares, observed)
    sums = torch.where(has_votes, shares.sum(dim=-1), 1.0)  # [B]
    losses = compute_teacher_loss(kind, logits, shares / sums.unsqueeze(-1))
    return losses * has_votes


def mix_votes(
    gold_loss: Tensor, votes_loss: Tensor, votes_weight: float, has_votes: Tensor
) -> Tensor:
    """Return votes_weight * votes + (1 - votes_weight) * gold, and gold where there are no votes.

    All are per example, [B]; an example without votes keeps its gold loss to the last bit. With a
    teacher, the mixture stands where `mix_losses` expects the gold loss.
    """
    mixed = votes_weight * votes_loss + (1.0 - votes_weight) * gold_loss
    return torch.where(has_votes, mixed, gold_loss)


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
