"""Settings of masked-language modelling on plain texts, for an encoder or for a student of one."""

from typing import Annotated, Literal

from pydantic import Field

from distilro.sections import Section


class AdaptationSettings(Section):
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
