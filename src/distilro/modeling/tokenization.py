"""Tokenizers: trained here or taken from a model, with the project's text rules inside.

The rules of distilro.text come first in a tokenizer's normaliser, so that its folder alone turns
raw text into the same ids as normalised text. Rules for English corpora alone are left out: what is
deployed is Romanian. Placeholders such as <url> are single tokens. Padding: see `ragged`.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from distilro.artifacts import read_json, write_json, write_text
from distilro.errors import DataError, IntegrityError, SettingsError
from distilro.modeling.ragged import RaggedTokens
from distilro.text import PLACEHOLDERS, RULES, RULES_BEFORE_NFC, Rule

__all__ = [
    "RaggedTokens",
    "build_normalizer",
    "encode",
    "load_tokenizer",
    "save_tokenizer",
    "train_tokenizer",
]

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}

_LANGUAGE = "ro"
_CONTINUES = "##"
_MAX_ALPHABET = 1000  # BERT's: words with rarer characters become [UNK]
_MAX_TEXT_CHARS = 20_000  # far beyond 512 word pieces; keeps a line of a megabyte from costing time
_TEXTS_AT_ONCE = 2048  # bounds the memory of encoding a large corpus

logger = logging.getLogger(__name__)


def build_normalizer() -> normalizers.Normalizer:
    """Return a normaliser equal to `normalise(text, "ro")` of distilro.text.

    >>> build_normalizer().normalize_str("Ştie  că http://a.ro")
    'Știe că <url>'
    """
    return normalizers.Sequence([*_replace(RULES_BEFORE_NFC), normalizers.NFC(), *_replace(RULES)])


def train_tokenizer(
    texts: Iterable[str], vocabulary_size: int, *, lowercase: bool
) -> PreTrainedTokenizerFast:
    """Learn a WordPiece vocabulary; the same texts give the same one, in any order.

    Args:
        texts: normalised texts.
        vocabulary_size: most tokens, special tokens and placeholders included; fewer come out of
            few texts.
        lowercase: make upper and lower case one.

    Raises:
        SettingsError: the characters alone do not fit into the vocabulary.
        DataError: there is no text.
    """
    words = _count_words(texts, lowercase=lowercase)
    alphabet = _choose_alphabet(words)
    fixed = [*SPECIAL_TOKENS.values(), *PLACEHOLDERS]
    needed = len(fixed) + 2 * len(alphabet)
    if needed > vocabulary_size:
        raise SettingsError(
            f"vocabulary_size: expected at least {needed} (the texts have {len(alphabet)} common "
            f"characters), got {vocabulary_size}. Nothing was trained; raise it."
        )
    pieces = _train_pieces(words, alphabet, vocabulary_size - len(fixed))
    vocabulary = {token: number for number, token in enumerate([*fixed, *pieces])}
    unknown = SPECIAL_TOKENS["unk_token"]
    tokenizer = Tokenizer(
        models.WordPiece(vocabulary, unk_token=unknown, continuing_subword_prefix=_CONTINUES)
    )
    rules = build_normalizer()
    folding = [normalizers.Lowercase()] if lowercase else []
    tokenizer.normalizer = normalizers.Sequence([rules, *folding])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=_CONTINUES)
    tokenizer.post_processor = _build_template(vocabulary)
    return _add_placeholders(PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL_TOKENS))


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerFast:
    """Load a folder's tokenizer, ours or a model's, with the rules and placeholders put inside.

    Raises:
        IntegrityError: the folder has no tokenizer, or one that needs code of its own.
    """
    path = Path(folder) / "tokenizer_config.json"
    if path.exists() and "auto_map" in read_json(path):
        raise IntegrityError(
            f"{path}: auto_map asks to run code of the model's author, which is never done. "
            "Nothing was loaded; use a model whose tokenizer is one of transformers' own."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, use_fast=True, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise IntegrityError(
            f"{folder}: expected the files of a tokenizer ({', '.join(TOKENIZER_FILES)}); loading "
            f"them failed: {error}"
        ) from error
    if not tokenizer.is_fast:
        raise IntegrityError(f"{folder}: expected a tokenizer with a tokenizer.json, got none.")
    _put_rules_first(tokenizer.backend_tokenizer)
    return _add_placeholders(tokenizer)


def save_tokenizer(folder: str | Path, tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> None:
    """Write tokenizer.json and tokenizer_config.json, each atomically.

    Transformers' AutoTokenizer and pipelines read them as they are and cut at `max_tokens`.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    config = {
        # The class that takes tokenizer.json as it is; BertTokenizer would build its own rules.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **{name: token for name in SPECIAL_TOKENS if (token := getattr(tokenizer, name))},
    }
    write_text(Path(folder) / "tokenizer.json", backend.to_str())
    write_json(Path(folder) / "tokenizer_config.json", config)


