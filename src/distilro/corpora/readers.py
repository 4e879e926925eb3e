"""One reader per format: from a dataset's raw folder to rows in the source's own labels.

A reader checks everything that its publisher promises and refuses the rest with file and line. It
does not normalise texts, map labels or cut splits; preparation.py does that for all alike. To add
a dataset, write a function (folder -> Reading) here or in a module beside, and name it in READERS.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distilro.corpora.english_readers import (
    read_ag_news,
    read_ag_news_30k,
    read_carer,
    read_goemotions,
    read_sst2,
)
from distilro.corpora.registry import SPLITS
from distilro.corpora.rows import (
    Dropped,
    Reading,
    Row,
    check_text,
    read_json_rows,
    read_lines,
    read_table,
    skip_header,
)
from distilro.corpora.subtitle_readers import read_xed
from distilro.errors import DataError

# REDv2's order in all its vectors. Source: REDv2/README.md of its repository.
REDV2_LABELS = ("sadness", "surprise", "fear", "anger", "neutral", "trust", "joy")
_REDV2_ANNOTATORS = 3
_REDV2_KEYS = {
    *("text", "text_id", "sum_labels", "agreed_labels", "procentual_labels"),
    *(f"annotator{number}" for number in range(1, _REDV2_ANNOTATORS + 1)),
}
_LAROSEDA_KEYS = {"index", "title", "content", "starRating"}
_LAROSEDA_STARS = {"1": "negative", "2": "negative", "4": "positive", "5": "positive"}
_MOROCO_TOPICS = {"1": "CUL", "2": "FIN", "3": "POL", "4": "SCI", "5": "SPO", "6": "TEC"}
_MOROCO_DIALECTS = {"1": "MD", "2": "RO"}


def read_redv2(folder: Path) -> Reading:
    """Read REDv2: labels that two of three annotators agree on, votes as their shares."""
    splits = {}
    for split in ("train", "valid", "test"):
        path = folder / f"{split}.json"
        items = read_json_rows(path, _REDV2_KEYS)
        splits[split] = [
            _read_redv2_row(item, f"{path.name}:{index}") for index, item in enumerate(items)
        ]
    return Reading(splits)


def _read_redv2_row(item: dict[str, Any], where: str) -> Row:
    annotators = [item[f"annotator{number}"] for number in range(1, _REDV2_ANNOTATORS + 1)]
    for vector in (*annotators, item["sum_labels"], item["agreed_labels"]):
        if not isinstance(vector, list) or len(vector) != len(REDV2_LABELS):
            raise DataError(f"{where}: expected {len(REDV2_LABELS)} numbers, got {vector!r}.")
    if any(value not in (0, 1) for vector in annotators for value in vector):
        raise DataError(f"{where}: an annotator's vector has a value that is not 0 or 1.")
    sums = [sum(values) for values in zip(*annotators, strict=True)]
    agreed = [int(2 * count > _REDV2_ANNOTATORS) for count in sums]
    if sums != item["sum_labels"] or agreed != item["agreed_labels"]:
        raise DataError(f"{where}: sum_labels or agreed_labels is not what the annotators say.")
    labels = tuple(label for label, yes in zip(REDV2_LABELS, agreed, strict=True) if yes)
    votes = {
        label: count / _REDV2_ANNOTATORS for label, count in zip(REDV2_LABELS, sums, strict=True)
    }
    text = check_text(item["text"], where)
    return Row(text, labels, where, stratum=labels[0] if labels else "", votes=votes)


def read_laroseda(folder: Path) -> Reading:
    """Read LaRoSeDa's published split: train is all reviews that are not in the test file.

    Contents only: the titles leak the label (most are the shop's names of the stars).
    """
    reviews = {}
    for name in ("positive_reviews.json", "negative_reviews.json"):
        for index, item in enumerate(read_json_rows(folder / name, _LAROSEDA_KEYS, "reviews")):
            where = f"{name}:{index}"
            if item["index"] in reviews:
                raise DataError(f"{where}: review {item['index']} stands twice.")
            reviews[item["index"]] = (item, where)
    train = dict(reviews)
    test = []
    name = "laroseda_test.json"
    for index, item in enumerate(read_json_rows(folder / name, _LAROSEDA_KEYS, "reviews")):
        if reviews.get(item["index"], ({},))[0] != item or item["index"] not in train:
            raise DataError(f"{name}:{index}: review {item['index']} is not among all reviews.")
        del train[item["index"]]
        test.append(_read_review(item, f"{name}:{index}"))
    return Reading(
        {"train": [_read_review(item, where) for item, where in train.values()], "test": test}
    )


def _read_review(item: dict[str, Any], where: str) -> Row:
    label = _LAROSEDA_STARS.get(item["starRating"])
    if label is None:
        raise DataError(f"{where}: expected 1, 2, 4 or 5 stars, got {item['starRating']!r}.")
    return Row(check_text(item["content"], where), (label,), where, stratum=label)


def read_moroco_vardial2019(folder: Path) -> Reading:
    """Read the VarDial 2019 evaluation set: texts, dialects and topics in parallel files.

    The topics of Romanian texts and of Moldavian ones stand in two files, each in text order.
    Texts that stand twice with different topics are dropped.
    """
    # subtle: plain lines; quotes are characters here, and a CSV reader would join rows.
    texts = read_lines(folder / "test.txt")
    dialects = read_lines(folder / "subtask-1-gold.txt")
    topics = {
        "RO": read_lines(folder / "subtask-2-gold.txt"),
        "MD": read_lines(folder / "subtask-3-gold.txt"),
    }
    if len(texts) != len(dialects) or any(
        dialects.count(name) != len(lines) for name, lines in topics.items()
    ):
        raise DataError(f"{folder}: the four files do not have matching numbers of lines.")
    following = {name: iter(lines) for name, lines in topics.items()}
    rows = []
    for line, (text, dialect) in enumerate(zip(texts, dialects, strict=True), start=1):
        topic = next(following[dialect])
        where = f"test.txt:{line}"
        rows.append(Row(check_text(text, where), (topic,), where, stratum=f"{topic}/{dialect}"))
    kept, dropped = drop_contradictions(rows)
    return Reading({"train": kept}, dropped)


def drop_contradictions(rows: list[Row]) -> tuple[list[Row], list[Dropped]]:
    """Leave out every copy of a text that stands with different labels."""
    labels = defaultdict(set)
    for row in rows:
        labels[row.text].add(row.labels)
    kept = [row for row in rows if len(labels[row.text]) == 1]
    dropped = [
        Dropped(row.source_row, "the same text stands with another label")
        for row in rows
        if len(labels[row.text]) > 1
    ]
    return kept, dropped


def read_moroco(folder: Path) -> Reading:
    """Read MOROCO's main set: `ID<TAB>value` lines in three parallel files per split."""
    splits = {}
    for split, source in (("train", "train"), ("valid", "validation"), ("test", "test")):
        files = [
            read_lines(folder / f"{source}-{name}.txt")
            for name in ("samples", "category_labels", "dialect_labels")
        ]
        columns = [[line.split("\t", 1) for line in lines] for lines in files]
        if len({len(column) for column in columns}) != 1:
            raise DataError(f"{folder}: the three files of {source} differ in length.")
        splits[split] = [
            _read_moroco_row(cells, f"{source}-samples.txt:{line}")
            for line, cells in enumerate(zip(*columns, strict=True), start=1)
        ]
    return Reading(splits)


def _read_moroco_row(cells: tuple[list[str], ...], where: str) -> Row:
    if any(len(pair) != 2 for pair in cells) or len({pair[0] for pair in cells}) != 1:  # noqa: PLR2004
        raise DataError(f"{where}: expected one ID and a tab in all three files.")
    text, topic, dialect = (pair[1] for pair in cells)
    if topic not in _MOROCO_TOPICS or dialect not in _MOROCO_DIALECTS:
        raise DataError(f"{where}: unknown topic {topic!r} or dialect {dialect!r}.")
    label = _MOROCO_TOPICS[topic]
    stratum = f"{label}/{_MOROCO_DIALECTS[dialect]}"
    return Row(check_text(text, where), (label,), where, stratum=stratum)


def read_labelled_table(folder: Path) -> Reading:
    """Read `samples.tsv`: a header `label<TAB>text`, several labels joined by `|`; one split."""
    path = folder / "samples.tsv"
    table = read_table(path, 2, delimiter="\t", quoted=False)
    skip_header(table, ("label", "text"), path)
    rows = []
    for where, (joined, text) in table:
        labels = tuple(joined.split("|"))
        rows.append(Row(check_text(text, where), labels, where, stratum=labels[0]))
    return Reading({"train": rows})


def read_voted_table(folder: Path) -> Reading:
    """Read `samples.tsv` as above with a third column: what each annotator chose.

    Its header is `votes`. An annotator's labels are joined by `|`, annotators by `;`, as many in
    every row. A label's share is that of the annotators who chose it.
    """
    path = folder / "samples.tsv"
    table = read_table(path, 3, delimiter="\t", quoted=False)
    skip_header(table, ("label", "text", "votes"), path)
    read = [
        (where, tuple(joined.split("|")), text, [set(one.split("|")) for one in votes.split(";")])
        for where, (joined, text, votes) in table
    ]
    names = sorted({label for _, _, _, annotators in read for one in annotators for label in one})
    rows = []
    for where, labels, text, annotators in read:
        count = len(read[0][3])
        if len(annotators) != count:
            raise DataError(f"{path}: {where}: expected {count} annotators, got {len(annotators)}.")
        votes = {name: sum(name in one for one in annotators) / count for name in names}
        rows.append(Row(check_text(text, where), labels, where, stratum=labels[0], votes=votes))
    return Reading({"train": rows})


def read_exported_rows(folder: Path) -> Reading:
    """Read what hub.py exported: `<split>.json`, a list of objects with `text` and `labels`."""
    splits = {}
    for path in sorted(folder.glob("*.json")):
        if path.stem not in SPLITS:
            continue
        rows = []
        for index, item in enumerate(read_json_rows(path, {"text", "labels"})):
            where = f"{path.name}:{index}"
            labels = tuple(check_text(label, where) for label in item["labels"])
            text = check_text(item["text"], where)
            rows.append(Row(text, labels, where, stratum="|".join(labels)))
        splits[path.stem] = rows
    return Reading(splits)


READERS: dict[str, Callable[[Path], Reading]] = {
    "ag_news": read_ag_news,
    "ag_news_30k": read_ag_news_30k,
    "carer": read_carer,
    "exported_rows": read_exported_rows,
    "goemotions": read_goemotions,
    "labelled_table": read_labelled_table,
    "laroseda": read_laroseda,
    "moroco": read_moroco,
    "moroco_vardial2019": read_moroco_vardial2019,
    "redv2": read_redv2,
    "sst2": read_sst2,
    "voted_table": read_voted_table,
    "xed_ro": read_xed,
}
