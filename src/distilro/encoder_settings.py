"""The section `encoders` of the settings: where the encoder comes from and how it is adapted.

It stands by itself, so that the tree of settings can be checked without loading torch.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class HubSettings(_Section):
    """A model of the Hugging Face hub."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")] = Field(
        description="Name on the hub: owner/model, or model alone for the oldest ones."
    )
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        None, description="Commit, 40 hex digits; null: resolved on first use and recorded."
    )


class ScratchSettings(_Section):
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


class AdaptationSettings(_Section):
    """Masked-language modelling on the training texts."""

    epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="Passes over the texts, fractions allowed; 0 leaves the encoder as it is."
    )
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Highest learning rate, after the warm-up."
    )
    batch_tokens: Annotated[int, Field(ge=16)] = Field(
        description="Tokens per step, padding included."
    )
    max_tokens: Annotated[int, Field(ge=8, le=512)] = Field(
        description="Longer texts are cut after so many word pieces."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        description="bf16 autocast; auto: where the hardware has it."
    )


class EncoderSettings(_Section):
    """The phase `encoders`: the encoder that every neural recipe starts from."""

    source: Literal["hub", "folder", "scratch"] = Field(description="Where it comes from.")
    hub: HubSettings | None = Field(None, description="Source hub: which model.")
    folder: str | None = Field(None, description="Source folder: where the encoder lies.")
    scratch: ScratchSettings | None = Field(None, description="Source scratch: its size.")
    adaptation: AdaptationSettings = Field(description="How it is adapted to the texts.")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        description="Of the scratch weights, the held-out texts and the masks."
    )

    @model_validator(mode="after")
    def _check_source_is_described(self) -> "EncoderSettings":
        if getattr(self, self.source) in (None, ""):
            raise ValueError(f"source is {self.source!r}, but {self.source} is not set")
        return self
