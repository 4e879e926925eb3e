"""Tokenizers: trained here or taken from a model, with our text rules inside.

The rules of distilro.text become the first part of the tokenizer's normaliser, so that a model
that left this project treats raw text as its training text was treated. Rules for English corpora
alone are left out: what is deployed is Romanian.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from tokenizers import decoders, processors, trainers
from transformers import PreTrainedTokenizerFast

from distilro.artifacts import write_atomically, write_json
from distilro.errors import DataError, IntegrityError
from distilro.modeling.ragged import RaggedTokens
from distilro.text import PLACEHOLDERS, RULES, RULES_BEFORE_NFC, Rule

logger = logging.getLogger(__name__)

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
_LONGEST_TEXT_CHARS = 20_000  # far beyond 512 word pieces; keeps a megabyte line from costing time


def build_normalizer() -> normalizers.Normalizer:
    """Return distilro.text.normalise for Romanian as a normaliser of the tokenizers library."""
    return normalizers.Sequence(
        [*_replace(RULES_BEFORE_NFC), normalizers.NFC(), *_replace(RULES)]
    )


def train_tokenizer(
    texts: Iterable[str], *, vocabulary_size: int, lowercase: bool
) -> PreTrainedTokenizerFast:
    """Train WordPiece on texts; the same texts in the same order give the same bytes.

    Raises:
        DataError: there is no text.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - a token of text
    lower = [normalizers.Lowercase()] if lowercase else []
    tokenizer.normalizer = normalizers.Sequence([build_normalizer(), *lower])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(_SPECIAL.values()),
        show_progress=False,
    )
    texts = list(texts)
    if not texts:
        raise DataError("A tokenizer cannot be trained: there is no text.")
    tokenizer.train_from_iterator(texts, trainer)
    cls, sep = (tokenizer.token_to_id(_SPECIAL[name]) for name in ("cls_token", "sep_token"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    return add_placeholders(PreTrainedTokenizerFast(tokenizer_object=tokenizer, **_SPECIAL))


def put_rules_inside(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Put our text rules before a tokenizer's own normaliser, and our placeholders into it."""
    own = tokenizer.backend_tokenizer.normalizer
    rules = build_normalizer()
    tokenizer.backend_tokenizer.normalizer = (
        normalizers.Sequence([rules, own]) if own is not None else rules
    )
    return add_placeholders(tokenizer)


def add_placeholders(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Make each placeholder one token, found after normalisation."""
    # subtle: normalized=True, since `<|PERSON|>` becomes `<ent>` only in the normaliser.
    tokens = [AddedToken(text, normalized=True, special=False) for text in PLACEHOLDERS]
    tokenizer.add_tokens(tokens)
    return tokenizer


def save_tokenizer(folder: str | Path, tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> None:
    """Write tokenizer.json and tokenizer_config.json, each atomically."""
    folder = Path(folder)
    with write_atomically(folder / "tokenizer.json") as temporary:
        temporary.write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
    special = {name: getattr(tokenizer, name) for name in _SPECIAL}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "clean_up_tokenization_spaces": False,
        **{name: token for name, token in special.items() if token is not None},
    }
    write_json(folder / "tokenizer_config.json", config)


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerFast:
    """Read a tokenizer that `save_tokenizer` wrote, from its two files alone."""
    folder = Path(folder)
    for name in TOKENIZER_FILES:
        if not (folder / name).is_file():
            raise IntegrityError(f"{folder / name} is missing; expected a saved tokenizer.")
    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)


def encode(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], max_tokens: int
) -> RaggedTokens:
    """Return the tokens of texts, special ones included, each cut after `max_tokens`.

    The share of texts that were cut is logged.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(max_tokens)
    # Threads of the tokenizers library and of torch in one process would fight for the cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    encodings = backend.encode_batch_fast([text[:_LONGEST_TEXT_CHARS] for text in texts])
    lengths = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
    cut = int(np.sum([bool(encoding.overflowing) for encoding in encodings]))
    if cut:
        logger.info("%d of %d texts were cut after %d tokens.", cut, len(texts), max_tokens)
    ids = [np.asarray(encoding.ids, dtype=np.int32) for encoding in encodings]
    return RaggedTokens(
        ids=np.concatenate([np.empty(0, np.int32), *ids]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )


def _replace(rules: Iterable[Rule]) -> list[normalizers.Normalizer]:
    return [
        normalizers.Replace(Regex(rule.pattern), rule.replacement)
        for rule in rules
        if rule.fits("ro")
    ]
