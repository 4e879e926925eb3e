"""The data part of the page: corpora, labels, copies found by the audit, and mixtures.

Counts only: no row of a corpus ever stands on the page.
"""

from collections.abc import Mapping, Sequence

from distilro.corpora.registry import SPLITS
from distilro.delivery.inputs import Corpus, Source
from distilro.delivery.results import LANGUAGES
from distilro.delivery.tables import Cell, Table, write_count, write_words


def build_corpora(corpora: Sequence[Corpus]) -> Table:
    """Return the table of datasets: task, language, rows per split, licence and notes."""
    rows = []
    for corpus in corpora:
        dataset = corpus.dataset
        counts = _count_rows(corpus)
        rows.append(
            [
                Cell(dataset.title, note=dataset.name),
                *write_words(dataset.task, LANGUAGES[dataset.language]),
                *(_write_optional(counts.get(split)) for split in SPLITS),
                *write_words(dataset.licence, dataset.notes),
            ]
        )
    head = write_words("dataset", "task", "language", *SPLITS, "licence", "notes")
    return Table("Corpora, rows per split", head, rows)


def build_labels(corpora: Sequence[Corpus]) -> list[Table]:
    """Return a table per dataset: how many rows of each split have each label."""
    tables = []
    for corpus in corpora:
        splits = corpus.summary.open("splits")
        counts = {split: splits.open(split) for split in SPLITS if split in splits.values}
        labels = dict.fromkeys(
            label for count in counts.values() for label in count.open("labels").values
        )
        rows = [
            [Cell(label), *(_write_label(count, label) for count in counts.values())]
            for label in labels
        ]
        caption = f"{corpus.dataset.title}: rows with each label"
        tables.append(Table(caption, write_words("label", *counts), rows))
    return tables


def build_texts(corpora: Sequence[Corpus]) -> Table:
    """Return the table of text statistics of every split, whatever the summaries count."""
    texts = {
        (corpus.dataset.name, split): corpus.summary.open("splits").open(split).open("texts")
        for corpus in corpora
        for split in SPLITS
        if split in corpus.summary.get("splits")
    }
    statistics = list(dict.fromkeys(name for source in texts.values() for name in source.values))
    rows = [
        [Cell(name, note=split), *(_write_statistic(source.values.get(key)) for key in statistics)]
        for (name, split), source in texts.items()
    ]
    head = write_words("dataset and split", *(key.replace("_", " ") for key in statistics))
    return Table("Texts: rows with each property, and lengths in words", head, rows)


def build_mixtures(manifests: Mapping[str, Source]) -> Table:
    """Return the table of mixtures (name -> manifest): where the rows of each dataset went."""
    counts = ("available_rows", "dropped_rows", "over_cap_rows", "over_share_rows", "rows")
    rows = []
    for name, manifest in manifests.items():
        datasets = manifest.open("datasets")
        for dataset in sorted(datasets.values):
            account = datasets.open(dataset)
            cells = [write_count(account.get(count)) for count in counts]
            rows.append([*write_words(name, dataset), *cells])
    head = [
        *write_words("mixture", "dataset", "training rows"),
        Cell("dropped", note="by the audit"),
        Cell("left out", note="over the cap"),
        Cell("left out", note="over the share"),
        Cell("used"),
    ]
    return Table("Training mixtures", head, rows)


def build_copies(audit: Source) -> Table:
    """Return the table of splits that share texts with another split."""
    columns = ("exact_rows", "near_rows", "other_touched_rows", "conflicting_pairs")
    rows = [
        [_write_place(pair), _write_place(pair, "other_"), *_write_counts(pair, columns)]
        for pair in audit.list("pairs")
        if _name_place(pair) != _name_place(pair, "other_")
    ]
    head = [
        *write_words("split", "shares texts with"),
        Cell("exact copies", note="rows of the first"),
        Cell("near copies", note="rows of the first"),
        Cell("touched", note="rows of the second"),
        Cell("conflicts", note="pairs whose labels differ"),
    ]
    return Table("Copies between splits", head, rows)


def build_repeats(audit: Source) -> Table:
    """Return the table of splits that repeat texts inside; of a pair, the second is the copy."""
    columns = ("other_exact_rows", "other_near_rows", "conflicting_pairs")
    rows = [
        [_write_place(pair), *_write_counts(pair, columns)]
        for pair in audit.list("pairs")
        if _name_place(pair) == _name_place(pair, "other_")
    ]
    head = [
        *write_words("split", "exact copies", "near copies"),
        Cell("conflicts", note="pairs whose labels differ"),
    ]
    return Table("Copies inside splits", head, rows)


def build_dropped(audit: Source) -> Table:
    """Return the table of training rows that were dropped because they touch a test."""
    rows = []
    for name, values in sorted(audit.open("dropped").values.items()):
        count = Source(f"{audit.where}: dropped.{name}", values)
        total, dropped = count.get("training_rows"), count.get("dropped_rows")
        rows.append([Cell(name), write_count(total), write_count(dropped, total)])
    head = write_words("dataset", "training rows", "dropped")
    return Table("Training rows dropped: copies of validation or test rows", head, rows)


def _write_label(count: Source, label: str) -> Cell:
    total = count.get("rows")
    if count.open("unobserved").values.get(label, 0) == total:
        return Cell("not observed", kind="missing")
    return write_count(count.open("labels").get(label), total)


def _name_place(pair: Source, side: str = "") -> tuple[str, str]:
    return pair.get(f"{side}dataset"), pair.get(f"{side}split")


def _write_place(pair: Source, side: str = "") -> Cell:
    dataset, split = _name_place(pair, side)
    return Cell(dataset, note=split)


def _write_counts(pair: Source, names: Sequence[str]) -> list[Cell]:
    return [write_count(pair.get(name)) for name in names]


def _count_rows(corpus: Corpus) -> dict[str, int]:
    splits = corpus.summary.open("splits")
    return {split: splits.open(split).get("rows") for split in splits.values}


def _write_optional(count: int | None) -> Cell:
    return Cell("–", kind="missing") if count is None else write_count(count)


def _write_statistic(value: float | None) -> Cell:
    return _write_optional(value) if value is None else Cell(f"{round(value, 2):,}", kind="number")
