"""Join the texts that an encoder learns from, without those that touch a validation or test row."""

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from distilro.artifacts import hash_file, write_json
from distilro.commands.mix import read_audited
from distilro.corpora.audit import find_dropped, read_audit, read_inputs
from distilro.corpora.contained import find_touched
from distilro.corpora.copies import EVALUATION_SPLITS
from distilro.corpora.examples import read_examples
from distilro.corpora.mixtures import order_by_hash
from distilro.corpora.passages import Passages, read_passages, write_passages
from distilro.errors import DataError
from distilro.settings import Name, Section, Share, check_section

VERSION = 1

logger = logging.getLogger(__name__)


class JoinSettings(Section):
    """Which texts are joined; fields as in params.yaml, datasets by name."""

    training: tuple[Name, ...] = Field(description="Datasets whose training rows are read.")
    evaluation: tuple[Name, ...] = Field(description="Datasets whose other rows are kept out.")
    most_words: dict[Name, Annotated[int, Field(gt=0)]] = Field(
        default_factory=dict, description="Collection -> most words, drawn in hash order."
    )
    salt: str = Field(description="Salt of the hash order.")
    jaccard: Share = Field(description="Word-set Jaccard from which two texts are near duplicates.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the stage."""
    parser.add_argument("--settings", required=True, help="JSON of JoinSettings")
    parser.add_argument("--passages", nargs="*", type=Path, default=[], help="of each collection")
    parser.add_argument("--prepared", required=True, type=Path, help="folder of prepared datasets")
    parser.add_argument("--audit", required=True, type=Path, help="Parquet file of the audit")
    parser.add_argument("--out", required=True, type=Path, help="Parquet file of the texts")
    parser.add_argument("--summary", required=True, type=Path, help="JSON file of the counts")


def run(arguments: argparse.Namespace) -> None:
    """Draw, join and audit; write the texts and then what was counted."""
    settings = check_section(JoinSettings, arguments.settings)
    parts = [_draw(read_passages(path), settings) for path in arguments.passages]
    parts += _read_training(arguments, settings.training)
    joined = Passages.join(parts)
    if not len(joined):
        raise DataError(
            "There is no text to learn; expected collections or training rows. Nothing was "
            "written. Name collections in encoders.texts, or set corpora to true."
        )
    rows = _read_evaluation(arguments.prepared, settings.evaluation)
    touched = find_touched(joined.text, rows, jaccard=settings.jaccard)
    kept = joined.select([row for row in range(len(joined)) if row not in touched])
    write_passages(arguments.out, kept)
    summary = {
        "version": VERSION,
        "collections": _count(kept),
        "touched": dict(Counter(touched.values())),
        "touched_by_collection": dict(Counter(joined.collection[row] for row in touched)),
        "evaluation_rows": len(rows),
        "inputs": {path.stem: hash_file(path) for path in arguments.passages},
        "settings": settings.model_dump(mode="json"),
    }
    write_json(arguments.summary, summary)
    logger.info("%d texts, %d left out: they touch evaluation rows", len(kept), len(touched))


def _draw(passages: Passages, settings: JoinSettings) -> Passages:
    """Return a collection's passages in hash order, up to its most words."""
    if not len(passages):
        return passages
    most = settings.most_words.get(passages.collection[0])
    taken, words = [], 0
    for row in order_by_hash(passages.text, settings.salt).tolist():
        words += len(passages.text[row].split())
        if most is not None and words > most:
            break
        taken.append(row)
    return passages.select(taken)


def _read_training(arguments: argparse.Namespace, datasets: Sequence[str]) -> list[Passages]:
    """Return each dataset's training rows as passages, without those that the audit drops."""
    audit = read_audit(arguments.audit)
    dropped, audited = find_dropped(audit), read_inputs(audit)
    parts = []
    for name in datasets:
        examples = read_audited(arguments.prepared / name / "train.parquet", name, audited)
        rows = zip(examples.id, examples.text, examples.source_row, strict=True)
        distinct = sorted(
            {text: source for row, text, source in rows if row not in dropped}.items()
        )
        texts, sources = [text for text, _ in distinct], [source for _, source in distinct]
        count = len(texts)
        parts.append(Passages(texts, list(examples.lang[:1]) * count, [name] * count, sources))
    return parts


def _read_evaluation(prepared: Path, datasets: Sequence[str]) -> list[str]:
    """Return every text of the datasets' validation and test splits."""
    for name in datasets:
        if not (prepared / name).is_dir():
            raise DataError(
                f"{prepared / name} is missing; expected a prepared dataset whose validation and "
                "test rows are kept out. Nothing was written; run the stage prepare."
            )
    files = [f"{name}/{split}.parquet" for name in datasets for split in EVALUATION_SPLITS]
    # A dataset may have a test split alone.
    present = [prepared / file for file in files if (prepared / file).exists()]
    return [text for path in present for text in read_examples(path).text]


def _count(passages: Passages) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for name, text in zip(passages.collection, passages.text, strict=True):
        count = counts.setdefault(name, {"texts": 0, "words": 0})
        count["texts"] += 1
        count["words"] += len(text.split())
    return counts
