"""Every setting of the project as one frozen tree, checked when it is loaded.

The tree mirrors `params.yaml`: one section per phase, plus the recipes. A scenario file holds only
what differs and is laid over it. Nothing is passed around whole: the workflow hands each stage the
few values it uses, as JSON, and the stage checks them again through its section's class.
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from distilro.encoder_settings import EncoderSettings
from distilro.errors import SettingsError
from distilro.recipe_settings import Recipe
from distilro.sections import Name, Positive, Rate, Section, Share


class TaskDatasets(Section):
    """Which dataset speaks for each language of a task."""

    ro: Name = Field(description="The Romanian dataset; its labels are the task's own.")
    en: Name = Field(description="The English dataset; its labels are mapped into the task's.")
    ood: Name | None = Field(
        None, description="A Romanian test set of another domain; never trained on."
    )


class DataSettings(Section):
    """The phase `data`: which corpora are fetched and prepared."""

    tasks: dict[Name, TaskDatasets] = Field(description="Task -> its datasets.", min_length=1)
    label_maps: dict[Name, Name] = Field(
        default_factory=dict, description="Dataset -> its alternative label map, by name."
    )


class MixtureSettings(Section):
    """The phase `mixtures`: the audit and the English/Romanian training sets."""

    near_duplicate_jaccard: Share = Field(
        description="Word-set Jaccard from which two texts are near duplicates."
    )
    caps: dict[Name, Annotated[int, Field(gt=0)]] = Field(
        default_factory=dict, description="Dataset -> most training rows taken from it."
    )
    salt: str = Field(description="Salt of the hash order in which rows are drawn.")


class ScheduleSettings(Section):
    """How long and how fast one kind of model learns."""

    epochs: Annotated[int, Field(gt=0)] = Field(description="Passes over the mixture.")
    learning_rate: Positive = Field(description="Highest learning rate, after the warm-up.")
    batch_examples: Annotated[int, Field(gt=0)] = Field(description="Most examples in a batch.")
    batch_tokens: Annotated[int, Field(gt=0)] = Field(
        description="Most tokens in a batch, padding included."
    )


class LinearSettings(Section):
    """The linear baseline: TF-IDF of n-grams and logistic regression."""

    word_ngrams: tuple[int, int] = Field((1, 2), description="Shortest and longest word n-gram.")
    char_ngrams: tuple[int, int] = Field((2, 5), description="Same for character n-grams.")
    word_min_documents: int = Field(2, ge=1, description="Documents a word n-gram must be in.")
    char_min_documents: int = Field(3, ge=1, description="Same for a character n-gram.")
    inverse_regularisation: Positive = Field(4.0, description="C of the logistic regression.")


class TrainingSettings(Section):
    """The phase `training`: teachers, their logits and students."""

    recipes: tuple[Name, ...] = Field(description="Recipes to run; their teachers come along.")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        description="One model per seed and cell.", min_length=1
    )
    max_tokens: Annotated[int, Field(ge=8, le=512)] = Field(
        description="Longer texts are cut after so many word pieces."
    )
    pooling: Literal["mean", "cls"] = Field(description="How token states become one vector.")
    dropout: Rate = Field(description="Before each task's head.")
    encoder_dropout: Rate = Field(description="Of the states inside the encoder.")
    attention_dropout: Rate = Field(description="Of the encoder's attention weights.")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        description="Of the encoder's activations; auto: bf16 where the hardware has it."
    )
    packing: Literal["auto", "packed", "padded"] = Field(
        description="Texts of a batch without padding or with it; auto: packed on a GPU in bf16."
    )
    processes: Annotated[int, Field(ge=1)] = Field(
        description="Processes that train one model together, each on a GPU of its own."
    )
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="Share of the steps in which the learning rate rises."
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        description="AdamW's, not on norms and biases."
    )
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        description="Learning-rate factor per layer below the head; 1 switches it off."
    )
    clip_norm: Positive = Field(description="Gradients are scaled down to this norm.")
    folds: Annotated[int, Field(ge=2)] = Field(
        description="Models of a teacher that answer for the rows they did not learn."
    )
    threads: Annotated[int, Field(ge=1)] = Field(
        description="CPU threads of a job, at most; fewer let more jobs run side by side."
    )
    gpus: Annotated[int, Field(ge=0, le=1)] = Field(
        description="GPUs of each process of a job; 0: on processors, whatever there is."
    )
    task: ScheduleSettings = Field(description="Recipes with one model per task.")
    joint: ScheduleSettings = Field(description="Recipes with one model for several tasks.")
    linear: LinearSettings = Field(description="Recipes of kind linear.")

    @model_validator(mode="after")
    def _refuse_repeats(self) -> "TrainingSettings":
        for name in ("recipes", "seeds"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"{name} has a value twice")
        return self

    @model_validator(mode="after")
    def _refuse_dropout_in_packed_attention(self) -> "TrainingSettings":
        if self.packing == "packed" and self.attention_dropout > 0:
            raise ValueError(
                "packing: packed knows no attention_dropout; set that to 0, or packing to padded"
            )
        return self


class EvaluationSettings(Section):
    """The phase `evaluation`: predictions, scores and the matrix."""

    threshold: Share = Field(description="A multi-label answer is yes from this probability on.")
    bootstrap_samples: Annotated[int, Field(ge=100)] = Field(description="Resamples per interval.")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(description="Level of the intervals.")
    seed: Annotated[int, Field(ge=0)] = Field(description="Seed of the resamples.")
    seeds_needed: Annotated[int, Field(ge=1)] = Field(
        description="Seeds of a cell from which a difference may be claimed."
    )


class DeliverySettings(Section):
    """The phase `delivery`: the report page."""

    title: str = Field(description="Title of the report.")
    watts: Positive | None = Field(
        None, description="Power of the machine while it trains; null: energy is not estimated."
    )


class Settings(Section):
    """The whole tree of params.yaml with the scenario laid over it."""

    scenario: Name = Field(description="Active scenario: workflow/scenarios/<scenario>.yaml.")
    data: DataSettings
    mixtures: MixtureSettings
    encoders: EncoderSettings
    training: TrainingSettings
    evaluation: EvaluationSettings
    delivery: DeliverySettings
    recipes: dict[Name, Recipe] = Field(description="Recipe name -> recipe.")

    @model_validator(mode="after")
    def _refuse_unused_datasets(self) -> "Settings":
        """A name that no task uses is most likely mistyped, and would have no effect."""
        chosen = self.data.tasks.values()
        used = {name for datasets in chosen for name in (datasets.ro, datasets.en, datasets.ood)}
        used.discard(None)
        for where, names in (
            ("mixtures.caps", self.mixtures.caps),
            ("data.label_maps", self.data.label_maps),
        ):
            for name in sorted(set(names) - used):
                near = difflib.get_close_matches(name, sorted(used), n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"{where}.{name}: no task uses this dataset{hint}")
        return self


SectionType = TypeVar("SectionType", bound=BaseModel)


def load_settings(folder: str | Path, scenario: str | None = None) -> Settings:
    """Read `folder`/params.yaml and lay its scenario, or the one named, over it."""
    folder = Path(folder)
    params = _read_yaml(folder / "params.yaml")
    params["scenario"] = scenario or params.get("scenario")
    overlay = _read_yaml(folder / "workflow" / "scenarios" / f"{params['scenario']}.yaml")
    return check_settings(merge_settings(params, overlay))


def merge_settings(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `overlay` laid over it: mappings are joined, all else is replaced.

    >>> merge_settings({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    """
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge_settings(below, value) if both else value
    return merged


