"""Exporting a dataset of the Hugging Face hub, pinned at a full revision, to plain JSON.

The only place that imports `datasets`, and only when a hub source is fetched. That library runs no
code of a dataset any more, and is not asked to. A local folder of Parquet files can stand for a hub
dataset.
"""

from pathlib import Path
from typing import Any

from distilro.artifacts import write_json
from distilro.corpora.registry import HubSource
from distilro.errors import DataError


def export_hub_dataset(source: HubSource, folder: Path) -> list[str]:
    """Write `<split>.json` (objects with `text` and `labels`) per split; return the file names.

    Label numbers become the names that the dataset gives them.

    Raises:
        DataError: the dataset cannot be loaded, or lacks a split or a column.
    """
    import datasets  # noqa: PLC0415 - heavy, and needed for hub sources only

    try:
        loaded = datasets.load_dataset(source.dataset, source.config, revision=source.revision)
    except (OSError, ValueError, ConnectionError, RuntimeError) as error:
        raise DataError(
            f"{source.dataset} at {source.revision} could not be loaded from the hub: {error}. "
            "Nothing was written. Check the network, or use another source of the dataset."
        ) from error
    names = []
    for split, hub_split in sorted(source.splits.items()):
        if hub_split not in loaded:
            raise DataError(f"{source.dataset}: no split {hub_split!r}; it has {sorted(loaded)}.")
        name = f"{split}.json"
        write_json(folder / name, _export_split(loaded[hub_split], source))
        names.append(name)
    return names


def _export_split(table: Any, source: HubSource) -> list[dict[str, Any]]:  # noqa: ANN401
    for column in (source.text_column, source.label_column):
        if column not in table.column_names:
            raise DataError(f"{source.dataset}: no column {column!r}; it has {table.column_names}.")
    feature = table.features[source.label_column]
    feature = getattr(feature, "feature", feature)  # a list's own feature
    to_name = getattr(feature, "int2str", str)
    rows = []
    for text, value in zip(table[source.text_column], table[source.label_column], strict=True):
        values = value if isinstance(value, list) else [value]
        rows.append({"text": text, "labels": [to_name(item) for item in values]})
    return rows
