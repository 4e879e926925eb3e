"""Vocabulary transfer: what every token of a new vocabulary starts as, and what stays as it was."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerFast

from distilro.errors import IntegrityError, SettingsError
from distilro.modeling.encoders import (
    ARCHITECTURES,
    add_token_rows,
    count_positions,
    load_encoder,
    load_masked_model,
    save_encoder,
)
from distilro.modeling.tokenization import SPECIAL_TOKENS, load_tokenizer, train_tokenizer
from distilro.modeling.vocabulary_transfer import transfer_vocabulary
from tests.modeling.tiny import CONFIGS, TEXTS, build_tokenizer, write_hub_model

BERT_TOKENS = list(SPECIAL_TOKENS.values())
ROBERTA_ROLES = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "mask_token": "<mask>",
}
ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>"]  # <mask> is the last of all


def build_word_pieces(pieces: Sequence[str], *, lowercase: bool = False) -> PreTrainedTokenizerFast:
    """Return a BERT tokenizer of the five special tokens and these pieces, in this order."""
    vocabulary = {token: number for number, token in enumerate([*BERT_TOKENS, *pieces])}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase()] if lowercase else [])
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    frame = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, frame)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL_TOKENS)


def build_byte_pieces(merges: Sequence[tuple[str, str]]) -> PreTrainedTokenizerFast:
    """Return a RoBERTa tokenizer: byte-level BPE with these merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    joined = [left + right for left, right in merges]
    tokens = [*ROBERTA_TOKENS, *alphabet, *joined, "<mask>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.BPE(vocabulary, list(merges), unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **ROBERTA_ROLES)


def build_marked_pieces(pieces: Sequence[str]) -> PreTrainedTokenizerFast:
    """Return an XLM-RoBERTa tokenizer: a unigram model of these pieces, long ones preferred."""
    tokens = [*ROBERTA_TOKENS, *pieces, "<mask>"]
    backend = Tokenizer(models.Unigram([(token, -1.0) for token in tokens], unk_id=3))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    frame = [("<s>", 0), ("</s>", 2)]
    backend.post_processor = processors.TemplateProcessing("<s> $A </s>", None, frame)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **ROBERTA_ROLES)


def build_model(kind: str, tokenizer: PreTrainedTokenizerFast, rows: int = 0) -> PreTrainedModel:
    """Return a model of an architecture for a tokenizer, with a bias unlike zero."""
    values = CONFIGS[kind].to_dict() | {"vocab_size": rows or len(tokenizer)}
    config = type(CONFIGS[kind])(**values | {"pad_token_id": tokenizer.pad_token_id})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = AutoModelForMaskedLM.from_config(config).eval()
        with torch.no_grad():
            model.get_output_embeddings().bias.normal_()
    return model


def renumber(tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer that cuts alike and numbers its tokens in another order."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    numbers = list(range(len(tokenizer)))
    random.Random(seed).shuffle(numbers)
    vocabulary = state["model"]["vocab"]
    state["model"]["vocab"] = {token: numbers[number] for token, number in vocabulary.items()}
    for token in state["added_tokens"]:
        token["id"] = numbers[token["id"]]
    for token in state["post_processor"]["special_tokens"].values():
        token["ids"] = [numbers[number] for number in token["ids"]]
    backend = Tokenizer.from_str(json.dumps(state))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL_TOKENS)


@torch.inference_mode()
def compute_logits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Return the last states [B, T, H], zero at padding, and the logits [B, T, V] of texts."""
    batch = tokenizer(list(texts), padding=True, return_tensors="pt", return_token_type_ids=False)
    states = model.base_model(**batch).last_hidden_state * batch["attention_mask"][..., None]
    return states, model(**batch).logits


def read_row(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, token: str) -> Tensor:
    """Return a token's embedding with its output bias, [H + 1]."""
    number = tokenizer.get_vocab()[token]
    bias = model.get_output_embeddings().bias[number]
    return torch.cat([model.get_input_embeddings().weight[number], bias[None]]).detach()


def read_all(model: PreTrainedModel) -> Tensor:
    """Return all embeddings with their output biases, [V, H + 1]."""
    bias = model.get_output_embeddings().bias
    return torch.cat([model.get_input_embeddings().weight, bias[:, None]], dim=1).detach()


