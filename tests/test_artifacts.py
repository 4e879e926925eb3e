import pytest

from distilro.artifacts import hash_file, hash_json, read_json, write_atomically, write_json
from distilro.errors import IntegrityError


def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"old": True})
    with pytest.raises(RuntimeError), write_atomically(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]


def test_equal_values_are_equal_bytes_whatever_their_order(tmp_path):
    write_json(tmp_path / "a", {"x": 1, "y": [2, "ș"]})
    write_json(tmp_path / "b", {"y": [2, "ș"], "x": 1})
    assert hash_file(tmp_path / "a") == hash_file(tmp_path / "b")
    assert hash_json({"x": 1, "y": 2}) == hash_json({"y": 2, "x": 1})


def test_a_value_that_json_does_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [None, "{half"])
def test_a_missing_or_torn_json_file_is_named(tmp_path, content):
    path = tmp_path / "card.json"
    if content:
        path.write_text(content)
    with pytest.raises(IntegrityError, match=r"card\.json"):
        read_json(path)
