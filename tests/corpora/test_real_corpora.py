"""The real corpora, where they are at hand: what was counted independently is what is read.

The numbers come from the corpora's papers and READMEs and from counts on the files by other code.
`golden_rows.json` holds text hashes and labels only, no texts.
"""

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from distilro.corpora.downloads import Retries
from distilro.corpora.fetch import Fetcher, fetch_dataset
from distilro.corpora.preparation import Prepared, prepare_dataset
from distilro.corpora.readers import READERS
from distilro.corpora.registry import load_dataset, load_tasks
from distilro.corpora.rows import Reading
from distilro.text import key

REGISTRY = Path(__file__).resolve().parents[2] / "data" / "registry"
GOLDEN = json.loads(Path(__file__).with_name("golden_rows.json").read_text(encoding="utf-8"))
AT_HAND = [
    *("redv2", "carer", "laroseda", "sst2", "moroco_vardial2019", "ag_news_30k", "goemotions"),
    "xed_ro",
]
SST2_COPY = (
    "raw.githubusercontent.com/eyalbd2/Reproducing-AutoPrompt/"
    "6288fb5bec9c572f2492875ae0111df5b6daed11/glue_data/SST-2/test-labeled.tsv"
)


@dataclass(frozen=True)
class Corpus:
    reading: Reading
    prepared: Prepared

    def count(self, split: str) -> Counter:
        """Count source labels in what the reader gives."""
        return Counter(label for row in self.reading.splits[split] for label in row.labels)

    def count_mapped(self, split: str) -> dict[str, int]:
        return self.prepared.summary["splits"][split]["labels"]


@pytest.fixture(scope="module")
def corpus(mirror, tmp_path_factory):
    """Give a function that fetches, reads and prepares a corpus, once each."""
    folder = tmp_path_factory.mktemp("raw")

    @cache
    def load(name: str) -> Corpus:
        dataset = load_dataset(REGISTRY, name)
        retries = Retries(attempts=1, timeout_seconds=1)
        fetch_dataset(dataset, Fetcher(REGISTRY, folder / name, str(mirror), retries))
        task = load_tasks(REGISTRY)[dataset.task]
        prepared = prepare_dataset(dataset, task, folder / name, reader=dataset.reader)
        return Corpus(READERS[dataset.reader](folder / name), prepared)

    return load


def keep_letters(text: str) -> str:
    """Return the letters of a text, so that copies split into words differently are equal."""
    return "".join(char for char in text if char.isalpha())


@pytest.mark.parametrize("name", AT_HAND)
def test_the_golden_rows_have_their_labels(corpus, name):
    for split, examples in corpus(name).prepared.examples.items():
        positions = {text_hash: row for row, text_hash in enumerate(examples.text_hash)}
        for text_hash, (present, unobserved) in GOLDEN[name].get(split, {}).items():
            row = positions[text_hash]
            labels = np.array(examples.task.labels)
            assert labels[examples.target[row] > 0].tolist() == present
            assert labels[~examples.observed[row]].tolist() == unobserved


@pytest.mark.parametrize("name", AT_HAND)
def test_no_text_of_a_carved_split_has_a_copy_in_what_is_left(corpus, name):
    carve = load_dataset(REGISTRY, name).carve
    if carve is None:
        pytest.skip("the publisher gave all splits")
    examples = corpus(name).prepared.examples
    keys = {split: {key(text) for text in part.text} for split, part in examples.items()}
    for split in carve.sizes:
        assert not keys[split] & keys[carve.from_split]


REDV2_COUNTS = {  # sadness, surprise, fear, anger, neutral, trust, joy; unanimous rows
    "train": (4088, [820, 435, 493, 727, 1045, 472, 637], 942),
    "valid": (543, [109, 58, 65, 96, 139, 62, 84], 135),
    "test": (818, [164, 87, 99, 145, 210, 94, 128], 180),
}


@pytest.mark.parametrize("split", REDV2_COUNTS)
def test_redv2_has_its_rows_labels_and_votes(corpus, split):
    rows, labels, unanimous = REDV2_COUNTS[split]
    examples = corpus("redv2").prepared.examples[split]
    assert len(examples) == rows
    assert examples.target.sum(axis=0).tolist() == labels
    assert examples.observed.all()
    assert int(np.isin(examples.votes, (0, 1)).all(axis=1).sum()) == unanimous
    assert ((examples.votes > 0.5) == (examples.target == 1)).all()


def test_redv2_has_568_texts_with_cedilla_letters_and_1348_without_romanian_letters(corpus):
    texts = [part["texts"] for part in corpus("redv2").prepared.summary["splits"].values()]
    assert sum(counts["with_cedilla_letters"] for counts in texts) == 568
    assert sum(counts["without_romanian_letters"] for counts in texts) == 1348
    examples = corpus("redv2").prepared.examples.values()
    counts = Counter(
        mask for part in examples for text in part.text for mask in ("<tel>", "<email>")
        for _ in range(text.count(mask))
    )  # fmt: skip
    assert counts == {"<tel>": 3, "<email>": 3}


