"""The registry: what each dataset is, where it comes from and what it must hold.

One YAML file per dataset in `data/registry/` plus `tasks.yaml`. Files are pinned by SHA-256 and
size, hub datasets by a full revision, splits by their exact number of rows. This module loads and
checks these declarations; it fetches nothing (fetch.py, hub.py) and reads no rows (readers.py).
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from distilro.corpora.examples import KINDS, Task
from distilro.errors import SettingsError

TASKS_FILE = "tasks.yaml"
SPLITS = ("train", "valid", "test")
DEFAULT_LABEL_MAP = "default"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
# One plain file name: nothing that could lead out of the folder it is written into.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]
Positive = Annotated[int, Field(gt=0)]


class Declared(BaseModel):
    """A part of a registry file: frozen, strict, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Model = TypeVar("Model", bound=Declared)


class Pinned(Declared):
    """Bytes that are known before they are seen.

    `unverified` is for a file whose sums nobody here has seen: the first fetch then records them in
    a lock file beside the registry, and every later one is checked against that record.
    """

    name: FileName = Field(description="The name under the dataset's raw folder.")
    sha256: Sha256 | None = None
    bytes: Positive | None = None
    unverified: bool = False

    @model_validator(mode="after")
    def _check_sums(self) -> "Pinned":
        known = self.sha256 is not None and self.bytes is not None
        if known == self.unverified:
            raise ValueError(
                f"{self.name}: give sha256 and bytes, or say `unverified: true` where nobody "
                "knows them; never both"
            )
        return self


class Member(Pinned):
    """A file inside an archive, taken out under `name`."""

    path: str = Field(description="The member's path in the archive.")


class Archive(Declared):
    """How an archive is opened: only the members named here are written."""

    format: Literal["zip", "tar"]
    members: list[Member] = Field(min_length=1)
    max_bytes: Positive = Field(description="Most bytes that all its members may hold unpacked.")
    max_members: Positive = 100


class RemoteFile(Pinned):
    """A file on the network, with its addresses in the order in which they are tried."""

    urls: list[Annotated[str, Field(pattern=r"^https?://")]] = Field(min_length=1)
    archive: Archive | None = None


class LocalFile(Pinned):
    """A file of this repository."""

    path: str = Field(description="Its path, relative to the registry folder.")


class FilesSource(Declared):
    """Files at pinned addresses."""

    kind: Literal["files"]
    files: list[RemoteFile] = Field(min_length=1)
    reader: str | None = Field(None, description="A reader other than the dataset's own.")


class RepositorySource(Declared):
    """Files that this repository brings along."""

    kind: Literal["repository"]
    files: list[LocalFile] = Field(min_length=1)
    reader: str | None = None


class HubSource(Declared):
    """A dataset of the Hugging Face hub at one full revision, exported as JSON."""

    kind: Literal["hub"]
    dataset: str = Field(description="Its name on the hub, or a local folder of Parquet files.")
    revision: Revision
    config: str | None = None
    text_column: str = "text"
    label_column: str = Field("label", description="A label, its number, or a list of them.")
    splits: dict[Literal["train", "valid", "test"], str] = Field(
        min_length=1, description="Split -> its name on the hub."
    )
    reader: str | None = "exported_rows"


Source = Annotated[FilesSource | RepositorySource | HubSource, Field(discriminator="kind")]


class Carving(Declared):
    """How splits are cut out of another one, where the publisher gave none."""

    from_split: str
    sizes: dict[str, float] = Field(description="New split -> rows (1 or more) or a share below 1.")
    salt: str = Field(description="Salt of the hash order; the same salt draws the same rows.")


class LabelMeaning(Declared):
    """What a source label says in the task's labels.

    In a multi-class task `labels` is a set of which exactly one is true. In a multi-label task all
    of `labels` are present, `unobserved` may or may not be, and the rest is absent.
    """

    labels: list[str] = Field(default_factory=list)
    unobserved: list[str] = Field(default_factory=list)


