"""Readers of the English corpora (readers.py says what a reader is and lists them all)."""

from pathlib import Path

from distilro.corpora.rows import (
    Dropped,
    Reading,
    Row,
    check_text,
    read_lines,
    read_table,
    skip_header,
)
from distilro.errors import DataError

AG_NEWS_CLASSES = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}
_AG_NEWS_HEADER = ["class_index", "title", "description"]
_SPREADSHEET_ERROR = "#NAME?"  # what a spreadsheet made of a title that began with a dash
_SENTENCE_END = (".", "?", "!", "…", ":", ";")
_SST2_CLASSES = {"0": "negative", "1": "positive"}
# The sentence version's own spelling of signs that GLUE writes plainly.
_SST2_TOKENS = {"-lrb-": "(", "-rrb-": ")", "\\/": "/"}


def read_carer(folder: Path) -> Reading:
    """Read Emotion (CARER): lines of `text;label`, with or without a header line."""
    splits = {}
    for split, source in (("train", "train"), ("valid", "val"), ("test", "test")):
        path = folder / f"{source}.txt"
        table = read_table(path, 2, delimiter=";", quoted=False)
        splits[split] = [
            Row(check_text(text, where), (label,), where, stratum=label)
            for where, (text, label) in table
            if not (where == f"{path.name}:1" and (text, label) == ("text", "label_name"))
        ]
    return Reading(splits)


def read_sst2(folder: Path) -> Reading:
    """Read SST-2: GLUE's training phrases and dev sentences, the sentence version's test.

    GLUE hides its test labels; copies of them that go round have errors. The sentence version's
    are the authors' own.
    """
    splits = {}
    for split, source in (("train", "train"), ("valid", "dev")):
        path = folder / f"{source}.tsv"
        table = read_table(path, 2, delimiter="\t", quoted=False)
        skip_header(table, ("sentence", "label"), path)
        splits[split] = [_read_sst2_row(text, label, where) for where, (text, label) in table]
    name = "stsa.binary.test"
    splits["test"] = []
    for line, content in enumerate(read_lines(folder / name), start=1):
        label, space, text = content.partition(" ")
        if not space:
            raise DataError(f"{name}:{line}: expected a label, a space and a text.")
        plain = " ".join(_SST2_TOKENS.get(word, word) for word in text.split(" "))
        plain = plain.replace("\\/", "/")
        splits["test"].append(_read_sst2_row(plain, label, f"{name}:{line}"))
    return Reading(splits)


def _read_sst2_row(text: str, label: str, where: str) -> Row:
    # Any other label is left as it is: the label map then refuses it by name.
    label = _SST2_CLASSES.get(label, label)
    return Row(check_text(text, where), (label,), where, stratum=label)


def read_ag_news(folder: Path) -> Reading:
    """Read AG News as first published: train and test in quoted CSV without a header."""
    return Reading(
        {split: _read_ag_news_file(folder / f"{split}.csv") for split in ("train", "test")}
    )


def read_ag_news_30k(folder: Path) -> Reading:
    """Read the stand-in: two random parts of the training file, united, and the whole test.

    A row is dropped where its text, spaces aside, stood earlier or stands in the test.
    """
    test = _read_ag_news_file(folder / "test.csv")
    seen = {" ".join(row.text.split()): row for row in test}
    in_test = set(seen)
    train, dropped = [], []
    for name in ("part-a.csv", "part-b.csv"):
        for row in _read_ag_news_file(folder / name):
            text = " ".join(row.text.split())
            if text in seen and seen[text].labels != row.labels:
                raise DataError(f"{row.source_row}: stands with other labels before.")
            if text in seen:
                reason = "the text is in the test" if text in in_test else "the text stood before"
                dropped.append(Dropped(row.source_row, reason))
                continue
            seen[text] = row
            train.append(row)
    return Reading({"train": train, "test": test}, dropped)


def _read_ag_news_file(path: Path) -> list[Row]:
    rows = []
    for where, (class_index, title, description) in read_table(path, 3, delimiter=",", quoted=True):
        first = [class_index.lower().replace(" ", "_"), title.lower(), description.lower()]
        if first == _AG_NEWS_HEADER and where == f"{path.name}:1":
            continue
        label = AG_NEWS_CLASSES.get(class_index, class_index)
        text = check_text(_join_title(title, description), where)
        rows.append(Row(text, (label,), where, stratum=label))
    return rows


def _join_title(title: str, description: str) -> str:
    title = title.strip()
    if title == _SPREADSHEET_ERROR:
        return description
    separator = " " if title.endswith(_SENTENCE_END) else ". "
    return title + separator + description


def read_goemotions(folder: Path) -> Reading:
    """Read GoEmotions: `text<TAB>label numbers<TAB>comment id`, labels named in labels.txt.

    Texts may be quoted like CSV cells, so that only a CSV reader gives them back as written.
    """
    names = read_lines(folder / "labels.txt")
    splits = {}
    for split, source in (("train", "train"), ("valid", "dev"), ("test", "test")):
        rows = []
        table = read_table(folder / f"{source}.tsv", 3, delimiter="\t", quoted=True)
        for where, (text, numbers, _comment) in table:
            labels = tuple(_name_label(number, names, where) for number in numbers.split(","))
            rows.append(Row(check_text(text, where), labels, where, stratum=labels[0]))
        splits[split] = rows
    return Reading(splits)


def _name_label(number: str, names: list[str], where: str) -> str:
    if not number.isdecimal() or int(number) >= len(names):
        raise DataError(f"{where}: expected a label number below {len(names)}, got {number!r}.")
    return names[int(number)]
