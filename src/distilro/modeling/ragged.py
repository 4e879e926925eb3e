"""Token ids of many texts in two flat arrays, and batches cut from them. No torch.

Axes: N texts, B texts of a batch, T tokens of its longest text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class RaggedTokens:
    """Token ids of N texts, one after the other: text i is ids[offsets[i]:offsets[i + 1]]."""

    ids: np.ndarray  # int32 [sum of lengths]
    offsets: np.ndarray  # int64 [N + 1]

    def __len__(self) -> int:
        """Return N."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of tokens of each text, int64 [N]."""
        return np.diff(self.offsets)

    def select(self, rows: np.ndarray) -> "RaggedTokens":
        """Return the texts at integer positions `rows`, in that order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        # The place of each taken token: its place in its text, moved to where the text starts.
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return RaggedTokens(self.ids[places], offsets)

    def find_distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the D different texts, int64 [D], and which of them each text is, [N].

        A row is the first one with its text.

        >>> tokens = RaggedTokens(np.array([7, 8, 9, 7, 8], np.int32), np.array([0, 2, 3, 5]))
        >>> first, which = tokens.find_distinct()
        >>> first.tolist(), which.tolist()
        ([0, 1], [0, 1, 0])
        """
        numbers: dict[bytes, int] = {}
        first = []
        which = np.zeros(len(self), dtype=np.int64)
        for row, (start, end) in enumerate(pairwise(self.offsets)):
            number = numbers.setdefault(self.ids[start:end].tobytes(), len(first))
            if number == len(first):
                first.append(row)
            which[row] = number
        return np.array(first, dtype=np.int64), which

    @classmethod
    def join(cls, parts: "Sequence[RaggedTokens]") -> "RaggedTokens":
        """Return the texts of all parts, one part after the other."""
        lengths = np.concatenate([part.lengths for part in parts])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(np.concatenate([part.ids for part in parts]), offsets)

    def pad(self, rows: np.ndarray, pad_id: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (ids, mask), both int64 [B, T], of the texts at `rows`; T is their longest.

        >>> tokens = RaggedTokens(np.array([7, 8, 9], np.int32), np.array([0, 2, 3]))
        >>> ids, mask = tokens.pad(np.array([1, 0]), 0)
        >>> ids.tolist(), mask.tolist()
        ([[9, 0], [7, 8]], [[1, 0], [1, 1]])
        """
        taken = self.select(rows)
        lengths = taken.lengths
        mask = np.arange(int(lengths.max()))[None, :] < lengths[:, None]  # [B, T]
        ids = np.full(mask.shape, pad_id, dtype=np.int64)
        ids[mask] = taken.ids
        return ids, mask.astype(np.int64)


def cut_by_tokens(
    rows: np.ndarray, lengths: np.ndarray, batch_tokens: int, *, most_texts: int | None = None
) -> Iterator[np.ndarray]:
    """Cut `rows`, sorted by length, shortest first, into batches of at most `batch_tokens`.

    Padding counts. A text that is longer than the budget is a batch of its own.

    Args:
        rows: int64 [n], positions of texts.
        lengths: int64 [N], tokens of every position.
        batch_tokens: most tokens of a batch, padding included.
        most_texts: most texts of a batch; None sets no limit.
    """
    start = 0
    for end in range(1, len(rows) + 1):
        last = end == len(rows)
        # subtle: rows are sorted, so the next row is the longest of the batch it would join.
        heavy = not last and int(lengths[rows[end]]) * (end + 1 - start) > batch_tokens
        if last or heavy or end - start == most_texts:
            yield rows[start:end]
            start = end