LabelMeanings = dict[str, LabelMeaning]


class Dataset(Declared):
    """One published corpus in one language for one task."""

    name: Name
    title: str
    task: Name
    language: Literal["ro", "en"]
    licence: str
    citation: str = Field(description="BibTeX of the work to cite.")
    notes: str = Field("", description="What a reader of its numbers must know.")
    demonstration: bool = Field(False, description="True: too small for its numbers to mean much.")
    sources: list[Source] = Field(min_length=1, description="In order of preference.")
    reader: str
    splits: dict[Literal["train", "valid", "test"], Positive]
    dropped: Annotated[int, Field(ge=0)] = Field(0, description="Rows that the reader must drop.")
    carve: Carving | None = None
    label_map: LabelMeanings = Field(min_length=1)
    never_observed: list[str] = Field(default_factory=list)
    alternative_label_maps: dict[Name, LabelMeanings] = Field(default_factory=dict)

    def choose_label_map(self, name: str) -> LabelMeanings:
        """Return the label map called `name`; "default" is the dataset's own.

        An alternative says only what differs: the other labels keep their meaning.
        """
        if name == DEFAULT_LABEL_MAP:
            return self.label_map
        if name not in self.alternative_label_maps:
            known = [DEFAULT_LABEL_MAP, *sorted(self.alternative_label_maps)]
            raise SettingsError(
                f"Dataset {self.name} has no label map {name!r}; expected one of {known}."
            )
        return {**self.label_map, **self.alternative_label_maps[name]}


class _TaskDeclaration(Declared):
    kind: str
    labels: list[str] = Field(min_length=2)


def load_tasks(folder: str | Path) -> dict[str, Task]:
    """Return every task of `tasks.yaml` by name, with its labels in their order."""
    path = Path(folder) / TASKS_FILE
    tasks = {}
    for name, value in read_yaml(path).items():
        declared = check_declared(_TaskDeclaration, value, f"{path}: {name}")
        if declared.kind not in KINDS:
            raise SettingsError(f"{path}: {name}.kind: expected {KINDS}, got {declared.kind!r}.")
        if len(set(declared.labels)) != len(declared.labels):
            raise SettingsError(f"{path}: {name}.labels: a label stands twice.")
        tasks[name] = Task(name, declared.kind, tuple(declared.labels))
    return tasks


def list_datasets(folder: str | Path) -> list[str]:
    """Return the names of all registered datasets, sorted."""
    paths = Path(folder).glob("*.yaml")
    return sorted(path.stem for path in paths if path.name != TASKS_FILE)


def load_dataset(folder: str | Path, name: str) -> Dataset:
    """Return one dataset's declaration, checked; SettingsError names the file and the key."""
    path = Path(folder) / f"{name}.yaml"
    known = list_datasets(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SettingsError(f"No dataset {name!r} in {folder}; known: {', '.join(known)}.{hint}")
    dataset = check_declared(Dataset, read_yaml(path), str(path))
    if dataset.name != name:
        raise SettingsError(f"{path}: name: expected {name!r}, got {dataset.name!r}.")
    return dataset


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a registry file's keys and values; SettingsError where it has none."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing; expected a registry file.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: expected keys and values, got {type(value).__name__}.")
    return value


def check_declared(
    model: type[Model],
    value: Any,  # noqa: ANN401 - any YAML value
    where: str,
) -> Model:
    """Return a registry file's values as what they declare; SettingsError names the key."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise SettingsError(_describe(error, model, where)) from None


def _describe(error: ValidationError, model: type[Declared], where: str) -> str:
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        line = f"{where}: {place}: {problem['msg']}, got {str(problem['input'])[:80]!r}"
        near = (
            difflib.get_close_matches(str(problem["loc"][-1:][0]), model.model_fields, n=1)
            if problem["type"] == "extra_forbidden" and problem["loc"]
            else []
        )
        lines.append(line + (f"; did you mean {near[0]!r}?" if near else ""))
    return "\n".join(lines)
