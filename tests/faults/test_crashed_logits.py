"""A logits store whose writer is killed before any one of its writes."""

import numpy as np
import pytest

from distilro.distillation.logits import read_logits, write_logits
from distilro.errors import IntegrityError
from tests.distillation.test_logits import TEACHER, make_examples
from tests.faults.crash import crash_everywhere

EXAMPLES = make_examples(["unu", "doi", "trei", "patru"])
LOGITS = np.arange(12, dtype=np.float32).reshape(4, 3)


def write(folder, logits=LOGITS):
    write_logits(name(folder), examples=EXAMPLES, logits=logits, teacher=TEACHER)


def read(folder):
    return read_logits(name(folder), examples=EXAMPLES, teacher=TEACHER)


def name(folder):
    return folder / "logits" / "topic-ro1.safetensors"


def read_bytes(folder):
    return [name(folder).with_suffix(end).read_bytes() for end in (".safetensors", ".json")]


def test_a_store_whose_writer_was_killed_is_absent_until_it_is_whole(tmp_path):
    write(tmp_path / "whole")
    absent = []
    for folder in crash_everywhere(tmp_path, write):
        try:
            assert np.array_equal(read(folder), LOGITS)
            absent.append(False)
        except IntegrityError as error:
            assert "is missing; expected a JSON file" in str(error)
            absent.append(True)
        write(folder)
        assert read_bytes(folder) == read_bytes(tmp_path / "whole")
    assert len(absent) > 10
    assert absent == sorted(absent, reverse=True)


def test_a_store_that_was_half_replaced_is_never_believed(tmp_path):
    read_again = []
    for folder in crash_everywhere(tmp_path, write, prepare=lambda folder: write(folder, -LOGITS)):
        try:
            read_again.append(float(read(folder)[-1, -1]))
        except IntegrityError as error:
            assert "its bytes changed since it was written" in str(error)
            read_again.append(0.0)
        write(folder)
        assert np.array_equal(read(folder), LOGITS)
    assert set(read_again) == {-11.0, 0.0, 11.0}
    assert read_again == sorted(read_again)


@pytest.mark.parametrize("end", [".safetensors", ".json"])
def test_a_store_of_which_one_file_is_half_there_is_refused(tmp_path, end):
    """What no crash of ours leaves behind, but a full disk or a broken copy may."""
    write(tmp_path)
    path = name(tmp_path).with_suffix(end)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(IntegrityError, match=path.name):
        read(tmp_path)