def encode(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], max_tokens: int
) -> RaggedTokens:
    """Return the token ids of N texts, special tokens included, each cut after `max_tokens`.

    How many texts were cut is logged.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(max_tokens)
    parts, lengths, cut = [np.zeros(0, np.int32)], [], 0
    try:
        for chunk in _take_chunks(texts):
            encodings = backend.encode_batch_fast([text[:_MAX_TEXT_CHARS] for text in chunk])
            parts.extend(np.array(encoding.ids, dtype=np.int32) for encoding in encodings)
            lengths.extend(len(encoding.ids) for encoding in encodings)
            cut += sum(1 for encoding in encodings if encoding.overflowing)
    finally:
        backend.no_truncation()
    if cut:
        share = 100 * cut / len(lengths)
        logger.info(
            "%d of %d texts (%.1f %%) were cut after %d tokens.",
            cut,
            len(lengths),
            share,
            max_tokens,
        )
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return RaggedTokens(np.concatenate(parts), offsets)


def _replace(rules: Iterable[Rule]) -> list[normalizers.Normalizer]:
    return [
        normalizers.Replace(Regex(rule.pattern), rule.replacement)
        for rule in rules
        if rule.fits(_LANGUAGE)
    ]


def _put_rules_first(backend: Tokenizer) -> None:
    """Put our rules before the tokenizer's own normaliser, unless they are there already."""
    present = json.loads(backend.to_str())["normalizer"]
    chained = normalizers.Sequence([build_normalizer(), *([backend.normalizer] if present else [])])
    ours = json.loads(chained.__getstate__())["normalizers"][0]
    there = (present or {}).get("normalizers", [None])[0]
    if there != ours:
        backend.normalizer = chained


def _add_placeholders(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    # subtle: normalized=True, since `<|PERSON|>` becomes `<ent>` only in the normaliser.
    tokens = [AddedToken(text, normalized=True, special=False) for text in PLACEHOLDERS]
    tokenizer.add_tokens(tokens)
    return tokenizer


def _build_template(vocabulary: dict[str, int]) -> processors.TemplateProcessing:
    first, last = SPECIAL_TOKENS["cls_token"], SPECIAL_TOKENS["sep_token"]
    return processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(token, vocabulary[token]) for token in (first, last)],
    )


def _take_chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while chunk := list(islice(iterator, _TEXTS_AT_ONCE)):
        yield chunk


def _count_words(texts: Iterable[str], *, lowercase: bool) -> Counter[str]:
    """Count what lies between spaces and punctuation, placeholders left out."""
    splitter = pre_tokenizers.BertPreTokenizer()
    # subtle: not str.lower, which turns a few letters into others than the tokenizer does.
    folding = normalizers.Lowercase() if lowercase else normalizers.Sequence([])
    words: Counter[str] = Counter()
    for text in texts:
        for placeholder in PLACEHOLDERS:
            text = text.replace(placeholder, " ")  # noqa: PLW2901 - the same text, shortened
        folded = folding.normalize_str(text)
        words.update(word for word, _ in splitter.pre_tokenize_str(folded))
    if not words:
        raise DataError("There is no text to learn a vocabulary from; expected at least one word.")
    return words


def _choose_alphabet(words: Counter[str]) -> list[str]:
    """Return the most frequent characters, in code point order; of equal ones the lower."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    return sorted(ranked[:_MAX_ALPHABET])


def _train_pieces(words: Counter[str], alphabet: list[str], size: int) -> list[str]:
    """Return at most `size` word pieces, characters first."""
    # subtle: the trainer numbers continuing characters in the order of a hash map, which differs
    # from run to run, and breaks ties by these numbers; naming all of them beforehand fixes them.
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*alphabet, *(_CONTINUES + character for character in alphabet)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        continuing_subword_prefix=_CONTINUES,
        show_progress=False,
    )
    learner = Tokenizer(models.WordPiece(unk_token=SPECIAL_TOKENS["unk_token"]))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    lines = (" ".join([word] * words[word]) for word in sorted(words))
    learner.train_from_iterator(lines, trainer)
    numbers = learner.get_vocab()
    return sorted(numbers, key=numbers.__getitem__)
