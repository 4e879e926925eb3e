"""Mixtures: the training examples of one task, as one stage of a recipe asks for them.

Of each language's training rows, those that the audit drops go first, then all but the first
`cap` in hash order, then all but the first share of the rest. Hash order is by SHA-256 of a salt
and the row's id, so the draw is random, repeatable and independent of the order in the file, and a
smaller share is always a subset of a larger one of the same draw; another draw takes its shares of
the same rows under the cap in another order. The manifest accounts for every row. Not done here:
sampling between tasks while a model trains, and the choice of validation rows.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distilro.corpora.copies import EVALUATION_SPLITS
from distilro.corpora.examples import Examples, concatenate
from distilro.errors import DataError, SettingsError

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Draw:
    """How one language's rows are drawn: a share in (0, 1] of at most `cap` rows (None: of all).

    Shares of the same `number` are subsets of one another.
    """

    share: float
    cap: int | None = None
    number: int = 0

    def __post_init__(self) -> None:
        """Refuse a share or a cap that would draw nothing."""
        if not 0 < self.share <= 1:
            raise SettingsError(f"share: expected a number in (0, 1], got {self.share}.")
        if self.cap is not None and self.cap < 1:
            raise SettingsError(f"cap: expected at least 1 row or none at all, got {self.cap}.")


def build_mixture(
    parts: Mapping[str, Examples],
    draws: Mapping[str, Draw],
    *,
    dropped: Mapping[str, Sequence[str]],
    salt: str,
) -> tuple[Examples, dict[str, Any]]:
    """Draw from the training rows of each language and join them in hash order.

    Args:
        parts: language to the training rows of its dataset; all of one task.
        draws: language to how it is drawn, one at least.
        dropped: ids that must not be in a mixture, with the reasons (`audit.find_dropped`).
        salt: salt of the hash order.

    Returns:
        The examples, and the manifest: counts in all and per dataset, and the dropped ids.

    Raises:
        SettingsError: if nothing is asked for, or a language of which there are no rows.
        DataError: if a part is not the training rows of one dataset in its language, or if
            nothing is left of it.
    """
    if not draws or set(draws) - set(parts):
        raise SettingsError(
            f"stage: expected one or more of the languages {sorted(parts)}, got {sorted(draws)}."
        )
    drawn, datasets = [], {}
    for language in sorted(draws):
        part = parts[language]
        dataset = _check_part(part, language)
        taken, account = _draw_rows(part, draws[language], dropped=dropped, salt=salt)
        drawn.append(part.select(taken))
        account["labels"] = _count_labels(drawn[-1])
        datasets[dataset] = {"language": language, **account}
    joined = concatenate(drawn)
    examples = joined.select(order_by_hash(joined.id, salt))
    counts = {"rows": len(examples), "labels": _count_labels(examples), "datasets": datasets}
    return examples, {"version": MANIFEST_VERSION, "task": examples.task.name, **counts}


def order_by_hash(ids: Sequence[str], salt: str) -> np.ndarray:
    """Return the positions of `ids` in the order of SHA-256(salt + id), int64 [N].

    >>> order_by_hash(["a", "b", "c"], "13").tolist()
    [2, 1, 0]
    """
    digests = [hashlib.sha256(f"{salt}{identity}".encode()).digest() for identity in ids]
    return np.array(sorted(range(len(ids)), key=digests.__getitem__), dtype=np.int64)


def _check_part(part: Examples, language: str) -> str:
    """Return the one dataset of a part."""
    if not len(part):
        raise DataError(f"The training rows for {language} are empty; expected one at least.")
    found = {name: sorted(set(getattr(part, name))) for name in ("dataset", "split", "lang")}
    evaluation = sorted(set(found["split"]) & set(EVALUATION_SPLITS))
    if len(found["dataset"]) > 1 or found["lang"] != [language] or evaluation:
        raise DataError(
            f"Expected training rows of one dataset in {language!r}, got {found}. No mixture was "
            "written. Check which dataset the settings name for this language."
        )
    return found["dataset"][0]


def _draw_rows(
    part: Examples, draw: Draw, *, dropped: Mapping[str, Sequence[str]], salt: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the positions drawn, in hash order and one at least, and where all others went."""
    order = order_by_hash(part.id, salt)
    clean = [row for row in order.tolist() if part.id[row] not in dropped]
    if not clean:
        raise DataError(
            f"{part.dataset[0]}: each of its {len(part)} training rows touches a validation or "
            "test row; expected some to be left. No mixture was written. Look at the audit."
        )
    under_cap = clean[: draw.cap]
    if draw.number:
        again = order_by_hash([part.id[row] for row in under_cap], f"{salt}/{draw.number}/")
        under_cap = [under_cap[place] for place in again]
    taken = under_cap[: max(1, round(draw.share * len(under_cap)))]
    gone = {
        identity: list(dropped[identity]) for identity in sorted(part.id) if identity in dropped
    }
    account = {
        "available_rows": len(part),
        "dropped_rows": len(gone),
        "dropped_reasons": dict(Counter(reason for reasons in gone.values() for reason in reasons)),
        "dropped": gone,
        "cap": draw.cap,
        "over_cap_rows": len(clean) - len(under_cap),
        "share": draw.share,
        "over_share_rows": len(under_cap) - len(taken),
        "rows": len(taken),
    }
    return np.array(taken, dtype=np.int64), account


def _count_labels(examples: Examples) -> dict[str, int]:
    """Count the rows in which each label is present (or is in the label set)."""
    present = ((examples.target > 0) & examples.observed).sum(axis=0)  # [L]
    return dict(zip(examples.task.labels, present.tolist(), strict=True))
