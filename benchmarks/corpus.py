"""The data of a benchmark: examples and their tokens, made once and read by every process.

Real where prepared examples are at hand, else of the recorded lengths. Tokenising happens here, so
that no side's seconds hold it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.jobs import split_name
from benchmarks.lengths import draw_texts
from distilro.corpora.examples import Examples, read_examples, write_examples
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.tokenization import encode, train_tokenizer
from distilro.training.epochs import TaskData

PREPARED = {"redv2": "redv2", "moroco": "moroco_vardial2019"}  # dataset -> its folder
SPLITS = ("train", "valid")

_SEED = 13  # of the rows taken where not all are


@dataclass(frozen=True)
class Split:
    """The texts of one split of one dataset."""

    examples: Examples
    tokens: RaggedTokens

    def to_task_data(self, teacher: np.ndarray | None = None) -> TaskData:
        """Return what the engine trains on."""
        return TaskData.join(self.examples, self.tokens, teacher)

    def take(self, rows: int) -> "Split":
        """Return `rows` of the texts, always the same ones."""
        taken = np.random.default_rng(_SEED).permutation(len(self.examples))[:rows]
        return Split(self.examples.select(taken), self.tokens.select(taken))


def make_corpus(
    work: Path, names: Sequence[str], *, prepared: Path, vocabulary: int, max_tokens: int
) -> dict[str, str]:
    """Write every set of `names` below `work`; return of each dataset whether it is real or drawn.

    Real texts are cut into pieces of one vocabulary, learned from the training texts of all
    datasets that are at hand. Where training rows are left away, so is the same share of the
    validation rows.
    """
    datasets = list(dict.fromkeys(split_name(name)[0] for name in names))
    real = _read_prepared(prepared, vocabulary, max_tokens)
    for name in names:
        dataset, rows = split_name(name)
        whole = real.get(dataset) or _draw(dataset, vocabulary)
        share = 1.0 if rows is None else min(1.0, rows / len(whole["train"].examples))
        for split, part in whole.items():
            taken = part.take(max(8, round(share * len(part.examples)))) if share < 1.0 else part
            write_split(work / name, split, taken)
    return {dataset: "real" if dataset in real else "drawn" for dataset in datasets}


def write_split(folder: Path, split: str, part: Split) -> None:
    """Write a split's examples and tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    write_examples(folder / f"{split}.parquet", part.examples)
    np.savez(folder / f"{split}.npz", ids=part.tokens.ids, offsets=part.tokens.offsets)


def read_split(folder: Path, split: str) -> Split:
    """Read what `write_split` wrote."""
    with np.load(folder / f"{split}.npz") as arrays:
        tokens = RaggedTokens(arrays["ids"], arrays["offsets"])
    return Split(read_examples(folder / f"{split}.parquet"), tokens)


def _read_prepared(prepared: Path, vocabulary: int, max_tokens: int) -> dict[str, dict[str, Split]]:
    """Return the splits of every dataset that is there, with their tokens."""
    found = {
        dataset: {split: read_examples(prepared / folder / f"{split}.parquet") for split in SPLITS}
        for dataset, folder in PREPARED.items()
        if (prepared / folder / "train.parquet").is_file()
    }
    if not found:
        return {}
    texts = [text for splits in found.values() for text in splits["train"].text]
    tokenizer = train_tokenizer(texts, vocabulary, lowercase=False)
    return {
        dataset: {
            split: Split(examples, encode(tokenizer, examples.text, max_tokens))
            for split, examples in splits.items()
        }
        for dataset, splits in found.items()
    }


def _draw(dataset: str, vocabulary: int) -> dict[str, Split]:
    return {
        split: Split(*draw_texts(dataset, split, rows=None, vocabulary=vocabulary, seed=_SEED))
        for split in SPLITS
    }
