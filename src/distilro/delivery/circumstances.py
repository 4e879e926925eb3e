"""The part of the page on how the run went: settings, machine, time per stage."""

from collections.abc import Mapping
from typing import Any

import yaml

from distilro.delivery.inputs import Records
from distilro.delivery.tables import (
    Cell,
    Table,
    count_nouns,
    write_count,
    write_seconds,
    write_words,
)


def write_settings(settings: Mapping[str, Any]) -> str:
    """Return the settings as YAML, in the manner of params.yaml."""
    # subtle: None puts the innermost lists and mappings on one line each, as params.yaml does.
    return yaml.safe_dump(
        dict(settings), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )


def describe_machine(records: Records) -> list[tuple[str, str]]:
    """Return names and values; where jobs ran on several machines, one line for each."""
    lines = []
    for machine in (*records.hardware, *records.versions):
        lines += [(name.replace("_", " "), _write_value(value)) for name, value in machine.items()]
    if records.threads:
        lines.append(("threads of a job", _write_value(records.threads)))
    return lines


def build_timings(records: Records) -> Table:
    """Return the time of every stage, with its share of all time as a bar."""
    total = sum(timing.seconds for timing in records.timings)
    rows = [
        [
            Cell(timing.stage),
            write_count(timing.jobs),
            Cell(write_seconds(timing.seconds), kind="number", share=timing.seconds / total),
            Cell(write_seconds(timing.longest_seconds), kind="number"),
        ]
        for timing in records.timings
    ]
    head = write_words("stage", "jobs", "time of all jobs", "longest job")
    caption = f"Time per stage: {write_seconds(total)} over all jobs, some side by side"
    return Table(caption + describe_partial(records), head, rows)


def describe_partial(records: Records) -> str:
    """Return what is to be said of times that leave a part out; nothing where all are whole."""
    if not records.partial:
        return ""
    return (
        f", {count_nouns(records.partial, 'job')} that went on from a checkpoint by the last part"
    )


def _write_value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
