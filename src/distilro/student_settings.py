"""Settings of distilling an encoder on plain texts, before it knows any task.

The defaults are DistilBERT's (Sanh et al. 2019, and the code it was trained with), but for the
sizes of texts and batches, which are the adaptation's.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distilro.adaptation_settings import AdaptationSettings
from distilro.recipe_settings import StudentSettings
from distilro.sections import Positive, Rate, Weight


class EncoderDistillationSettings(AdaptationSettings):
    """A student learns to say what its teachers say of masked tokens; a weight of 0 is off."""

    student: StudentSettings = Field(StudentSettings(), description="The student's size.")
    teachers: tuple[str, ...] = Field(
        (), description="Folders of more encoders with the main one's vocabulary."
    )
    temperature: Positive = Field(2.0, description="Of teachers' and student's answers.")
    ce: Weight = Field(5.0, description="Of the teachers' answers.")
    masked: Weight = Field(2.0, description="Of the tokens that were there.")
    cosine: Weight = Field(1.0, description="Of the angle between the last hidden states.")
    epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        3.0, description="Passes over the texts, fractions allowed; 0 leaves the student as it is."
    )
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = Field(
        5.0e-4, description="Highest learning rate, after the warm-up."
    )
    batch_tokens: Annotated[int, Field(ge=16)] = Field(
        4096, description="Tokens per step, padding included."
    )
    max_tokens: Annotated[int, Field(ge=8, le=512)] = Field(
        128, description="Longer texts are cut after so many word pieces."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="bf16 autocast; auto: where the hardware has it."
    )
    warmup_share: Rate = Field(0.05, description="Share of the steps with a rising rate.")
    clip_norm: Positive = Field(5.0, description="Longer gradients are shortened to this.")

    @model_validator(mode="after")
    def _check_something_is_learned(self) -> "EncoderDistillationSettings":
        if not (self.ce or self.masked or self.cosine):
            raise ValueError("ce, masked and cosine are 0: one of them must be more")
        return self
