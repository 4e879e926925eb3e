"""Tokens kept on disk: the same as made anew, or refused."""

import numpy as np
import pytest

from distilro.errors import IntegrityError
from distilro.modeling import token_cache
from distilro.modeling.token_cache import encode_once
from distilro.modeling.tokenization import encode, train_tokenizer
from tests.faults.crash import crash_everywhere
from tests.modeling.tiny import TEXTS, build_tokenizer

TOKENIZER = build_tokenizer()


def keep(folder, texts=TEXTS, tokenizer=TOKENIZER, max_tokens=24):
    return encode_once(folder, tokenizer, texts, max_tokens)


def assert_equal(got, expected):
    for name in ("ids", "offsets"):
        assert getattr(got, name).dtype == getattr(expected, name).dtype
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))


def test_the_second_time_they_are_read_and_not_made(tmp_path, monkeypatch):
    expected = encode(TOKENIZER, TEXTS, 24)
    assert_equal(keep(tmp_path), expected)
    monkeypatch.setattr(token_cache, "encode", None)
    assert_equal(keep(tmp_path), expected)


def test_no_text_at_all_is_kept_too(tmp_path):
    for _ in range(2):
        assert len(keep(tmp_path, [])) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"texts": TEXTS[::-1]},
        {"texts": TEXTS[:-1]},
        {"texts": [TEXTS[0] + TEXTS[1], *TEXTS[2:]]},
        {"texts": ["", *TEXTS]},
        {"max_tokens": 23},
        {"tokenizer": train_tokenizer(TEXTS, 150, lowercase=False)},
        {"tokenizer": train_tokenizer(TEXTS, 200, lowercase=True)},
    ],
)
def test_other_texts_cut_or_tokenizer_are_another_file(tmp_path, changes):
    keep(tmp_path)
    arguments = {"texts": TEXTS, "tokenizer": TOKENIZER, "max_tokens": 24, **changes}
    for _ in range(2):
        expected = encode(arguments["tokenizer"], arguments["texts"], arguments["max_tokens"])
        assert_equal(keep(tmp_path, **arguments), expected)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_tokenizer_that_has_cut_texts_before_is_still_the_same_one(tmp_path):
    tokenizer = build_tokenizer()
    keep(tmp_path, tokenizer=tokenizer)
    encode(tokenizer, TEXTS, 5)
    keep(tmp_path, tokenizer=tokenizer)
    assert len(list(tmp_path.iterdir())) == 1


def test_no_flipped_bit_gives_other_tokens(tmp_path):
    expected = keep(tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        try:
            assert_equal(keep(tmp_path), expected)
        except IntegrityError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 0.9 * len(whole)


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_half_a_file_is_refused(tmp_path, size):
    keep(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(IntegrityError, match="Delete it"):
        keep(tmp_path)


def test_a_writer_killed_at_any_write_leaves_them_to_be_made_anew(tmp_path):
    expected = encode(TOKENIZER, TEXTS, 24)
    for folder in crash_everywhere(tmp_path, keep):
        assert_equal(keep(folder), expected)
