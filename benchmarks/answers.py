"""A teacher's answers for the part `store`: written once to a warm logits store, read by students.

The teacher is a classifier of all tasks, of the students' own shape, trained as they are.
"""

from copy import deepcopy
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from benchmarks.corpus import Split
from benchmarks.jobs import Job
from distilro.artifacts import hash_file
from distilro.distillation.logits import TeacherIdentity, read_logits, write_logits
from distilro.modeling.encoders import write_weights
from distilro.modeling.heads import Classifier, score_tokens
from distilro.modeling.probabilities import compute_probabilities


def write_answers(job: Job, data: dict[str, dict[str, Split]], teacher: Classifier) -> None:
    """Write the teacher's weights and its logits on every training set of the job."""
    write_weights(_name_weights(job), teacher)
    identity = _identify(job)
    for name, splits in data.items():
        part = splits["train"]
        logits = score_tokens(teacher, part.examples.task.name, part.tokens)
        write_logits(
            _name_store(job, name), examples=part.examples, logits=logits, teacher=identity
        )


def read_answers(job: Job, data: dict[str, dict[str, Split]]) -> dict[str, np.ndarray]:
    """Return the stored probabilities of every training set, float32 [N, L], with all checks."""
    identity = _identify(job)
    answers = {}
    for name, splits in data.items():
        examples = splits["train"].examples
        logits = read_logits(_name_store(job, name), examples=examples, teacher=identity)
        answers[name] = compute_probabilities(examples.task.kind, logits).astype(np.float32)
    return answers


def load_teacher(job: Job, student: Classifier) -> Classifier:
    """Return the teacher on the student's device, frozen and in evaluation mode."""
    teacher = deepcopy(student)
    teacher.load_state_dict(load_file(_name_weights(job)))
    return teacher.requires_grad_(requires_grad=False).eval()


def _identify(job: Job) -> TeacherIdentity:
    return TeacherIdentity(
        recipe="benchmark",
        scope="all",
        seed=0,
        weights=hash_file(_name_weights(job)),
        tokenizer="",
        max_tokens=job.plan.max_tokens,
    )


def _name_weights(job: Job) -> Path:
    return Path(job.work, "teacher", "model.safetensors")


def _name_store(job: Job, name: str) -> Path:
    return Path(job.work, "teacher", f"{name}.safetensors")
