"""The command `texts`: collections and training rows joined, without what touches a test row."""

import json

import pytest

from distilro.artifacts import hash_file, read_json
from distilro.cli import main
from distilro.corpora.examples import concatenate, read_examples, write_examples
from distilro.corpora.passages import Passages, read_passages, write_passages
from tests.corpora.handmade import make_examples, number_texts

TEST_ROW = "O finală de neuitat s-a jucat ieri la noi"
LEAK = "O finală de neuitat s-a jucat ieri la ei"
VALID_ROW = "Parlamentul a votat legea cea nouă"
SETTINGS = {
    "training": ["stiri", "news"],
    "evaluation": ["stiri", "news"],
    "salt": "13",
    "jaccard": 0.7,
}


@pytest.fixture
def prepared(tmp_path):
    """Audited datasets, of which one training row is nearly a test row, and two collections."""
    leak = make_examples([(LEAK, "sports")], "stiri")
    parts = [
        concatenate([number_texts(9, "stiri"), leak]),
        make_examples([(TEST_ROW, "sports"), ("da nu", "sports")], "stiri", "test"),
        make_examples([(VALID_ROW, "politics")], "stiri", "valid"),
        number_texts(6, "news", lang="en"),
        make_examples([("alone in the late test here", "sports")], "late", "test"),
    ]
    for part in parts:
        write_examples(tmp_path / "prepared" / part.dataset[0] / f"{part.split[0]}.parquet", part)
    argv = ["audit", "--settings", '{"jaccard":0.7}', "--prepared"]
    argv += [str(tmp_path / "prepared" / name) for name in ("stiri", "news")]
    argv += ["--out", str(tmp_path / "audit.parquet"), "--summary", str(tmp_path / "audit.json")]
    assert main(argv) == 0
    planted = [
        f"pe scurt {TEST_ROW.upper().replace('Ă', 'A')} și atât, da nu",
        "Parlamentul a votat, legea cea nouă!",
        "alone in the late test here",
    ]
    write_collection(tmp_path, "tales", [f"poveste numărul n{row}" for row in range(20)] + planted)
    write_collection(tmp_path, "novels", [f"novel number m{row}" for row in range(7)])
    return tmp_path / "prepared"


def write_collection(tmp_path, name, texts):
    count = len(texts)
    columns = [["ro"] * count, [name] * count, [f"{name}.txt"] * count]
    write_passages(tmp_path / f"{name}.parquet", Passages(texts, *columns))


def join(tmp_path, collections=("tales", "novels"), out="texts", **changes):
    argv = ["texts", "--settings", json.dumps({**SETTINGS, **changes}), "--passages"]
    argv += [str(tmp_path / f"{name}.parquet") for name in collections]
    argv += ["--prepared", str(tmp_path / "prepared"), "--audit", str(tmp_path / "audit.parquet")]
    argv += ["--out", str(tmp_path / f"{out}.parquet"), "--summary", str(tmp_path / f"{out}.json")]
    return main(argv)


def read(tmp_path, out="texts"):
    return read_passages(tmp_path / f"{out}.parquet")


def list_of(passages, collection):
    rows = zip(passages.text, passages.collection, strict=True)
    return [text for text, name in rows if name == collection]


def test_collections_and_training_rows_are_joined_without_what_touches_a_test_row(
    prepared, tmp_path
):
    assert join(tmp_path) == 0
    texts = read(tmp_path)
    summary = read_json(tmp_path / "texts.json")
    assert sorted(list_of(texts, "stiri")) == [f"stiri row{row}" for row in range(9)]
    assert len(list_of(texts, "news")) == 6
    assert len(list_of(texts, "tales")) == 21
    assert "alone in the late test here" in texts.text
    assert summary["touched"] == {"contains": 2}
    assert summary["touched_by_collection"] == {"tales": 2}
    assert summary["collections"]["novels"] == {"texts": 7, "words": 21}
    assert summary["evaluation_rows"] == 3
    assert summary["settings"] == {**SETTINGS, "most_words": {}}
    assert summary["inputs"] == {
        name: hash_file(tmp_path / f"{name}.parquet") for name in ("tales", "novels")
    }


def test_rows_know_their_language_collection_and_source(prepared, tmp_path):
    join(tmp_path)
    texts = read(tmp_path)
    rows = zip(texts.collection, texts.language, texts.source, strict=True)
    seen = {(name, language, source.split(":")[0]) for name, language, source in rows}
    assert seen == {
        ("tales", "ro", "tales.txt"),
        ("novels", "ro", "novels.txt"),
        ("stiri", "ro", "handmade"),
        ("news", "en", "handmade"),
    }


