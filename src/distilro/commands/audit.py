"""Find copies of rows across all splits and datasets of a scenario."""

import argparse
import logging
from pathlib import Path
from typing import Annotated

from pydantic import Field

from distilro.artifacts import hash_file, write_json
from distilro.corpora.audit import summarise_dropped, summarise_pairs, write_audit
from distilro.corpora.copies import find_pairs
from distilro.corpora.examples import read_examples
from distilro.errors import DataError
from distilro.settings import Section, check_section

SUMMARY_VERSION = 1

logger = logging.getLogger(__name__)


class AuditSettings(Section):
    """What the audit takes for a near copy."""

    jaccard: Annotated[float, Field(gt=0, le=1)] = Field(
        description="Word-set Jaccard similarity from which two texts are near copies."
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the stage."""
    parser.add_argument("--settings", required=True, help='JSON, such as {"jaccard": 0.6}')
    parser.add_argument(
        "--prepared", required=True, nargs="+", type=Path, help="folders of prepared datasets"
    )
    parser.add_argument("--out", required=True, type=Path, help="Parquet file of the pairs")
    parser.add_argument("--summary", required=True, type=Path, help="JSON file of the counts")


def run(arguments: argparse.Namespace) -> None:
    """Audit every split of the prepared datasets; write the pairs and then their summary."""
    settings = check_section(AuditSettings, arguments.settings)
    files = list_splits(arguments.prepared)
    inputs = {name: hash_file(path) for name, path in files.items()}
    parts = [read_examples(path) for path in files.values()]
    pairs = find_pairs(parts, jaccard=settings.jaccard)
    dropped = summarise_dropped(pairs, parts)
    write_audit(arguments.out, pairs, jaccard=settings.jaccard, inputs=inputs)
    summary = {
        "version": SUMMARY_VERSION,
        "jaccard": settings.jaccard,
        "inputs": inputs,
        "rows": {name: len(part) for name, part in zip(files, parts, strict=True)},
        "pairs": summarise_pairs(pairs),
        "dropped": dropped,
    }
    write_json(arguments.summary, summary)
    for dataset, counts in dropped.items():
        logger.info(
            "%s: %d of %d training rows touch a validation or test row and are dropped",
            dataset,
            counts["dropped_rows"],
            counts["training_rows"],
        )


def list_splits(folders: list[Path]) -> dict[str, Path]:
    """Return the files of prepared datasets as "<dataset>/<split>", sorted by that name."""
    files = {}
    for folder in sorted(set(folders)):
        found = sorted(folder.glob("*.parquet"))
        if not found:
            raise DataError(f"{folder} holds no split (*.parquet). Run the stage prepare for it.")
        files |= {f"{folder.name}/{path.stem}": path for path in found}
    return dict(sorted(files.items()))
