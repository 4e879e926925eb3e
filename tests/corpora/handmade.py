"""Examples written in a test: what the stages read, without any corpus."""

from collections.abc import Sequence

import numpy as np

from distilro.corpora.examples import Examples, Task, hash_text, identify_example

TOPIC = Task("topic", "multi_class", ("culture", "politics", "sports"))
SENTIMENT = Task("sentiment", "multi_class", ("negative", "positive"))
EMOTION = Task("emotion", "multi_label", ("sadness", "joy", "trust"))


def make_examples(
    rows: Sequence[tuple[str, str]],
    dataset: str = "handmade",
    split: str = "train",
    *,
    task: Task = TOPIC,
    lang: str = "ro",
    never_observed: Sequence[str] = (),
) -> Examples:
    """Return examples from (text, labels joined by |)."""
    texts = [text for text, _ in rows]
    target = [[label in labels.split("|") for label in task.labels] for _, labels in rows]
    observed = [label not in never_observed for label in task.labels]
    shape = (len(rows), len(task.labels))
    return Examples(
        task=task,
        id=[identify_example(dataset, split, str(row), text) for row, text in enumerate(texts)],
        text_hash=[hash_text(text) for text in texts],
        text=texts,
        text_pair=[None] * len(rows),
        lang=[lang] * len(rows),
        dataset=[dataset] * len(rows),
        split=[split] * len(rows),
        source_row=[f"handmade:{row}" for row in range(len(rows))],
        target=np.array(target, dtype=np.float32).reshape(shape),
        observed=np.tile(np.array(observed, dtype=bool), (len(rows), 1)),
        votes=np.full(shape, np.nan, dtype=np.float32),
    )


def number_texts(count: int, dataset: str = "handmade", **keywords) -> Examples:
    """Return `count` rows with different texts, labels taking turns."""
    labels = keywords.get("task", TOPIC).labels
    rows = [(f"{dataset} row{row}", labels[row % len(labels)]) for row in range(count)]
    return make_examples(rows, dataset, **keywords)