def check_tied(model: PreTrainedModel, size: int) -> None:
    rows = model.get_input_embeddings().weight
    output = model.get_output_embeddings()
    assert output.weight is rows
    assert rows.shape[0] == model.config.vocab_size == output.out_features == size
    assert model.get_input_embeddings().num_embeddings == size
    assert output.bias.shape == (size,)


def test_a_composed_token_is_the_mean_of_the_old_tokens_in_its_text():
    """By hand: "mare" is cut into "mar" and "##e"; "##are", without its mark, into "a" and "##re".

    "##e" keeps its embedding; "ș" is unknown, so that it starts as the mean of all twelve.
    """
    old = build_word_pieces(["mar", "##e", "a", "##re", "ma", "##ma", "."])
    new = build_word_pieces(["mare", "##are", "##e", "ș"])
    model = build_model("bert", old)
    before = {token: read_row(model, old, token) for token in old.get_vocab()}
    counts = transfer_vocabulary(model, old, new)
    assert counts == {"copied": 5 + 1, "composed": 2, "unknown": 1}
    assert torch.equal(read_row(model, new, "mare"), (before["mar"] + before["##e"]) / 2)
    assert torch.equal(read_row(model, new, "##are"), (before["a"] + before["##re"]) / 2)
    assert torch.equal(read_row(model, new, "##e"), before["##e"])
    everything = torch.stack(list(before.values())).mean(dim=0)
    torch.testing.assert_close(read_row(model, new, "ș"), everything)
    check_tied(model, 9)


def test_every_token_starts_as_a_plain_reading_of_the_paper_says():
    """Its authors' rule: the same token, or else the mean over its text as the old one cuts it."""
    old = build_tokenizer()
    new = train_tokenizer(TEXTS[:5], 300, lowercase=False)
    model = build_model("bert", old)
    table, known = read_all(model), old.get_vocab()
    transfer_vocabulary(model, old, new)
    for token in new.get_vocab():
        parts = [token] if token in known else old.tokenize(token.removeprefix("##"))
        rows = table[[known[part] for part in parts]]
        torch.testing.assert_close(read_row(model, new, token), rows.mean(dim=0))


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_the_same_vocabulary_changes_no_bit(kind: str):
    tokenizer = build_tokenizer()
    model = build_model(kind, tokenizer)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config = model.config.to_dict()
    expected = compute_logits(model, tokenizer, TEXTS)
    counts = transfer_vocabulary(model, tokenizer, build_tokenizer())
    assert counts == {"copied": len(tokenizer), "composed": 0, "unknown": 0}
    for name, value in model.state_dict().items():
        assert value.numpy().tobytes() == before[name].numpy().tobytes()
    for after, logits in zip(compute_logits(model, tokenizer, TEXTS), expected, strict=True):
        assert torch.equal(after, logits)
    ids = {"bos_token_id", "eos_token_id"}  # RoBERTa's, which are no tokens of this vocabulary
    assert {n: v for n, v in model.config.to_dict().items() if n not in ids} == {
        n: v for n, v in config.items() if n not in ids
    }


@pytest.mark.parametrize("build", ["bytes", "marks"])
def test_the_same_vocabulary_of_another_kind_changes_no_bit(build: str):
    tokenizer = (
        build_byte_pieces([("Ġ", "m"), ("È", "Ļ")])
        if build == "bytes"
        else build_marked_pieces(["▁", "▁a", "a"])
    )
    model = build_model("roberta", tokenizer)
    before = read_all(model)
    config = model.config.to_dict()
    counts = transfer_vocabulary(model, tokenizer, tokenizer)
    assert counts == {"copied": len(tokenizer), "composed": 0, "unknown": 0}
    assert torch.equal(read_all(model), before)
    assert model.config.to_dict() == config


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_the_same_tokens_in_another_order_give_the_same_states(kind: str, seed: int):
    """Padding moves too, and with it the positions of RoBERTa, which are counted from its id."""
    old = build_tokenizer()
    new = renumber(old, seed)
    model = build_model(kind, old)
    states, logits = compute_logits(model, old, TEXTS)
    positions = count_positions(model.config)
    assert transfer_vocabulary(model, old, new)["copied"] == len(old)
    after, permuted = compute_logits(model, new, TEXTS)
    assert torch.equal(after, states)
    places = [new.get_vocab()[token] for token in old.convert_ids_to_tokens(range(len(old)))]
    torch.testing.assert_close(permuted[..., places], logits)
    assert model.config.pad_token_id == new.pad_token_id
    assert model.get_input_embeddings().padding_idx == new.pad_token_id
    assert count_positions(model.config) == positions


