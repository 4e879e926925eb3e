"""The section `encoders` of the settings: where the encoder comes from and how it is adapted.

It stands by itself, so that the tree of settings can be checked without loading torch.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distilro.adaptation_settings import AdaptationSettings
from distilro.sections import Count, Name, Section
from distilro.student_settings import EncoderDistillationSettings


class TextsSettings(Section):
    """Which texts the encoder learns from."""

    corpora: bool = Field(True, description="The training rows of every task's datasets.")
    collections: tuple[Name, ...] = Field(
        (), description="Running text: collections of data/registry/texts."
    )
    most_words: dict[Name, Count] = Field(
        default_factory=dict, description="Collection -> most words, drawn in hash order."
    )
    kept_out: tuple[Name, ...] = Field(
        (), description="More datasets whose validation and test rows must not be in the texts."
    )

    @model_validator(mode="after")
    def _refuse_unused_caps(self) -> "TextsSettings":
        if unused := sorted(set(self.most_words) - set(self.collections)):
            raise ValueError(f"most_words.{unused[0]}: it is not among the collections")
        return self


class VocabularySettings(Section):
    """A vocabulary of the texts' own for an encoder that has another one."""

    size: Annotated[int, Field(ge=100, le=200_000)] = Field(
        description="Most word pieces, special tokens included."
    )
    lowercase: bool = Field(description="True: upper and lower case become one.")


class HubSettings(Section):
    """A model of the Hugging Face hub."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")] = Field(
        description="Name on the hub: owner/model, or model alone for the oldest ones."
    )
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        None, description="Commit, 40 hex digits; null: resolved on first use and recorded."
    )


class ScratchSettings(Section):
    """A small BERT with a vocabulary of its own."""

    vocabulary_size: Annotated[int, Field(ge=100, le=200_000)] = Field(
        description="Most word pieces, special tokens included; learned from the training texts."
    )
    layers: Count = Field(description="Transformer layers.")
    hidden: Count = Field(description="Width of a token's state; a multiple of heads.")
    heads: Count = Field(description="Attention heads.")
    intermediate: Count = Field(description="Width of the feed-forward layer.")
    lowercase: bool = Field(description="True: upper and lower case become one.")

    @model_validator(mode="after")
    def _check_heads_share_the_width(self) -> "ScratchSettings":
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) is not a multiple of heads ({self.heads})")
        return self


class EncoderSettings(Section):
    """The phase `encoders`: the encoder that every neural recipe starts from."""

    source: Literal["hub", "folder", "scratch"] = Field(description="Where it comes from.")
    hub: HubSettings | None = Field(None, description="Source hub: which model.")
    folder: str | None = Field(None, description="Source folder: where the encoder lies.")
    scratch: ScratchSettings | None = Field(None, description="Source scratch: its size.")
    texts: TextsSettings = Field(TextsSettings(), description="What it learns from.")
    vocabulary: VocabularySettings | None = Field(
        None, description="A vocabulary to transfer it to; null keeps its own."
    )
    adaptation: AdaptationSettings = Field(description="How it is adapted to the texts.")
    students: dict[Name, EncoderDistillationSettings] = Field(
        default_factory=dict, description="Smaller encoders, distilled from it on its texts."
    )
    half: bool = Field(False, description="True: its weights are kept in float16.")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        description="Of the scratch weights, the held-out texts and the masks."
    )

    def learns_texts(self) -> bool:
        """Return whether the encoder itself, its students left aside, learns from texts."""
        learns = self.source == "scratch" or self.adaptation.epochs > 0
        return learns or self.vocabulary is not None

    def describe(self) -> dict[str, object]:
        """Return what it depends on besides files, ready for JSON: of the sources, its own."""
        used = {"source", self.source, "texts", "vocabulary", "adaptation", "half", "seed"}
        return self.model_dump(mode="json", include=used)

    @model_validator(mode="after")
    def _check_source_is_described(self) -> "EncoderSettings":
        if getattr(self, self.source) in (None, ""):
            raise ValueError(f"source is {self.source!r}, but {self.source} is not set")
        if self.source == "scratch" and self.vocabulary is not None:
            raise ValueError("vocabulary is for an encoder that has one; scratch learns its own")
        return self
