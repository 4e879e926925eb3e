"""Draw the training examples of one task for one stage of a recipe."""

import argparse
import logging
from pathlib import Path
from typing import Annotated

from pydantic import Field

from distilro.artifacts import hash_file, write_json
from distilro.corpora.audit import find_dropped, read_audit, read_inputs
from distilro.corpora.examples import Examples, read_examples, write_examples
from distilro.corpora.mixtures import Draw, build_mixture
from distilro.errors import IntegrityError, SettingsError
from distilro.settings import Name, Section, Share, check_section

TRAINING_SPLIT = "train"

logger = logging.getLogger(__name__)


class MixSettings(Section):
    """One mixture: what is drawn from which dataset."""

    stage: dict[Name, Share] = Field(description="Language -> share drawn.", min_length=1)
    draw: int = Field(0, description="Another one takes other rows for the shares.", ge=0)
    datasets: dict[Name, Name] = Field(description="Language -> dataset.")
    caps: dict[Name, Annotated[int, Field(gt=0)]] = Field(
        default_factory=dict, description="Dataset -> most training rows taken from it."
    )
    salt: str = Field(description="Salt of the hash order in which rows are drawn.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the stage."""
    parser.add_argument("--settings", required=True, help="JSON: stage, draw, datasets, caps, salt")
    parser.add_argument("--prepared", required=True, type=Path, help="folder of prepared datasets")
    parser.add_argument("--audit", required=True, type=Path, help="Parquet file of the audit")
    parser.add_argument("--out", required=True, type=Path, help="Parquet file of the examples")
    parser.add_argument("--manifest", required=True, type=Path, help="JSON file of the counts")


def run(arguments: argparse.Namespace) -> None:
    """Build one mixture; write its examples and then its manifest."""
    settings = check_section(MixSettings, arguments.settings)
    missing = sorted(set(settings.stage) - set(settings.datasets))
    if missing:
        raise SettingsError(
            f"datasets: the stage asks for {missing}, for which no dataset is named; "
            f"there are: {settings.datasets}."
        )
    audit = read_audit(arguments.audit)
    inputs, parts, draws = {"audit": hash_file(arguments.audit)}, {}, {}
    for language, share in sorted(settings.stage.items()):
        dataset = settings.datasets[language]
        path = arguments.prepared / dataset / f"{TRAINING_SPLIT}.parquet"
        parts[language] = read_audited(path, dataset, read_inputs(audit))
        inputs[f"{dataset}/{TRAINING_SPLIT}"] = hash_file(path)
        draws[language] = Draw(share, settings.caps.get(dataset), settings.draw)
    examples, manifest = build_mixture(
        parts, draws, dropped=find_dropped(audit), salt=settings.salt
    )
    write_examples(arguments.out, examples)
    manifest |= {"settings": settings.model_dump(mode="json"), "inputs": inputs}
    write_json(arguments.manifest, manifest)
    logger.info("%s: %d rows, %s", arguments.out, manifest["rows"], manifest["labels"])


def read_audited(path: Path, dataset: str, audited: dict[str, str]) -> Examples:
    """Read training rows, refusing bytes that are not those that were audited."""
    examples = read_examples(path)
    expected, got = audited.get(f"{dataset}/{TRAINING_SPLIT}"), hash_file(path)
    if got != expected:
        raise IntegrityError(
            f"{path}: these rows were not audited; the audit saw SHA-256 {expected}, the file has "
            f"{got}. No mixture was written. Run the stage audit again with this dataset."
        )
    return examples