def check_settings(values: Mapping[str, Any]) -> Settings:
    """Check a whole tree, resolving what recipes and students extend; errors name every fault."""
    values = dict(values)
    if isinstance(values.get("recipes"), Mapping):
        values["recipes"] = _extend_all(values["recipes"], "recipes")
    encoders = values.get("encoders")
    if isinstance(encoders, Mapping) and isinstance(encoders.get("students"), Mapping):
        students = _extend_all(encoders["students"], "encoders.students")
        values["encoders"] = {**encoders, "students": students}
    return check_section(Settings, values)


def check_section(section: type[SectionType], values: str | Mapping[str, Any]) -> SectionType:
    """Check one section, given as a mapping or as JSON; a SettingsError names every fault."""
    try:
        # subtle: only JSON mode lets a list stand for a tuple while numbers stay strict.
        text = values if isinstance(values, str) else json.dumps(values)
        return section.model_validate_json(text)
    except ValidationError as error:
        faults = "\n".join(f"  {_describe_fault(section, fault)}" for fault in error.errors())
        raise SettingsError(
            f"{error.error_count()} setting(s) are wrong; nothing was run:\n{faults}"
        ) from None


def _extend_all(entries: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return every entry laid over the one that it extends, if it does."""
    return {name: _extend(name, entries, where, ()) for name in entries}


def _extend(
    name: str, entries: Mapping[str, Any], where: str, seen: tuple[str, ...]
) -> dict[str, Any]:
    if name in seen:
        raise SettingsError(f"{where}.{seen[0]}: extends itself through {' -> '.join(seen)}.")
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingsError(f"{where}.{seen[-1]}.extends: nothing is called {name!r}.{hint}")
    own = dict(entries[name])
    parent = own.pop("extends", None)
    if parent is None:
        return own
    return merge_settings(_extend(parent, entries, where, (*seen, name)), own)


def _describe_fault(section: type[BaseModel], fault: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    got = f"got {fault['input']!r} ({type(fault['input']).__name__})"
    if fault["type"] != "extra_forbidden":
        return f"{path}: {fault['msg']}; {got}"
    known = _list_keys(section, fault["loc"][:-1])
    near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{path}: there is no such setting{hint}"


def _list_keys(section: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that a section knows at a path below it."""
    schema = section.model_json_schema()
    definitions = schema.get("$defs", {})
    for part in path:
        by_name = [
            *schema.get("patternProperties", {}).values(),
            schema.get("additionalProperties"),
        ]
        below = schema.get("properties", {}).get(part) or next(filter(None, by_name), {})
        choices = [below, *below.get("anyOf", [])]
        reference = next((choice["$ref"] for choice in choices if "$ref" in choice), "")
        schema = definitions.get(reference.rpartition("/")[2], below)
    return list(schema.get("properties", {}))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise SettingsError(f"{path} does not exist; there are: {', '.join(known)}.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    return values or {}