@pytest.mark.parametrize("pad", [0, 3])
@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta"])
def test_positions_counted_from_padding_move_with_it_into_the_folder(
    tmp_path: Path, kind: str, pad: int
):
    """<pad> is 1 before; afterwards, at 0 or 3, there are as many positions, a row less or more."""
    old = build_marked_pieces(["▁", "▁mare", "mare", "e"])
    pieces = [*BERT_TOKENS[1:], "mare", "##e"]
    pieces.insert(pad, "[PAD]")
    vocabulary = {token: number for number, token in enumerate(pieces)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    new = PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL_TOKENS)
    model = build_model(kind, old)
    rows = model.base_model.embeddings.position_embeddings.weight.detach().clone()
    transfer_vocabulary(model, old, new)
    moved = model.base_model.embeddings.position_embeddings.weight
    assert model.config.max_position_embeddings == len(moved) == 42 + pad - 1
    assert torch.equal(moved[pad:], rows[1:])
    save_encoder(tmp_path, model, new, {})
    encoder, config = load_encoder(tmp_path)
    assert count_positions(config) == 40
    ids = torch.full((1, 40), new.get_vocab()["mare"])
    states = encoder(input_ids=ids).last_hidden_state
    torch.testing.assert_close(model.base_model(ids).last_hidden_state, states)


def test_special_tokens_inherit_by_their_role_not_by_their_text():
    old = build_byte_pieces([("Ġ", "m"), ("Ġ", "[")])
    new = build_word_pieces(["m"])
    model = build_model("roberta", old)
    before = {token: read_row(model, old, token) for token in old.get_vocab()}
    counts = transfer_vocabulary(model, old, new)
    for role, token in SPECIAL_TOKENS.items():
        assert torch.equal(read_row(model, new, token), before[ROBERTA_ROLES[role]])
    assert counts == {"copied": 6, "composed": 0, "unknown": 0}
    assert (model.config.bos_token_id, model.config.eos_token_id) == (2, 3)


def test_a_role_that_the_old_tokenizer_lacks_starts_as_the_mean_of_all():
    old = build_word_pieces(["[", "mask", "]"])
    old.mask_token = None
    new = build_word_pieces([])
    new.add_special_tokens({"mask_token": "<mask>"})
    model = build_model("bert", old)
    everything = read_all(model).mean(dim=0)
    assert transfer_vocabulary(model, old, new) == {"copied": 5, "composed": 0, "unknown": 1}
    torch.testing.assert_close(read_row(model, new, "<mask>"), everything)


def test_a_word_s_beginning_is_known_across_kinds_of_tokenizers():
    """In byte-level BPE "m" is inside a word and "Ġm" begins one; in WordPiece "##m" and "m".

    "șm" is no token there; its bytes are: È and Ļ of "ș", after a space of their own.
    """
    old = build_byte_pieces([("Ġ", "m")])
    new = build_word_pieces(["m", "##m", "șm", "##șm"])
    model = build_model("roberta", old)
    before = {token: read_row(model, old, token) for token in old.get_vocab()}
    transfer_vocabulary(model, old, new)
    assert torch.equal(read_row(model, new, "m"), before["Ġm"])
    assert torch.equal(read_row(model, new, "##m"), before["m"])
    for token, parts in (("șm", "ĠÈĻm"), ("##șm", "ÈĻm")):
        expected = torch.stack([before[part] for part in parts]).mean(dim=0)
        torch.testing.assert_close(read_row(model, new, token), expected)


def test_the_rules_of_the_project_do_not_hide_where_a_word_begins(tmp_path):
    """They strip the space before a text, which alone says in byte-level BPE that a word begins."""
    build_byte_pieces([("Ġ", "m"), ("Ġm", "a")]).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "roberta"}', encoding="utf-8")
    old = load_tokenizer(tmp_path)
    new = build_word_pieces(["mam"])
    model = build_model("roberta", old)
    before = {token: read_row(model, old, token) for token in ("Ġma", "m")}
    transfer_vocabulary(model, old, new)
    torch.testing.assert_close(read_row(model, new, "mam"), (before["Ġma"] + before["m"]) / 2)