def test_a_row_that_the_audit_drops_is_no_text_whatever_evaluation_says(prepared, tmp_path):
    join(tmp_path, evaluation=[])
    texts = read(tmp_path)
    assert LEAK in read_examples(prepared / "stiri" / "train.parquet").text
    assert LEAK not in texts.text
    assert len(list_of(texts, "tales")) == 23


def test_more_datasets_can_be_kept_out(prepared, tmp_path):
    join(tmp_path, evaluation=["stiri", "news", "late"])
    assert "alone in the late test here" not in read(tmp_path).text
    assert read_json(tmp_path / "texts.json")["evaluation_rows"] == 4


def test_a_smaller_cap_draws_a_beginning_of_what_a_larger_one_draws(prepared, tmp_path):
    drawn = {}
    for words in (9, 30, 45):
        join(tmp_path, evaluation=[], most_words={"tales": words})
        drawn[words] = list_of(read(tmp_path), "tales")
        assert sum(len(text.split()) for text in drawn[words]) <= words
        assert len(list_of(read(tmp_path), "novels")) == 7
    assert 0 < len(drawn[9]) < len(drawn[30]) < len(drawn[45])
    assert drawn[45][: len(drawn[30])] == drawn[30]
    assert drawn[30][: len(drawn[9])] == drawn[9]


def test_a_cap_draws_to_its_last_word_and_a_salt_draws_others(prepared, tmp_path):
    texts = [f"trei cuvinte n{row}" for row in range(30)]
    write_collection(tmp_path, "tales", texts)
    join(tmp_path, most_words={"tales": 30})
    one = list_of(read(tmp_path), "tales")
    write_collection(tmp_path, "tales", texts[::-1])
    join(tmp_path, most_words={"tales": 30})
    assert list_of(read(tmp_path), "tales") == one
    assert len(one) == 10
    join(tmp_path, most_words={"tales": 30}, salt="14")
    assert set(list_of(read(tmp_path), "tales")) != set(one)


def test_parts_stand_in_the_order_given_and_are_the_same_in_any_order(prepared, tmp_path):
    join(tmp_path, ("tales", "novels"), "one")
    join(tmp_path, ("novels", "tales"), "other", training=["news", "stiri"])
    one, other = read(tmp_path, "one"), read(tmp_path, "other")
    assert list(dict.fromkeys(one.collection)) == ["tales", "novels", "stiri", "news"]
    assert list(dict.fromkeys(other.collection)) == ["novels", "tales", "news", "stiri"]
    for name in SETTINGS["training"] + ["tales", "novels"]:
        assert list_of(one, name) == list_of(other, name)


def test_the_same_inputs_give_the_same_bytes(prepared, tmp_path):
    for out in ("one", "other"):
        join(tmp_path, out=out)
    for end in ("parquet", "json"):
        one, other = (tmp_path / f"{out}.{end}" for out in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


def test_collections_alone_and_training_rows_alone_will_do(prepared, tmp_path):
    assert join(tmp_path, training=[]) == 0
    assert set(read(tmp_path).collection) == {"tales", "novels"}
    assert join(tmp_path, ()) == 0
    assert set(read(tmp_path).collection) == {"stiri", "news"}


def test_a_collection_without_passages_adds_none(prepared, tmp_path):
    write_collection(tmp_path, "tales", [])
    assert join(tmp_path) == 0
    assert set(read(tmp_path).collection) == {"novels", "stiri", "news"}


def test_no_texts_at_all_are_refused(prepared, tmp_path, caplog):
    assert join(tmp_path, (), training=[]) == 4
    assert "There is no text to learn" in caplog.text
    assert not (tmp_path / "texts.parquet").exists()


@pytest.mark.parametrize("dataset", ["late_train", "stiri"])
def test_training_rows_that_were_not_audited_are_refused(prepared, tmp_path, caplog, dataset):
    write_examples(prepared / dataset / "train.parquet", number_texts(5, dataset))
    assert join(tmp_path, training=[dataset]) == 3
    assert f"{dataset}/train.parquet: these rows were not audited" in caplog.text
    assert not (tmp_path / "texts.parquet").exists()


def test_a_dataset_to_keep_out_that_was_never_prepared_is_refused(prepared, tmp_path, caplog):
    assert join(tmp_path, evaluation=["stiri", "absent"]) == 4
    assert "absent is missing; expected a prepared dataset" in caplog.text
    assert not (tmp_path / "texts.parquet").exists()


@pytest.mark.parametrize(
    "change", [{"most_words": {"tales": 0}}, {"jaccard": 1.5}, {"trainig": []}, {"salt": 13}]
)
def test_settings_that_are_not_sound_are_refused(prepared, tmp_path, change):
    assert join(tmp_path, **change) == 2
    assert not (tmp_path / "texts.parquet").exists()
