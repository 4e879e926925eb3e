"""Vocabulary transfer: give a model another tokenizer's vocabulary and keep what it has learned.

A token that both vocabularies have keeps its embedding. Another one starts as the mean of the old
tokens that the old tokenizer cuts its text into; one that the old tokenizer does not know at all
starts as the mean of all tokens. The output bias, and output weights of their own, go the same way.
Learning the new vocabulary is not done here: adapt the encoder to texts afterwards.

Source: Gee et al. 2022, Fast Vocabulary Transfer for Language Model Compression, section 3. Not
taken: FOCUS (Dobler and de Melo 2023), which weighs the common tokens by their similarity in a
second space of vectors and must first train these on the new texts.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from tokenizers import decoders, models
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.errors import IntegrityError, SettingsError
from distilro.modeling.encoders import find_first_position
from distilro.modeling.tokenization import SPECIAL_TOKENS

_ANCHOR = "a"  # a word to stand before a text, so that the text begins a word and not the line
_WORD_START = "▁"
_NO_CHARACTER = "\ufffd"
_SEPARATE_BIASES = ("cls.predictions.bias", "lm_head.bias")  # of untied heads; written, never used


class _Piece(NamedTuple):
    """What a token stands for, in whatever way its tokenizer writes it."""

    text: str
    place: str  # "start" or "inside" of a word, "whole" of an added token, "bytes" of a character


def transfer_vocabulary(
    model: PreTrainedModel, old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast
) -> dict[str, int]:
    """Put a new vocabulary in the place of a model's old one; the model itself is changed.

    Special tokens keep their roles: [CLS] inherits from <s>. Texts are cut by the old tokenizer as
    a whole, hence lower-cased where it does so: "Ana" then starts as "ana", and counts as
    composed. A RoBERTa whose padding moves keeps as many positions, and each keeps its embedding.

    Args:
        model: with or without its head for masked tokens.
        old: the tokenizer that the model was trained with. Tokens added since, which the model has
            no embedding for, count as unknown.
        new: WordPiece, byte-level BPE, or pieces with ▁, as the old one, in any combination.

    Returns:
        How many tokens of `new` were `copied` (special tokens too), `composed` and `unknown`.

    Raises:
        SettingsError: a tokenizer of another kind, or a new one that lacks a special token.
        IntegrityError: the old tokenizer is not the model's: the model has too few embeddings.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    _check_fit(rows, old, new)
    known = {number: piece for number, piece in _read_pieces(old).items() if number < rows}
    wanted = _read_pieces(new)
    roles = _match_roles(old, new)
    copied = _match_pieces(known, wanted) | {n: o for n, o in roles.items() if o in known}
    left = {n: piece for n, piece in wanted.items() if n not in copied and n not in roles}
    composed = _compose_pieces(old, known, left)
    size = max(wanted) + 1
    parts = [[copied[row]] if row in copied else composed.get(row, []) for row in range(size)]
    for table in _list_tables(model):
        table.data = _mix_rows(table.detach(), parts)
    _describe_size(model, size)
    _move_padding(model, new)
    unknown = len(wanted) - len(copied) - len(composed)
    return {"copied": len(copied), "composed": len(composed), "unknown": unknown}


def _check_fit(rows: int, old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast) -> None:
    added = old.get_added_vocab()
    beyond = sorted(
        token for token, n in old.get_vocab().items() if n >= rows and token not in added
    )
    if beyond:
        raise IntegrityError(
            f"The model has embeddings for {rows} tokens, but the old tokenizer has {len(beyond)} "
            f"more, {beyond[0]!r} for one. Nothing was changed; give the model's own tokenizer."
        )
    if lacking := [role for role in SPECIAL_TOKENS if getattr(new, role) is None]:
        raise SettingsError(
            f"new tokenizer: expected {', '.join(SPECIAL_TOKENS)}, got no {', '.join(lacking)}. "
            "Nothing was changed; choose a tokenizer for masked-language models."
        )


def _match_roles(
    old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast
) -> dict[int, int | None]:
    """Return new id -> old id of the special tokens by their role; None where the old has none."""
    return {getattr(new, f"{role}_id"): getattr(old, f"{role}_id", None) for role in SPECIAL_TOKENS}


def _match_pieces(known: Mapping[int, _Piece], wanted: Mapping[int, _Piece]) -> dict[int, int]:
    """Return new id -> old id of the tokens that stand for the same in both."""
    numbers = {piece: number for number, piece in known.items()}
    return {number: numbers[piece] for number, piece in wanted.items() if piece in numbers}


def _compose_pieces(
    old: PreTrainedTokenizerFast, known: Mapping[int, _Piece], wanted: Mapping[int, _Piece]
) -> dict[int, list[int]]:
    """Return new id -> ids of the old tokens in its text, of all tokens where there are any."""
    readable = {number: piece for number, piece in wanted.items() if piece.place != "bytes"}
    composed = {}
    for number, cut in zip(readable, _cut_texts(old, list(readable.values())), strict=True):
        parts = [part for part in cut if part in known and part != old.unk_token_id]
        if any(known[part].text for part in parts):  # the mark of a word alone says nothing
            composed[number] = parts
    return composed


