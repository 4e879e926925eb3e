"""Distil a smaller encoder from one or several encoders on plain texts, before it knows any task.

A distillation that is stopped leaves a checkpoint, and the same command goes on from it.
"""

import argparse
import logging
from pathlib import Path

import torch

from distilro.artifacts import hash_file, hash_json
from distilro.cards import list_versions, record_run
from distilro.corpora.passages import read_passages
from distilro.devices import add_device_arguments, claim_device
from distilro.modeling.allocation import keep_freed_memory
from distilro.modeling.encoders import WEIGHTS, load_masked_model, save_encoder
from distilro.modeling.precision import choose_device, choose_precision
from distilro.modeling.students import shrink_masked_model
from distilro.modeling.tokenization import load_tokenizer
from distilro.settings import Section, check_section
from distilro.student_settings import EncoderDistillationSettings
from distilro.training.checkpoints import Checkpoints
from distilro.training.encoder_distillation import distil_encoder
from distilro.training.lessons import check_vocabularies

logger = logging.getLogger(__name__)


class StudentEncoderSettings(Section):
    """What a student encoder depends on besides files."""

    distillation: EncoderDistillationSettings
    seed: int
    half: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--name", required=True, help="of the student, for its record")
    parser.add_argument("--settings", required=True, help="JSON of StudentEncoderSettings")
    parser.add_argument(
        "--teachers", required=True, type=Path, nargs="+", help="folders; the first one is shrunk"
    )
    parser.add_argument("--texts", required=True, type=Path, help="Parquet file of the texts")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--records", required=True, type=Path, help="folder of run records")
    parser.add_argument("--checkpoints", required=True, type=Path, help="folder to keep them in")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=30.0, help="least time between checkpoints"
    )
    add_device_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Shrink the first teacher, distil, and write the student's folder."""
    settings = check_section(StudentEncoderSettings, arguments.settings)
    with (
        claim_device(arguments.gpus) as claimed,
        record_run(arguments.records, "student", arguments.name, arguments.threads) as record,
    ):
        torch.set_num_threads(arguments.threads)
        keep_freed_memory()
        record["device"] = choose_device(claimed)
        checkpoints = _make_student(settings, arguments, record["device"])
        record["resumed"] = {"distillation": step} if (step := checkpoints.resumed_at) else {}
        record["earlier_seconds"] = checkpoints.earlier_seconds
        checkpoints.clear()


def _make_student(
    settings: StudentEncoderSettings, arguments: argparse.Namespace, device: str
) -> Checkpoints:
    """Write the student's folder, and return the checkpoints that are of no use any more."""
    folders = arguments.teachers
    tokenizers = [load_tokenizer(folder) for folder in folders]
    check_vocabularies(tokenizers)
    teachers = [_load_teacher(folder, device) for folder in folders]
    asked = settings.distillation
    student = shrink_masked_model(teachers[0], asked.student, seed=settings.seed)
    origin = {
        "settings": settings.model_dump(mode="json"),
        "teachers": [hash_file(folder / WEIGHTS) for folder in folders],
        "texts": hash_file(arguments.texts),
        "versions": list_versions(),
    }
    precision = choose_precision(asked.precision, device)
    checkpoints = Checkpoints(
        arguments.checkpoints,
        hash_json({**origin, "precision": precision}),
        seconds=arguments.checkpoint_seconds,
    )
    texts = sorted(set(read_passages(arguments.texts).text))
    distillation = distil_encoder(
        student.to(device),
        teachers,
        tokenizers[0],
        texts,
        asked,
        settings.seed,
        checkpoints=checkpoints,
    )
    card = {**origin, "distillation": distillation}
    save_encoder(arguments.out, student, tokenizers[0], card, half=settings.half)
    return checkpoints


def _load_teacher(folder: Path, device: str) -> torch.nn.Module:
    model, has_head = load_masked_model(folder)
    if not has_head:
        logger.warning(
            "%s has no head for masked tokens: its answers mean nothing until it is adapted.",
            folder,
        )
    return model.to(device)
