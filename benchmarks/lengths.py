"""Recorded lengths of texts, and texts drawn from them where the real ones are not at hand.

lengths.json holds 101 quantiles of the token lengths of each dataset's training texts: no sentence
and no word of them. Drawn texts have random ids, and one token in four tells the label, so that a
model can learn it and a validation score means something. Make the file anew with

    python -m benchmarks.lengths --tokenizer ENCODER --train redv2=a.parquet moroco=b.parquet \
        --valid-rows redv2=543 moroco=584
"""

import argparse
from pathlib import Path

import numpy as np

from distilro.artifacts import read_json, write_json
from distilro.corpora.examples import Examples, Task, hash_text, read_examples
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.tokenization import encode, load_tokenizer

RECORDED = Path(__file__).with_name("lengths.json")

_MAX_TOKENS = 256
_POINTS = 101
_FIRST, _LAST = 2, 3  # [CLS] and [SEP] in a vocabulary of distilro
_TOLD_BY = 10  # tokens that tell one label, from id 10 on; all others tell nothing
_ONE_IN = 4


def record_lengths(path: Path, tokenizer: Path, valid_rows: int) -> dict:
    """Return what lengths.json says about one dataset, from its training examples."""
    loaded, examples = load_tokenizer(tokenizer), read_examples(path)
    lengths = encode(loaded, examples.text, _MAX_TOKENS).lengths
    points = np.linspace(0, 100, _POINTS)
    return {
        "task": examples.task.name,
        "kind": examples.task.kind,
        "labels": list(examples.task.labels),
        "train_rows": len(examples),
        "valid_rows": valid_rows,
        "vocabulary": len(loaded),
        "max_tokens": _MAX_TOKENS,
        "mean": round(float(lengths.mean()), 2),
        "quantiles": np.percentile(lengths, points, method="closest_observation").tolist(),
    }


def draw_lengths(dataset: str, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return `rows` lengths from the recorded distribution of a dataset, int64 [rows]."""
    quantiles = read_json(RECORDED)[dataset]["quantiles"]
    shares = np.linspace(0.0, 1.0, len(quantiles))
    return np.rint(np.interp(rng.random(rows), shares, quantiles)).astype(np.int64)


def draw_texts(
    dataset: str, split: str, *, rows: int | None, vocabulary: int, seed: int
) -> tuple[Examples, RaggedTokens]:
    """Return examples without words and their tokens, of recorded lengths.

    Args:
        dataset: a name in lengths.json.
        split: "train" or "valid".
        rows: how many; None is as many as the dataset has.
        vocabulary: ids are below it.
        seed: with dataset and split it decides everything.
    """
    known = read_json(RECORDED)[dataset]
    task = Task(known["task"], known["kind"], tuple(known["labels"]))
    rows = known[f"{split}_rows"] if rows is None else rows
    rng = np.random.default_rng((seed, len(dataset), len(split)))
    lengths = draw_lengths(dataset, rows, rng)
    labels = rng.integers(len(task.labels), size=rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = rng.integers(_TOLD_BY * (1 + len(task.labels)), vocabulary, size=offsets[-1])
    telling = rng.integers(_ONE_IN, size=len(ids)) == 0
    told = _TOLD_BY * (1 + np.repeat(labels, lengths)) + rng.integers(_TOLD_BY, size=len(ids))
    ids = np.where(telling, told, ids).astype(np.int32)
    ids[offsets[:-1]], ids[offsets[1:] - 1] = _FIRST, _LAST
    return _label(task, dataset, split, labels), RaggedTokens(ids, offsets)


def _label(task: Task, dataset: str, split: str, labels: np.ndarray) -> Examples:
    names = [f"{dataset} {split} {row}" for row in range(len(labels))]
    target = np.eye(len(task.labels), dtype=np.float32)[labels]
    return Examples(
        task=task,
        id=[hash_text(name) for name in names],
        text_hash=[hash_text(name) for name in names],
        text=names,
        text_pair=[None] * len(names),
        lang=["ro"] * len(names),
        dataset=[dataset] * len(names),
        split=[split] * len(names),
        source_row=names,
        target=target,
        observed=np.ones(target.shape, dtype=bool),
        votes=np.full(target.shape, np.nan, dtype=np.float32),
    )


def main() -> None:
    """Write lengths.json anew."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--tokenizer", required=True, type=Path, help="folder of an encoder")
    parser.add_argument("--train", required=True, nargs="+", help="DATASET=EXAMPLES.parquet")
    parser.add_argument("--valid-rows", required=True, nargs="+", help="DATASET=ROWS")
    arguments = parser.parse_args()
    valid = dict(part.split("=", 1) for part in arguments.valid_rows)
    recorded = {
        name: record_lengths(Path(path), arguments.tokenizer, int(valid[name]))
        for name, path in (part.split("=", 1) for part in arguments.train)
    }
    write_json(RECORDED, recorded)


if __name__ == "__main__":
    main()