def test_pieces_with_marked_beginnings_are_read_in_both_directions():
    """The mark alone says nothing of a word: "ț" is unknown though "▁" is cut from it."""
    marked = build_marked_pieces(["▁", "▁ma", "re", "e"])
    words = build_word_pieces(["ma", "##re", "re", "mare", "ț"])
    model = build_model("xlm-roberta", marked)
    before = {token: read_row(model, marked, token) for token in marked.get_vocab()}
    counts = transfer_vocabulary(model, marked, words)
    assert counts == {"copied": 5 + 2, "composed": 2, "unknown": 1}
    after = {token: read_row(model, words, token) for token in words.get_vocab()}
    assert torch.equal(after["ma"], before["▁ma"])
    assert torch.equal(after["##re"], before["re"])
    torch.testing.assert_close(after["re"], (before["▁"] + before["re"]) / 2)
    torch.testing.assert_close(after["mare"], (before["▁ma"] + before["re"]) / 2)
    counts = transfer_vocabulary(model, words, marked)
    assert counts == {"copied": 5 + 2, "composed": 0, "unknown": 2}
    assert torch.equal(read_row(model, marked, "▁ma"), before["▁ma"])


def test_bytes_that_are_no_character_are_unknown_to_words():
    """The byte that is written È is half of "ș", not the letter È."""
    old, new = build_word_pieces(["m", "È"]), build_byte_pieces([("Ġ", "m")])
    model = build_model("roberta", old)
    everything = read_all(model).mean(dim=0)
    transfer_vocabulary(model, old, new)
    torch.testing.assert_close(read_row(model, new, "È"), everything)


def test_an_old_tokenizer_that_lower_cases_gives_capitals_what_small_letters_have():
    old = build_word_pieces(["ana", "mar", "##ia"], lowercase=True)
    new = build_word_pieces(["Ana", "ana", "MARIA"])
    model = build_model("bert", old)
    before = {token: read_row(model, old, token) for token in old.get_vocab()}
    counts = transfer_vocabulary(model, old, new)
    assert counts == {"copied": 5 + 1, "composed": 2, "unknown": 0}
    assert torch.equal(read_row(model, new, "Ana"), before["ana"])
    assert torch.equal(read_row(model, new, "MARIA"), (before["mar"] + before["##ia"]) / 2)


def test_a_new_tokenizer_that_lower_cases_takes_small_letters_alone():
    old = build_word_pieces(["Ana", "an", "##a"])
    new = build_word_pieces(["ana"], lowercase=True)
    model = build_model("bert", old)
    before = {token: read_row(model, old, token) for token in old.get_vocab()}
    transfer_vocabulary(model, old, new)
    assert torch.equal(read_row(model, new, "ana"), (before["an"] + before["##a"]) / 2)


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("size", [110, 300])
def test_a_trained_vocabulary_shrinks_or_grows_the_model_and_its_folder(
    tmp_path: Path, kind: str, size: int
):
    old = build_tokenizer()
    new = train_tokenizer(TEXTS[:4] if size < len(old) else TEXTS, size, lowercase=False)
    model = build_model(kind, old)
    before = sum(value.numel() for value in model.parameters())
    counts = transfer_vocabulary(model, old, new)
    assert sum(counts.values()) == len(new) != len(old)
    assert counts["copied"] > len(BERT_TOKENS)
    assert counts["unknown"] == 0
    check_tied(model, len(new))
    grown = (len(new) - len(old)) * (model.get_input_embeddings().embedding_dim + 1)
    assert sum(value.numel() for value in model.parameters()) - before == grown
    save_encoder(tmp_path, model, new, {"vocabulary": counts})
    loaded, has_head = load_masked_model(tmp_path)
    assert has_head
    for first, second in zip(
        compute_logits(model, new, TEXTS), compute_logits(loaded, new, TEXTS), strict=True
    ):
        torch.testing.assert_close(first, second)


