"""Encoders of the Hugging Face hub: one commit of a model, in the local cache or fetched into it.

Only configuration, safetensors and tokenizer files are ever fetched: no pickled weights, no code.
What is fetched is checked when it is loaded (see `encoders.check_folder`).
"""

import logging
import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import RevisionResolutionError

from distilro.artifacts import read_json, write_json
from distilro.errors import DataError, IntegrityError

logger = logging.getLogger(__name__)

_WANTED = [
    "config.json",
    "*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
]
_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch_from_hub(
    name: str,
    revision: str | None,
    *,
    lock: str | Path | None = None,
    cache: str | Path | None = None,
) -> tuple[Path, str]:
    """Return the folder of a hub model and the commit it is.

    Without network (or with HF_HUB_OFFLINE=1) the local cache serves, where it holds the model.

    Args:
        name: owner/model.
        revision: commit, 40 hex digits; None takes the one that `lock` recorded or, on first use,
            the newest one, which is then recorded there.
        lock: JSON file, name -> commit; None records nothing.
        cache: the cache's folder; by default the hub library's own.

    Raises:
        DataError: the model is neither within reach nor in the cache.
        IntegrityError: the lock names something that is no commit.
    """
    locked = _read_lock(lock)
    wanted = revision or locked.get(name) or "main"
    try:
        folder = Path(
            snapshot_download(name, revision=wanted, cache_dir=cache, allow_patterns=_WANTED)
        )
    except (OSError, ValueError, RevisionResolutionError) as error:
        raise DataError(
            f"{name} at revision {wanted}: neither the hub nor the local cache gave it: {error} "
            "Nothing was loaded. Check the network once, name a folder (source: folder), or use "
            "source: scratch, which needs no network."
        ) from error
    commit = folder.name
    if lock is not None and revision is None and name not in locked:
        write_json(lock, {**locked, name: commit})
        logger.info("%s: revision %s, recorded in %s.", name, commit, lock)
    return folder, commit


def _read_lock(lock: str | Path | None) -> dict[str, str]:
    if lock is None or not Path(lock).exists():
        return {}
    locked = read_json(lock)
    for name, commit in locked.items():
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise IntegrityError(
                f"{lock}: {name}: expected a commit of 40 hex digits, got {commit!r}. Nothing was "
                "loaded; mend or delete the line, and it is resolved again."
            )
    return locked
