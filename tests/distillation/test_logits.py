from dataclasses import replace

import numpy as np
import pytest

from distilro.artifacts import read_json, write_json
from distilro.corpora.examples import Examples, Task, hash_text, identify_example
from distilro.distillation.logits import TeacherIdentity, read_logits, write_logits
from distilro.errors import IntegrityError

TASK = Task("topic", "multi_class", ("culture", "sports", "tech"))
TEACHER = TeacherIdentity("single_mixed", "topic", 0, "w" * 64, "t" * 64, 64)


def make_examples(texts):
    rows, labels = len(texts), len(TASK.labels)
    return Examples(
        task=TASK,
        id=[identify_example("d", "train", f"f:{row}", text) for row, text in enumerate(texts)],
        text_hash=[hash_text(text) for text in texts],
        text=texts,
        text_pair=[None] * rows,
        lang=["ro"] * rows,
        dataset=["d"] * rows,
        split=["train"] * rows,
        source_row=[f"f:{row}" for row in range(rows)],
        target=np.eye(labels, dtype=np.float32)[np.arange(rows) % labels],
        observed=np.ones((rows, labels), bool),
        votes=np.full((rows, labels), np.nan, np.float32),
    )


@pytest.fixture
def store(tmp_path):
    examples = make_examples(["unu", "doi", "trei", "patru"])
    logits = np.arange(12, dtype=np.float32).reshape(4, 3)
    path = tmp_path / "topic-ro1.safetensors"
    write_logits(path, examples=examples, logits=logits, teacher=TEACHER)
    return path, examples, logits


def test_logits_come_back_by_example_whatever_the_order(store):
    path, examples, logits = store
    order = np.array([2, 0, 3])
    got = read_logits(path, examples=examples.select(order), teacher=TEACHER)
    assert np.array_equal(got, logits[order])


def test_a_missing_example_is_refused(store):
    path, _, _ = store
    with pytest.raises(IntegrityError, match="not in the store"):
        read_logits(path, examples=make_examples(["unu", "cinci"]), teacher=TEACHER)


def test_an_example_whose_text_changed_is_refused(store):
    path, examples, _ = store
    changed = replace(examples, text_hash=[hash_text("altul"), *examples.text_hash[1:]])
    with pytest.raises(IntegrityError, match="another text"):
        read_logits(path, examples=changed, teacher=TEACHER)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipe", "multi"),
        ("scope", "all"),
        ("seed", 1),
        ("weights", "x" * 64),
        ("tokenizer", "x" * 64),
        ("max_tokens", 128),
        ("folds", 5),
    ],
)
def test_another_teacher_is_refused_and_the_difference_is_named(store, field, value):
    path, examples, _ = store
    with pytest.raises(IntegrityError, match=f"teacher.{field}"):
        read_logits(path, examples=examples, teacher=replace(TEACHER, **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", 1), ("task", "sentiment"), ("kind", "multi_label"), ("dtype", "float16")],
)
def test_an_edited_header_is_refused(store, field, value):
    path, examples, _ = store
    header = read_json(path.with_suffix(".json"))
    write_json(path.with_suffix(".json"), {**header, field: value})
    with pytest.raises(IntegrityError, match=field):
        read_logits(path, examples=examples, teacher=TEACHER)


@pytest.mark.parametrize("written", [None, 3, 5])
@pytest.mark.parametrize("asked", [None, 3, 5])
def test_in_sample_and_out_of_fold_logits_never_stand_in_for_one_another(tmp_path, written, asked):
    examples, path = make_examples(["unu"]), tmp_path / "x.safetensors"
    logits = np.zeros((1, 3), np.float32)
    write_logits(path, examples=examples, logits=logits, teacher=replace(TEACHER, folds=written))
    teacher = replace(TEACHER, folds=asked)
    if written == asked:
        assert np.array_equal(read_logits(path, examples=examples, teacher=teacher), logits)
        return
    with pytest.raises(IntegrityError, match=rf"teacher\.folds is {written}, expected {asked}"):
        read_logits(path, examples=examples, teacher=teacher)


def test_a_header_that_does_not_speak_of_folds_is_refused(store):
    """As a header without the entry reads like one that says none."""
    path, examples, _ = store
    header = read_json(path.with_suffix(".json"))
    del header["teacher"]["folds"]
    write_json(path.with_suffix(".json"), header)
    with pytest.raises(IntegrityError, match=r"teacher\.folds is absent, expected None"):
        read_logits(path, examples=examples, teacher=TEACHER)


def test_another_label_order_is_refused(store):
    path, examples, _ = store
    swapped = replace(examples, task=Task(TASK.name, TASK.kind, ("sports", "culture", "tech")))
    with pytest.raises(IntegrityError, match="labels"):
        read_logits(path, examples=swapped, teacher=TEACHER)


def test_a_single_flipped_bit_is_refused(store):
    path, examples, _ = store
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="SHA-256"):
        read_logits(path, examples=examples, teacher=TEACHER)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_not_stored(tmp_path, bad):
    examples = make_examples(["unu"])
    logits = np.array([[0.0, bad, 1.0]], np.float32)
    with pytest.raises(IntegrityError, match="1 not finite"):
        write_logits(tmp_path / "x.safetensors", examples=examples, logits=logits, teacher=TEACHER)
    assert not list(tmp_path.iterdir())


def test_a_store_without_its_header_does_not_count(store):
    path, examples, _ = store
    path.with_suffix(".json").unlink()
    with pytest.raises(IntegrityError, match="missing"):
        read_logits(path, examples=examples, teacher=TEACHER)