def test_output_weights_of_their_own_are_transferred_too(tmp_path: Path):
    old = build_word_pieces(["mar", "##e", "a"])
    new = build_word_pieces(["mare"])
    config = type(CONFIGS["bert"])(**CONFIGS["bert"].to_dict() | {"tie_word_embeddings": False})
    config.vocab_size = len(old)
    model = AutoModelForMaskedLM.from_config(config).eval()
    table = model.get_output_embeddings().weight.detach().clone()
    assert not torch.equal(table, model.get_input_embeddings().weight)
    transfer_vocabulary(model, old, new)
    row = model.get_output_embeddings().weight[5]
    assert torch.equal(row, (table[5] + table[6]) / 2)
    save_encoder(tmp_path, model, new, {})
    assert load_masked_model(tmp_path)[1] is True


def test_an_encoder_without_head_is_transferred_too():
    old, new = build_word_pieces(["mar", "##e"]), build_word_pieces(["##e"])
    model = build_model("bert", old)
    encoder = model.base_model
    expected = encoder.get_input_embeddings().weight[6].clone()
    assert transfer_vocabulary(encoder, old, new)["copied"] == 6
    assert torch.equal(encoder.get_input_embeddings().weight[5], expected)


def test_tokens_added_since_are_unknown_and_spare_rows_are_dropped(tmp_path: Path):
    """A model of the hub has no embeddings for the placeholders that its tokenizer gets here."""
    folder = write_hub_model(tmp_path)
    state = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for added in [token for token in state["added_tokens"] if not token["special"]]:
        state["added_tokens"].remove(added)
        del state["model"]["vocab"][added["content"]]
    kept = sorted(state["model"]["vocab"], key=state["model"]["vocab"].get)
    state["model"]["vocab"] = {token: number for number, token in enumerate(kept)}
    (folder / "tokenizer.json").write_text(json.dumps(state), encoding="utf-8")
    old, new = load_tokenizer(folder), build_tokenizer()
    assert old.get_vocab()["<url>"] >= len(kept)
    model = build_model("bert", old, rows=len(kept))
    everything = read_all(model).mean(dim=0)
    assert transfer_vocabulary(model, old, new)["unknown"] == 5
    torch.testing.assert_close(read_row(model, new, "<url>"), everything)
    assert add_token_rows(model, new) == 0
    spare = build_model("bert", old, rows=400)
    transfer_vocabulary(spare, old, new)
    check_tied(spare, len(new))


def test_a_transferred_model_learns_every_token_but_padding():
    old = build_word_pieces(["mar", "##e"])
    new = renumber(build_word_pieces(["mare", "##e", "a"]), 3)
    model = build_model("bert", old)
    transfer_vocabulary(model, old, new)
    model.base_model(torch.arange(len(new))[None]).last_hidden_state.pow(2).sum().backward()
    learned = model.get_input_embeddings().weight.grad.abs().sum(dim=1) > 0
    assert learned.tolist() == [number != new.pad_token_id for number in range(len(new))]


def test_random_numbers_are_left_alone():
    old, new = build_tokenizer(), train_tokenizer(TEXTS, 150, lowercase=True)
    model = build_model("bert", old)
    state = torch.get_rng_state()
    transfer_vocabulary(model, old, new)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_tokenizer_of_another_model_is_refused_and_nothing_changes():
    old = build_word_pieces(["mar", "##e"])
    model = build_model("bert", old)
    before = read_all(model)
    with pytest.raises(IntegrityError, match=r"for 7 tokens, but the old .* has \d+ more, '!'"):
        transfer_vocabulary(model, build_tokenizer(), old)
    assert torch.equal(read_all(model), before)


def test_a_tokenizer_that_marks_words_in_another_way_is_refused():
    old = build_word_pieces(["mar"])
    backend = Tokenizer(models.WordLevel({t: n for n, t in enumerate(BERT_TOKENS)}, "[UNK]"))
    new = PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL_TOKENS)
    model = build_model("bert", old)
    with pytest.raises(SettingsError, match=r"expected WordPiece, byte-level BPE .* got WordLevel"):
        transfer_vocabulary(model, old, new)
    assert model.config.vocab_size == len(old)


def test_a_new_tokenizer_without_mask_is_refused():
    old, new = build_word_pieces(["mar"]), build_word_pieces(["mar"])
    new.mask_token = None
    with pytest.raises(SettingsError, match="got no mask_token"):
        transfer_vocabulary(build_model("bert", old), old, new)
