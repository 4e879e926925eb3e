"""The models that are measured: BERT shapes with random weights. No torch.

Both sides start from the same weights. Texts are always cut into word pieces of a vocabulary of
at most 8,000, whatever the size of the table of embeddings is.
"""

from dataclasses import dataclass

_TEXT_VOCABULARY = 8000


@dataclass(frozen=True)
class Shape:
    """A BERT's size, and the highest learning rate that it is trained with on both sides."""

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    learning_rate: float

    @property
    def text_vocabulary(self) -> int:
        """Return how many word pieces the texts are cut into at most."""
        return min(self.vocabulary, _TEXT_VOCABULARY)


SHAPES = {
    "tiny": Shape(1, 32, 2, 64, 2000, 1e-3),  # for tests: its figures mean nothing
    "small": Shape(4, 256, 4, 1024, 8000, 5e-4),  # the encoder of the scenario laptop
    "base": Shape(12, 768, 12, 3072, 50_000, 5e-5),  # BERT-base-ro's, of the scenario study
}
