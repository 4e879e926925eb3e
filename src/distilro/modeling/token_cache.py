"""Token ids kept on disk: a mixture is tokenised once, whichever cells are trained on it.

A file's name is the hash of all that decides its content (texts, tokenizer, truncation), so that
it never grows old; a file that is damaged is refused. Nothing but this module reads the folder,
which may be deleted at any time.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from transformers import PreTrainedTokenizerFast

from distilro.artifacts import hash_json, write_atomically
from distilro.errors import IntegrityError
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.tokenization import encode

VERSION = 1


def encode_once(
    folder: str | Path,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    max_tokens: int,
) -> RaggedTokens:
    """Return what `encode` returns, from `folder` where these texts were tokenised before.

    Raises:
        IntegrityError: the kept tokens are damaged.
    """
    path = Path(folder) / f"{_name(tokenizer, texts, max_tokens)}.safetensors"
    if path.exists():
        return _read(path, len(texts))
    tokens = encode(tokenizer, texts, max_tokens)
    with write_atomically(path) as temporary:
        arrays = {"ids": tokens.ids, "offsets": tokens.offsets}
        save_file(arrays, temporary, metadata={"sha256": _hash(tokens)})
    return tokens


def _name(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], max_tokens: int) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8"))
        digest.update(b"\x00")  # no text holds one: the rules of distilro.text remove it
    rules = tokenizer.backend_tokenizer.to_str()
    return hash_json([VERSION, digest.hexdigest(), rules, max_tokens])


def _read(path: Path, texts: int) -> RaggedTokens:
    try:
        with safe_open(path, framework="numpy") as kept:
            tokens = RaggedTokens(kept.get_tensor("ids"), kept.get_tensor("offsets"))
            expected = (kept.metadata() or {}).get("sha256")
    except SafetensorError as error:
        raise IntegrityError(f"{path} is damaged ({error}). Delete it; it is made anew.") from error
    digest = _hash(tokens)
    if digest != expected or len(tokens) != texts:
        raise IntegrityError(
            f"{path}: expected {texts} texts and SHA-256 {expected}, got {len(tokens)} and "
            f"{digest}. Nothing was used; delete it, and it is made anew."
        )
    return tokens


def _hash(tokens: RaggedTokens) -> str:
    digest = hashlib.sha256(tokens.ids.tobytes())
    digest.update(tokens.offsets.tobytes())
    return digest.hexdigest()