CARER_COUNTS = {
    "train": {"sadness": 4666, "joy": 5362, "love": 1304, "anger": 2159, "fear": 1937,
              "surprise": 572},
    "valid": {"sadness": 550, "joy": 704, "love": 178, "anger": 275, "fear": 212, "surprise": 81},
    "test": {"sadness": 581, "joy": 695, "love": 159, "anger": 275, "fear": 224, "surprise": 66},
}  # fmt: skip


@pytest.mark.parametrize("split", CARER_COUNTS)
def test_carer_has_its_labels_and_love_counts_as_joy(corpus, split):
    expected = CARER_COUNTS[split]
    assert corpus("carer").count(split) == expected
    mapped = corpus("carer").count_mapped(split)
    assert mapped["joy"] == expected["joy"] + expected["love"]
    assert mapped["trust"] == mapped["neutral"] == 0
    unobserved = corpus("carer").prepared.summary["splits"][split]["unobserved"]
    rows = sum(expected.values())
    assert {label for label, count in unobserved.items() if count} == {"trust", "neutral"}
    assert unobserved["trust"] == unobserved["neutral"] == rows


def test_laroseda_has_its_published_split_and_a_balanced_validation(corpus):
    laroseda = corpus("laroseda")
    assert laroseda.count("train") == {"positive": 6000, "negative": 6000}
    assert laroseda.count_mapped("test") == {"positive": 1500, "negative": 1500}
    assert laroseda.count_mapped("valid") == {"positive": 500, "negative": 500}
    lengths = {
        label: np.array([len(row.text.split()) for rows in laroseda.reading.splits.values()
                         for row in rows if row.labels == (label,)])
        for label in ("positive", "negative")
    }  # fmt: skip
    assert lengths["positive"].mean() == pytest.approx(31.6, abs=0.1)
    assert lengths["negative"].mean() == pytest.approx(40.8, abs=0.1)


SST2_COUNTS = {"train": (29780, 37569), "valid": (428, 444), "test": (912, 909)}


@pytest.mark.parametrize("split", SST2_COUNTS)
def test_sst2_has_its_labels(corpus, split):
    mapped = corpus("sst2").count_mapped(split)
    assert (mapped["negative"], mapped["positive"]) == SST2_COUNTS[split]


def test_sst2_does_not_have_the_five_wrong_labels_of_the_copy_that_goes_round(corpus, mirror):
    lines = (mirror / SST2_COPY).read_text(encoding="utf-8").splitlines()[1:]
    pairs = [line.rpartition("\t") for line in lines]
    copy = {keep_letters(text): label for text, _tab, label in pairs}
    rows = corpus("sst2").reading.splits["test"]
    ours = {keep_letters(row.text): row.labels[0] for row in rows}
    shared = Counter((copy[text], ours[text]) for text in copy.keys() & ours.keys())
    assert shared.total() == 1817, "four differ in spelling"
    assert shared[("0", "positive")] == 5
    assert shared[("1", "negative")] == 0


