"""Tokenizers: the rules inside them, how they are trained, and how texts become ids."""

import hashlib
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers
from transformers import AutoTokenizer

from distilro.errors import DataError, IntegrityError, SettingsError
from distilro.modeling.tokenization import (
    build_normalizer,
    encode,
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)
from distilro.text import PLACEHOLDERS, normalise
from tests.modeling.tiny import TEXTS, build_tokenizer, write_hub_model

PIECES = st.sampled_from(["Ş", "ţ", "\u0327", "&amp;", "lt;", "http://a", "@ana", "<|URL|>", " "])
UNICODE = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.characters())).map("".join))
RULES = build_normalizer()

DIGEST_OF_A_TRAINING = """
import hashlib, random, sys
from distilro.modeling.tokenization import train_tokenizer
order = random.Random(int(sys.argv[1]))
texts = [f"{a}{b} {b}{c}" for a in "abcdefghij" for b in "mnopqrstuv" for c in "ăâîșț"]
order.shuffle(texts)
tokenizer = train_tokenizer(texts, 150, lowercase=False)
print(hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@given(UNICODE)
def test_the_normaliser_inside_is_the_one_of_the_corpora(text: str):
    assert RULES.normalize_str(text) == normalise(text, "ro")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Ştiinţa  şi\u200b ţara", "Știința și țara"),
        ("<|PERSON|>, http://a.ro/b @ana_b", "<ent>, <url> <user>"),
        ("[NAME]: ana@a.ro <|TEL|>", "<ent>: <email> <tel>"),
    ],
)
def test_raw_and_normalised_text_have_the_same_ids(tokenizer, raw: str, clean: str):
    assert tokenizer(raw)["input_ids"] == tokenizer(clean)["input_ids"]


def test_each_placeholder_is_one_token(tokenizer):
    ids = tokenizer("".join(PLACEHOLDERS), add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == list(PLACEHOLDERS)


def test_special_tokens_come_first_and_frame_a_text(tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(range(5))
    assert tokens == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    framed = tokenizer.convert_ids_to_tokens(tokenizer("plouă")["input_ids"])
    assert (framed[0], framed[-1]) == ("[CLS]", "[SEP]")


def test_frequent_words_become_pieces_of_their_own():
    """Of "aba" x 3 and "abb": the pair (a, ##b) leads and gives "ab", then (ab, ##a) gives "aba".

    Ten fixed tokens, two characters twice: 14, so that a vocabulary of 16 has room for two merges.
    """
    trained = train_tokenizer(["aba aba", "aba abb"], 16, lowercase=False)
    vocabulary = trained.get_vocab()
    learned = sorted(vocabulary, key=vocabulary.get)[10:]
    assert learned == ["a", "b", "##a", "##b", "ab", "aba"]


def test_lowercase_makes_cases_one():
    folded = train_tokenizer(TEXTS, 200, lowercase=True)
    assert folded("ȘTIINȚA")["input_ids"] == folded("știința")["input_ids"]


@pytest.mark.parametrize("size", [120, 200, 10_000])
def test_a_vocabulary_is_never_larger_than_asked(size: int):
    assert len(train_tokenizer(TEXTS, size, lowercase=True)) <= size


def test_the_same_texts_give_the_same_bytes_in_any_order_process_and_number_of_threads():
    digests = set()
    for run in range(3):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(run),
            "RAYON_NUM_THREADS": str(run + 1),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-c", DIGEST_OF_A_TRAINING, str(run)]
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1


def test_no_text_is_refused():
    with pytest.raises(DataError, match="no text"):
        train_tokenizer(["", "<url>"], 100, lowercase=False)


def test_a_vocabulary_that_cannot_hold_the_characters_is_refused():
    with pytest.raises(SettingsError, match="vocabulary_size: expected at least"):
        train_tokenizer(TEXTS, 50, lowercase=False)


def test_a_saved_tokenizer_gives_the_same_ids_in_ours_and_in_plain_transformers(
    tokenizer, tmp_path
):
    save_tokenizer(tmp_path, tokenizer, 32)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    raw = ["Ştie  <|PERSON|> că http://x.ro plouă", *TEXTS]
    expected = tokenizer(raw)["input_ids"]
    assert load_tokenizer(tmp_path)(raw)["input_ids"] == expected
    plain = AutoTokenizer.from_pretrained(tmp_path)
    assert plain(raw)["input_ids"] == expected
    assert plain.model_max_length == 32


def test_saving_what_was_loaded_changes_no_byte(tokenizer, tmp_path):
    save_tokenizer(tmp_path / "a", tokenizer, 32)
    save_tokenizer(tmp_path / "b", load_tokenizer(tmp_path / "a"), 32)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        first, second = ((tmp_path / folder / name).read_bytes() for folder in "ab")
        assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


def test_a_model_s_own_tokenizer_gets_the_rules_before_its_own(tmp_path):
    folder = write_hub_model(tmp_path)
    path = folder / "tokenizer.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    state["normalizer"] = json.loads(normalizers.Sequence([normalizers.Lowercase()]).__getstate__())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["special"]]
    path.write_text(json.dumps(state), encoding="utf-8")
    loaded = load_tokenizer(folder)
    normalised = loaded.backend_tokenizer.normalizer.normalize_str("ŞTIE http://a.ro")
    assert normalised == "știe <url>"
    assert loaded.tokenize("<|URL|>") == ["<url>"]


def test_code_of_the_model_s_author_is_never_run(tmp_path):
    folder = write_hub_model(tmp_path)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoTokenizer": ["evil.Evil", None]}
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(IntegrityError, match="auto_map"):
        load_tokenizer(folder)


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(IntegrityError, match="expected the files of a tokenizer"):
        load_tokenizer(tmp_path)


def test_encoding_gives_what_transformers_gives(tokenizer):
    tokens = encode(tokenizer, TEXTS, 12)
    expected = tokenizer(TEXTS, truncation=True, max_length=12)["input_ids"]
    assert tokens.ids.dtype == np.int32
    assert tokens.offsets.dtype == np.int64
    parts = np.split(tokens.ids, tokens.offsets[1:-1])
    assert [part.tolist() for part in parts] == expected


def test_cut_texts_keep_their_last_special_token_and_are_counted(tokenizer, caplog):
    with caplog.at_level("INFO"):
        tokens = encode(tokenizer, ["plouă", "plouă mărunt " * 50], 8)
    assert tokens.lengths.max() == 8
    assert tokens.ids[-1] == tokenizer.sep_token_id
    assert "1 of 2 texts (50.0 %) were cut after 8 tokens." in caplog.text


def test_encoding_leaves_the_tokenizer_as_it_was(tokenizer):
    before = tokenizer.backend_tokenizer.to_str()
    encode(tokenizer, TEXTS, 8)
    assert tokenizer.backend_tokenizer.to_str() == before


def test_no_texts_are_no_tokens(tokenizer):
    tokens = encode(tokenizer, [], 8)
    assert (len(tokens), tokens.ids.size) == (0, 0)


def test_a_line_of_a_megabyte_takes_under_two_seconds(tokenizer):
    began = time.perf_counter()
    tokens = encode(tokenizer, ["vânt, " * 170_000], 128)
    assert time.perf_counter() - began < 2
    assert tokens.lengths.tolist() == [128]