def _cut_texts(old: PreTrainedTokenizerFast, pieces: Sequence[_Piece]) -> list[list[int]]:
    """Return the ids that the old tokenizer cuts each piece's text into."""
    # subtle: after an anchor, since the rules strip the space that would tell byte-level BPE that
    # a word begins; what is inside a word stands alone, without its mark.
    anchored = [piece.place != "inside" for piece in pieces]
    texts = [
        f"{_ANCHOR} {piece.text}" if after else piece.text
        for piece, after in zip(pieces, anchored, strict=True)
    ]
    anchor, *cuts = old([_ANCHOR, *texts], add_special_tokens=False)["input_ids"]
    return [cut[len(anchor) :] if after else cut for cut, after in zip(cuts, anchored, strict=True)]


def _read_pieces(tokenizer: PreTrainedTokenizerFast) -> dict[int, _Piece]:
    """Return what each token of a tokenizer stands for, by id, in the order of ids."""
    read = _choose_reader(tokenizer)
    added = tokenizer.get_added_vocab()
    numbers = tokenizer.get_vocab()
    return {
        numbers[token]: _Piece(token, "whole") if token in added else read(token)
        for token in sorted(numbers, key=numbers.__getitem__)
    }


def _choose_reader(tokenizer: PreTrainedTokenizerFast) -> Callable[[str], _Piece]:
    """Return the function that reads the tokenizer's way of marking where words begin."""
    backend = tokenizer.backend_tokenizer
    if isinstance(backend.model, models.WordPiece):
        return partial(_read_word_piece, mark=backend.model.continuing_subword_prefix)
    splitter = backend.pre_tokenizer.__getstate__() if backend.pre_tokenizer else b""
    if b'"ByteLevel"' in splitter:
        return partial(_read_byte_piece, decoder=decoders.ByteLevel())
    if b'"Metaspace"' in splitter:
        return _read_marked_piece
    raise SettingsError(
        "tokenizer: expected WordPiece, byte-level BPE or pieces with ▁ where words begin, got "
        f"{type(backend.model).__name__} with another mark. Nothing was changed; choose another."
    )


def _read_word_piece(token: str, mark: str) -> _Piece:
    if token.startswith(mark):
        return _Piece(token.removeprefix(mark), "inside")
    return _Piece(token, "start")


def _read_byte_piece(token: str, decoder: decoders.ByteLevel) -> _Piece:
    text = decoder.decode([token])
    if _NO_CHARACTER in text:
        return _Piece(token, "bytes")
    return _Piece(text[1:], "start") if text.startswith(" ") else _Piece(text, "inside")


def _read_marked_piece(token: str) -> _Piece:
    if token.startswith(_WORD_START):
        return _Piece(token.removeprefix(_WORD_START), "start")
    return _Piece(token, "inside")


def _list_tables(model: PreTrainedModel) -> list[nn.Parameter]:
    """Return the parameters with a row per token, those that are tied to one another once."""
    output = model.get_output_embeddings()
    tables = [model.get_input_embeddings().weight]
    if output is not None:
        separate = (
            parameter
            for name, parameter in model.named_parameters(remove_duplicate=False)
            if name in _SEPARATE_BIASES
        )
        tables += [output.weight, output.bias, *separate]
    return list({id(table): table for table in tables}.values())


def _mix_rows(table: Tensor, parts: Sequence[Sequence[int]]) -> Tensor:
    """Return for each list of rows their mean, and of an empty one that of all rows.

    Args:
        table: [V, ...], a row per old token.
        parts: rows of the table, one list per new token.
    """
    first = torch.tensor([rows[0] if rows else 0 for rows in parts], device=table.device)
    mixed = table.index_select(0, first)  # one row alone is copied to the last bit
    mean = table.mean(dim=0)
    for number, rows in enumerate(parts):
        if len(rows) != 1:
            mixed[number] = table[list(rows)].mean(dim=0) if rows else mean
    return mixed


def _describe_size(model: PreTrainedModel, size: int) -> None:
    """Let modules and configuration say how many tokens there are."""
    model.config.vocab_size = size
    model.get_input_embeddings().num_embeddings = size
    if (output := model.get_output_embeddings()) is not None:
        output.out_features = size


def _move_padding(model: PreTrainedModel, new: PreTrainedTokenizerFast) -> None:
    """Let modules and configuration know the new special ids, positions that count from pad too."""
    config, embeddings = model.config, model.base_model.embeddings
    first = find_first_position(config)
    config.pad_token_id = embeddings.word_embeddings.padding_idx = new.pad_token_id
    for name, number in (("bos_token_id", new.cls_token_id), ("eos_token_id", new.sep_token_id)):
        if getattr(config, name, None) is not None:
            setattr(config, name, number)
    if moved := find_first_position(config) - first:
        _move_positions(embeddings, moved)
        embeddings.padding_idx = embeddings.position_embeddings.padding_idx = new.pad_token_id
        config.max_position_embeddings += moved


def _move_positions(embeddings: nn.Module, moved: int) -> None:
    """Move the embeddings of positions by some rows; those before the first mean nothing."""
    table = embeddings.position_embeddings
    rows = table.weight.detach()  # [P, H]
    filled = [rows[:1].expand(max(moved, 0), -1), rows[max(-moved, 0) :]]
    table.weight.data = torch.cat(filled)
    table.num_embeddings = len(table.weight)
    numbers = torch.arange(table.num_embeddings, device=rows.device)[None]  # [1, P]
    embeddings.position_ids, embeddings.token_type_ids = numbers, torch.zeros_like(numbers)