def test_sst2s_test_is_written_in_glues_tokens(corpus, mirror):
    path = next(mirror.glob("raw.githubusercontent.com/harvardnlp/*/*/data/stsa.binary.test"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum("-lrb-" in line for line in lines) == 68
    assert sum("\\/" in line for line in lines) == 14
    texts = corpus("sst2").prepared.examples["test"].text
    assert not any(token in text for text in texts for token in ("-lrb-", "-rrb-", "\\"))


def test_moroco_vardial_has_its_topics_and_drops_42_contradictory_texts(corpus, mirror):
    moroco = corpus("moroco_vardial2019")
    rows = moroco.reading.splits["train"]
    assert len(rows) + len(moroco.reading.dropped) == 5923
    assert len(moroco.reading.dropped) == 84
    paths = sorted(mirror.glob("raw.githubusercontent.com/butnaruandrei/**/subtask-[23]-gold.txt"))
    topics = Counter(line for path in paths for line in path.read_text("utf-8").split())
    assert topics == {**{"POL": 1612, "FIN": 1506, "SPO": 1063, "TEC": 821, "SCI": 516, "CUL": 405}}
    kept = Counter(row.labels[0] for row in rows)
    assert all(0 <= topics[topic] - kept[topic] <= 84 for topic in topics)


def test_moroco_vardials_splits_have_every_topic_and_dialect_in_proportion(corpus):
    moroco = corpus("moroco_vardial2019")
    strata = {row.source_row: row.stratum for row in moroco.reading.splits["train"]}
    whole = Counter(strata.values())
    for split, share in (("train", 0.7), ("valid", 0.1), ("test", 0.2)):
        part = Counter(strata[row] for row in moroco.prepared.examples[split].source_row)
        assert all(abs(part[name] - share * count) < 3 for name, count in whole.items())


def test_the_ag_news_stand_in_has_30027_rows_and_the_official_test(corpus):
    news = corpus("ag_news_30k")
    union = {"World": 7479, "Sports": 7528, "Business": 7545, "Sci/Tech": 7476}
    train = news.count("train")
    assert sum(train.values()) == 30027
    assert sum((Counter(union) - train).values()) == 1, "the one row that is in the test"
    assert set(news.count("test").values()) == {1900}
    reasons = Counter(row.reason for row in news.reading.dropped)
    assert reasons == {"the text stood before": 1972, "the text is in the test": 1}
    assert news.count_mapped("test") == {
        **{"culture": 1900, "finance": 1900, "politics": 1900},
        **{"science": 1900, "sports": 1900, "tech": 1900},
    }


def test_ag_news_has_no_broken_entity_left(corpus):
    texts = corpus("ag_news_30k").prepared.examples["test"].text
    for scrap in (" #39;", " quot;", " #36;", "&lt;", "\\"):
        assert not any(scrap in text for text in texts), scrap


def test_ag_news_test_has_the_labels_of_the_file(corpus, mirror):
    path = next(mirror.glob("raw.githubusercontent.com/mhjabreel/*/*/data/ag_news_csv/test.csv"))
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8"), newline=""), strict=True))
    examples = corpus("ag_news_30k").prepared.examples["test"]
    for label, numbers in (("sports", "2"), ("finance", "3"), ("tech", "4"), ("culture", "1")):
        present = examples.target[:, examples.task.labels.index(label)] == 1
        assert present.tolist() == [cells[0] in numbers for cells in rows]


GOEMOTIONS_COUNTS = {  # rows that have one of an Ekman emotion's labels
    "train": {"joy": 17410, "neutral": 14219, "anger": 5579, "surprise": 5367, "sadness": 3263,
              "fear": 726},
    "valid": {"joy": 2219, "neutral": 1766, "anger": 717, "surprise": 624, "sadness": 390,
              "fear": 105},
    "test": {"joy": 2104, "neutral": 1787, "anger": 726, "surprise": 677, "sadness": 379,
             "fear": 98},
}  # fmt: skip


@pytest.mark.parametrize("split", GOEMOTIONS_COUNTS)
def test_goemotions_groups_like_its_authors(corpus, split):
    assert corpus("goemotions").count_mapped(split) == {**GOEMOTIONS_COUNTS[split], "trust": 0}


def test_goemotions_has_its_28_labels(corpus):
    counts = corpus("goemotions").count("train")
    assert len(counts) == 28
    some = {"admiration": 4130, "approval": 2939, "disgust": 793, "grief": 77, "relief": 153}
    assert {label: counts[label] for label in some} == some
    texts = [row.text for row in corpus("goemotions").reading.splits["test"]]
    assert not any(text.startswith('"') and text.endswith('"') and '""' in text for text in texts)


XED_COUNTS = {"anger": 2544, "anticipation": 2180, "disgust": 1259, "fear": 1434, "joy": 1563,
              "sadness": 1567, "surprise": 1576, "trust": 1608}  # fmt: skip


def test_xed_accounts_for_every_line_of_its_file(corpus):
    xed = corpus("xed_ro")
    reasons = Counter(row.reason for row in xed.reading.dropped)
    columns = {reason: n for reason, n in reasons.items() if "columns" in reason}
    assert {reason.split()[0]: n for reason, n in columns.items()} == {"1": 5, "6": 201, "7": 1}
    assert len(xed.reading.splits["test"]) + reasons.total() == 9677
    assert reasons.total() - sum(columns.values()) == 9470 - len(xed.prepared.examples["test"])


def test_xed_has_its_published_labels_but_for_those_of_rows_left_out(corpus, mirror):
    """The numbers of the README, give or take the rows that its file lost to a stray quote."""
    xed = corpus("xed_ro")
    path = next(mirror.glob("raw.githubusercontent.com/Helsinki-NLP/XED/*/Projections/ro-*.tsv"))
    lines = path.read_text(encoding="utf-8").split("\n")
    left_out = {row.source_row.partition(":")[2] for row in xed.reading.dropped}
    numbers = Counter()
    for number in left_out:
        cells = lines[int(number) - 1].rstrip("\r").split("\t")
        numbers.update(cells[1].split(", ") if len(cells) == 2 else [])
    lost = dict(zip(XED_COUNTS, (numbers[str(number)] for number in range(1, 9)), strict=True))
    kept = xed.count("test")
    assert {label: kept[label] + lost[label] for label in XED_COUNTS} == XED_COUNTS


def test_no_two_texts_of_xed_are_copies_and_each_has_an_emotion_of_redv2(corpus):
    examples = corpus("xed_ro").prepared.examples["test"]
    assert len({key(text) for text in examples.text}) == len(examples)
    assert examples.target.any(axis=1).all()
    unobserved = [label == "neutral" for label in examples.task.labels]
    assert (examples.observed == ~np.array(unobserved)).all()


def test_xeds_texts_have_no_quotes_of_csv_left(corpus):
    texts = corpus("xed_ro").prepared.examples["test"].text
    assert sum('"' in text for text in texts) > 30
    assert not any('""' in text for text in texts)
