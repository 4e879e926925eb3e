"""Our side: distilro's engine, run as `python -m benchmarks.ours JOB.json ROW.json`.

One process trains all seeds of its job, one after the other, on data that is read once.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.answers import load_teacher, read_answers
from benchmarks.corpus import Split
from benchmarks.flops import count_parameters
from benchmarks.jobs import Job
from benchmarks.worker import Outcome, run_worker
from distilro.corpora.examples import Task
from distilro.errors import TrainingError
from distilro.evaluation.validation import score_logits
from distilro.modeling.allocation import keep_freed_memory
from distilro.modeling.forward import DropoutRates
from distilro.modeling.heads import Classifier, build_classifier, score_tokens
from distilro.modeling.precision import choose_device, choose_packing, choose_precision
from distilro.training.batches import BatchLimits
from distilro.training.engine import (
    Goal,
    LoopSettings,
    ScoreFunction,
    Training,
    train_classifier,
)
from distilro.training.objective import Objective, Targets
from distilro.training.weighting import build_weighting

_SCORING_TOKENS = 16_384  # tokens per validation batch, as the command `train` has it


def train_ours(job: Job, data: dict[str, dict[str, Split]]) -> list[Outcome]:
    """Train every seed of the job, with the allocator that the command `train` asks for."""
    keep_freed_memory()
    return [train_seed(job, data, build_ours(job, data, seed), seed) for seed in job.seeds]


def train_seed(
    job: Job, data: dict[str, dict[str, Split]], classifier: Classifier, seed: int
) -> Outcome:
    """Train a classifier in place; its seconds hold the reading of a teacher's answers."""
    watch = TeacherInLoop(load_teacher(job, classifier)) if job.side == "teacher_in_loop" else None
    if watch:
        classifier.register_forward_pre_hook(watch, with_kwargs=True)
    began = time.perf_counter()
    training = _train(job, data, classifier, seed)
    seconds = time.perf_counter() - began
    if watch and watch.calls < training.steps:
        raise TrainingError(
            f"The teacher was asked {watch.calls} times in {training.steps} steps: the engine does "
            "not call the classifier once a step any more. Nothing was written; adapt "
            "benchmarks/ours.py to the engine."
        )
    return Outcome(
        seconds=seconds,
        steps=training.steps,
        padding_share=training.padding_share,
        scores=[epoch["score"] for epoch in training.history],
        precision=_choose_precision(job),
        batch_examples=job.plan.batch_examples,
        attention_dropout=classifier.encoder_dropout.attention,
        parameters=count_parameters(classifier.encoder),
    )


def build_ours(job: Job, data: dict[str, dict[str, Split]], seed: int) -> Classifier:
    """Return distilro's classifier on the encoder that both sides start from."""
    return build_classifier(
        Path(job.work, "encoder"),
        list_tasks(data),
        pooling="mean",
        dropout=job.plan.dropout,
        encoder_dropout=DropoutRates(job.plan.encoder_dropout, job.plan.our_attention_dropout),
        seed=seed,
    ).to(choose_device(job.plan.device))


def describe_loop(job: Job, seed: int) -> LoopSettings:
    """Return the engine's settings: those of params.yaml where the comparison sets none.

    The only place that knows them.
    """
    plan, precision = job.plan, _choose_precision(job)
    return LoopSettings(
        epochs=plan.epochs,
        learning_rate=plan.learning_rate,
        limits=BatchLimits(plan.batch_examples, plan.batch_tokens),
        warmup_share=0.1,
        weight_decay=0.01,
        layer_decay=1.0,
        clip_norm=1.0,
        precision=precision,
        packed=choose_packing("auto", plan.device, precision, plan.our_attention_dropout),
        sampling="proportional",  # every example once an epoch, as the Trainer does
        seed=seed,
    )


def build_score(job: Job, data: dict[str, dict[str, Split]]) -> ScoreFunction:
    """Return the validation after each epoch, in the precision of the training."""

    def score(classifier: nn.Module) -> Mapping[str, float]:
        scores = {}
        for splits in data.values():
            examples, tokens = splits["valid"].examples, splits["valid"].tokens
            logits = score_tokens(
                classifier,
                examples.task.name,
                tokens,
                batch_tokens=_SCORING_TOKENS,
                precision=_choose_precision(job),
            )
            scores[examples.task.name] = score_logits(
                examples.task, logits, examples.target, examples.observed
            )
        return scores

    return score


def list_tasks(data: dict[str, dict[str, Split]]) -> list[Task]:
    """Return the task of each set, in their order."""
    return [splits["train"].examples.task for splits in data.values()]


class TeacherInLoop:
    """A hook that asks a teacher about every training batch before the student sees it.

    What is learned comes from the stored answers, which are the same numbers: only the cost of
    asking is added.
    """

    def __init__(self, teacher: Classifier) -> None:
        self.teacher = teacher
        self.calls = 0

    def __call__(self, student: nn.Module, args: tuple, kwargs: dict) -> None:
        """Run the teacher on a batch that the student is trained on."""
        if student.training:
            with torch.inference_mode():
                self.teacher(*args, **kwargs)
            self.calls += 1


def _train(
    job: Job, data: dict[str, dict[str, Split]], classifier: Classifier, seed: int
) -> Training:
    taught = job.side in ("store", "teacher_in_loop")
    answers: dict[str, np.ndarray] = read_answers(job, data) if taught else {}
    parts = [splits["train"].to_task_data(answers.get(name)) for name, splits in data.items()]
    weighting = build_weighting("fixed", [part.task.name for part in parts], {})
    objective = Objective(weighting, Targets(anneal="linear" if taught else None))
    goal = Goal(build_score(job, data), objective)
    return train_classifier(classifier, parts, describe_loop(job, seed), goal)


def _choose_precision(job: Job) -> str:
    return choose_precision("auto", job.plan.device)


if __name__ == "__main__":
    run_worker(train_ours)
