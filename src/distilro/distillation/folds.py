"""Out-of-fold answers: what teachers say about texts that they did not learn.

A teacher that answers on its own training rows is over-confident there. So its training texts are
cut into k folds, k models are trained, each without one fold, and every text is answered by the
model that did not learn it. All of it goes by the hash of a text: copies of a text, in whatever
dataset or mixture, share a fold. Training the models and storing the answers is done elsewhere
(see `logits`).

Axes: N rows, L labels; k folds.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from distilro.artifacts import hash_json
from distilro.errors import IntegrityError, SettingsError
from distilro.sections import Section

FEWEST_FOLDS = 2


class FoldSettings(Section):
    """How training texts are cut into folds."""

    count: int
    salt: str

    def assign(self, text_hashes: Sequence[str]) -> np.ndarray:
        """Return the fold of each text, int64 [N]; see `assign_folds`."""
        return assign_folds(text_hashes, self.count, self.salt)


def check_folds(folds: FoldSettings | None) -> FoldSettings:
    """Return how texts are cut; SettingsError where the settings do not say it."""
    if folds is None:
        raise SettingsError(
            "--settings: folds is missing; expected count and salt. Nothing was trained; the "
            "workflow gives them (recipes.describe_folds)."
        )
    return folds


def assign_folds(text_hashes: Sequence[str], folds: int, salt: str) -> np.ndarray:
    """Return the fold of each text, int64 [N] in 0 .. k - 1: a function of (salt, text) alone.

    The model of fold j is trained on the rows whose fold is not j. The folds' sizes are those of
    a fair draw, not equal.

    Raises:
        SettingsError: fewer than two folds, of which one model would learn nothing.

    >>> assign_folds(["a", "b", "c", "a"], 3, salt="13").tolist()
    [2, 0, 2, 2]
    """
    if folds < FEWEST_FOLDS:
        raise SettingsError(f"folds: expected {FEWEST_FOLDS} or more, got {folds}.")
    return np.array([_draw(salt, text_hash) % folds for text_hash in text_hashes], dtype=np.int64)


def find_seen(text_hashes: Sequence[str], learned: Iterable[str]) -> np.ndarray:
    """Return which rows hold a text that the teacher's training rows hold, bool [N].

    Args:
        text_hashes: of the rows that are asked.
        learned: text hashes of all that the teacher trains on: of every task and stage.
    """
    known = set(learned)
    return np.array([text_hash in known for text_hash in text_hashes], dtype=bool)


def join_fold_logits(
    assigned: np.ndarray, seen: np.ndarray, logits: Sequence[np.ndarray]
) -> np.ndarray:
    """Return float32 [N, L]: for a seen row the one model's that did not learn it, else the mean.

    Args:
        assigned: each row's fold, int64 [N], as `assign_folds` says.
        seen: which rows the teacher's training rows hold, bool [N], as `find_seen` says.
        logits: of the models of fold 0 .. k - 1, in that order, each [N, L] on the same rows.

    Raises:
        IntegrityError: the shapes do not fit one another, or a fold has no model.
    """
    _check_answers(assigned, seen, logits)
    stacked = np.stack(logits)  # [k, N, L]
    held_out = stacked[assigned, np.arange(len(assigned))]  # [N, L]
    mean = stacked.mean(axis=0, dtype=np.float64)
    return np.where(seen[:, None], held_out, mean).astype(np.float32)


def describe_fold_set(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the card of k fold models as one teacher, from their cards in the order of folds.

    Its weights are the hash of theirs, its validation scores their means. A tokenizer that all
    share is the set's; where they differ (a linear model's n-grams), it is the hash of all.

    Raises:
        IntegrityError: the cards are not of one recipe, scope, seed, truncation and set of
            validated tasks, or there are fewer than two.
    """
    _check_cards(cards)
    weights = [card["weights"] for card in cards]
    tokenizers = [card["tokenizer"] for card in cards]
    scores = [card.get("valid", {}) for card in cards]
    return {
        **{name: cards[0][name] for name in ("recipe", "scope", "seed", "max_tokens")},
        "folds": len(cards),
        "weights": hash_json(weights),
        "fold_weights": weights,
        "tokenizer": tokenizers[0] if len(set(tokenizers)) == 1 else hash_json(tokenizers),
        "valid": {task: float(np.mean([part[task] for part in scores])) for task in scores[0]},
    }


def _draw(salt: str, text_hash: str) -> int:
    digest = hashlib.sha256(f"{salt}\x1f{text_hash}".encode()).digest()
    return int.from_bytes(digest, "big")


def _check_answers(assigned: np.ndarray, seen: np.ndarray, logits: Sequence[np.ndarray]) -> None:
    rows, shapes = len(assigned), {answers.shape for answers in logits}
    if len(seen) != rows or len(shapes) != 1 or {shape[0] for shape in shapes} != {rows}:
        raise IntegrityError(
            f"Expected the logits of every fold's model on the same {rows} rows, got shapes "
            f"{sorted(shapes)} and {len(seen)} rows seen or not. Nothing was joined; run the "
            "stage logits again."
        )
    if rows and not 0 <= assigned.min() <= assigned.max() < len(logits):
        raise IntegrityError(
            f"Expected folds of 0 .. {len(logits) - 1}, one model each, got folds "
            f"{assigned.min()} .. {assigned.max()}. Nothing was joined; train the models of all "
            "folds."
        )


def _check_cards(cards: Sequence[Mapping[str, Any]]) -> None:
    if len(cards) < FEWEST_FOLDS:
        raise IntegrityError(
            f"Expected the cards of {FEWEST_FOLDS} fold models or more, got {len(cards)}. Train "
            "the models of all folds."
        )
    for number, card in enumerate(cards):
        for name in ("recipe", "scope", "seed", "max_tokens"):
            if card[name] != cards[0][name]:
                raise IntegrityError(
                    f"The model of fold {number} does not belong to the others: its {name} is "
                    f"{card[name]!r}, expected {cards[0][name]!r}. Nothing was written; train it "
                    "again."
                )
        if set(card.get("valid", {})) != set(cards[0].get("valid", {})):
            raise IntegrityError(
                f"The model of fold {number} was validated on {sorted(card.get('valid', {}))}, "
                f"expected {sorted(cards[0].get('valid', {}))}. Nothing was written; train it "
                "again."
            )
