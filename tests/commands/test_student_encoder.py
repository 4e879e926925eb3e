"""The command `student-encoder`: a smaller encoder from one or several, on texts."""

import json

import pytest
import torch

from distilro.artifacts import hash_file
from distilro.cli import main
from distilro.modeling.encoders import build_masked_model, load_masked_model, save_encoder
from distilro.modeling.tokenization import load_tokenizer, train_tokenizer
from tests.commands.test_encoder import STOPPED, read_all, read_card, stop_after, write_texts
from tests.modeling.tiny import SCRATCH, TEXTS, build_tokenizer

DISTILLATION = {
    "epochs": 2,
    "learning_rate": 1e-3,
    "batch_tokens": 64,
    "max_tokens": 16,
    "precision": "fp32",
}


@pytest.fixture(autouse=True)
def threads():
    """Put the number of threads back, which the command sets for its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def texts(tmp_path):
    return write_texts(tmp_path / "texts.parquet", TEXTS)


def write_teacher(folder, seed=1, tokenizer=None, **sizes):
    """Write an encoder with its head and return its folder."""
    tokenizer = tokenizer or build_tokenizer()
    model = build_masked_model(SCRATCH.model_copy(update=sizes), tokenizer, seed)
    save_encoder(folder, model, tokenizer, {})
    return folder


def distil(tmp_path, texts, teachers, out="student", half=False, **changes):
    settings = {"distillation": {**DISTILLATION, **changes}, "seed": 3, "half": half}
    argv = ["student-encoder", "--name", "small", "--settings", json.dumps(settings)]
    argv += ["--teachers", *map(str, teachers), "--texts", str(texts)]
    argv += ["--out", str(tmp_path / out), "--records", str(tmp_path / "records")]
    argv += ["--checkpoints", str(tmp_path / "checkpoints"), "--checkpoint-seconds", "0"]
    return main(argv)


def test_a_student_is_smaller_has_its_head_and_says_where_it_came_from(tmp_path, texts):
    teachers = [write_teacher(tmp_path / "one"), write_teacher(tmp_path / "two", 2)]
    assert distil(tmp_path, texts, teachers) == 0
    folder = tmp_path / "student"
    student, has_head = load_masked_model(folder)
    assert has_head
    assert (student.config.num_hidden_layers, student.config.hidden_size) == (1, SCRATCH.hidden)
    assert load_tokenizer(folder).get_vocab() == load_tokenizer(teachers[0]).get_vocab()
    card = read_card(folder)
    assert card["teachers"] == [hash_file(teacher / "model.safetensors") for teacher in teachers]
    assert card["teachers"][0] != card["teachers"][1]
    assert card["texts"] == hash_file(texts)
    assert card["weights"] == hash_file(folder / "model.safetensors")
    assert card["settings"]["seed"] == 3
    assert card["distillation"]["teachers"] == 2
    assert set(card["distillation"]["held_out_loss"]["after"]) == {"ce", "masked", "cosine"}
    assert (tmp_path / "records" / "student-small.json").exists()


def test_run_again_it_writes_the_same_bytes(tmp_path, texts):
    teacher = write_teacher(tmp_path / "one")
    for out in ("first", "second"):
        assert distil(tmp_path, texts, [teacher], out) == 0
    assert read_all(tmp_path / "first") == read_all(tmp_path / "second")


def test_neither_order_nor_repeats_of_texts_matter(tmp_path, texts):
    teacher = write_teacher(tmp_path / "one")
    turned = write_texts(tmp_path / "turned.parquet", TEXTS[::-1] + TEXTS[:2])
    distil(tmp_path, texts, [teacher], "first")
    distil(tmp_path, turned, [teacher], "second")
    one, other = (read_card(tmp_path / out) for out in ("first", "second"))
    assert one["weights"] == other["weights"]
    assert one["texts"] != other["texts"]


def test_without_epochs_the_student_is_its_teachers_layers_and_head(tmp_path, texts):
    teacher = write_teacher(tmp_path / "one")
    assert distil(tmp_path, texts, [teacher], epochs=0) == 0
    ours, theirs = (
        load_masked_model(path)[0].state_dict() for path in (tmp_path / "student", teacher)
    )
    assert ours.keys() < theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_half_precision_is_kept_in_float16_and_opens_in_float32(tmp_path, texts):
    teacher = write_teacher(tmp_path / "one")
    assert distil(tmp_path, texts, [teacher], half=True) == 0
    config = json.loads((tmp_path / "student" / "config.json").read_text(encoding="utf-8"))
    model, has_head = load_masked_model(tmp_path / "student")
    assert (config["dtype"], model.dtype, has_head) == ("float16", torch.float32, True)


def test_teachers_of_two_vocabularies_are_refused(tmp_path, texts, caplog):
    one = write_teacher(tmp_path / "one")
    tokenizer = train_tokenizer(TEXTS[:6], SCRATCH.vocabulary_size, lowercase=True)
    other = write_teacher(tmp_path / "two", tokenizer=tokenizer)
    assert distil(tmp_path, texts, [one, other]) == 2
    assert "teachers: expected one vocabulary, but teacher 1 differs" in caplog.text
    assert not (tmp_path / "student").exists()


def test_a_teacher_without_a_head_is_told_of(tmp_path, texts, caplog):
    tokenizer = build_tokenizer()
    bare = build_masked_model(SCRATCH, tokenizer, 1).base_model
    save_encoder(tmp_path / "bare", bare, tokenizer, {})
    assert distil(tmp_path, texts, [tmp_path / "bare"]) == 0
    assert "has no head for masked tokens" in caplog.text


def test_a_distillation_that_was_stopped_goes_on_to_the_same_bytes(
    tmp_path, texts, monkeypatch, caplog
):
    caplog.set_level("INFO")
    teacher = write_teacher(tmp_path / "one")
    assert distil(tmp_path, texts, [teacher], "whole") == 0
    stopped = stop_after(monkeypatch, 2, lambda: distil(tmp_path, texts, [teacher], "stopped"))
    assert stopped == STOPPED
    assert not (tmp_path / "stopped").exists()
    assert distil(tmp_path, texts, [teacher], "stopped") == 0
    assert "Going on after step" in caplog.text
    assert read_all(tmp_path / "stopped") == read_all(tmp_path / "whole")
    assert not (tmp_path / "checkpoints").exists()


def test_a_checkpoint_of_another_teacher_is_not_gone_on_from(tmp_path, texts, monkeypatch, caplog):
    caplog.set_level("INFO")
    one, other = write_teacher(tmp_path / "one"), write_teacher(tmp_path / "two", 2)
    stop_after(monkeypatch, 1, lambda: distil(tmp_path, texts, [one]))
    assert distil(tmp_path, texts, [other]) == 0
    assert "Going on after step" not in caplog.text


@pytest.mark.parametrize(
    "changes",
    [{"epochs": -1}, {"ce": 0, "masked": 0, "cosine": 0}, {"student": {"layers": 9}}, {"x": 1}],
    ids=repr,
)
def test_a_wrong_setting_stops_it(tmp_path, texts, changes):
    assert distil(tmp_path, texts, [write_teacher(tmp_path / "one")], **changes) == 2
    assert not (tmp_path / "student").exists()


def test_pickled_weights_stop_it(tmp_path, texts, caplog):
    teacher = write_teacher(tmp_path / "one")
    (teacher / "model.safetensors").rename(teacher / "pytorch_model.bin")
    assert distil(tmp_path, texts, [teacher]) == 3
    assert "Pickled weights are never opened" in caplog.text
    assert not (tmp_path / "student").exists()
