"""What of a run is small enough to stand in git: its table, its plot, its page.

Every number is copied from the run's own files; the machine and the time come from its records.
A run whose records name more than one machine, or none, is not published.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distilro.artifacts import read_json, write_atomically, write_text
from distilro.delivery.inputs import read_records
from distilro.delivery.tables import write_seconds
from distilro.errors import ExportError

COPIED = ("matrix.csv", "matrix.svg", "report.html")


def publish_run(results: str | Path, out: str | Path) -> None:
    """Copy `COPIED` from a scenario's results and write matrix.md with the machine above it.

    Raises:
        ExportError: a file is missing, or the records do not name exactly one machine.
    """
    results, out = Path(results), Path(out)
    missing = [name for name in (*COPIED, "matrix.md") if not (results / name).is_file()]
    if missing:
        raise ExportError(
            f"{results}: {', '.join(missing)} not found; expected a finished run. Nothing was "
            "published; run the scenario to its report first."
        )
    heading = _describe_run(results)
    for name in COPIED:
        with write_atomically(out / name) as temporary:
            temporary.write_bytes((results / name).read_bytes())
    table = (results / "matrix.md").read_text(encoding="utf-8")
    write_text(out / "matrix.md", f"{heading}\n\n{table}")


def _describe_run(results: Path) -> str:
    records = read_records(results / "records", None)
    machine = _find_only(records.hardware, results, "machine")
    versions = _find_only(records.versions, results, "set of versions")
    seconds = sum(timing.seconds for timing in records.timings)
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    seeds = sorted({read_json(path)["seed"] for path in results.glob("models/*/*/*/card.json")})
    return (
        f"# Scenario `{results.name}`\n\n"
        f"Measured on {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB of memory, {gpus}. Encoder, training, logits and predictions "
        f"took {write_seconds(seconds)} in all. Seeds: {', '.join(map(str, seeds))}.\n"
        f"Versions: {named}.\n\n"
        "The page beside this file, `report.html`, has all metrics, settings, corpora and times. "
        "With fewer than five seeds these numbers show where each recipe stands, not which one is "
        "better."
    )


def _find_only(values: Sequence[Mapping[str, Any]], results: Path, what: str) -> Mapping[str, Any]:
    if len(values) != 1:
        raise ExportError(
            f"{results / 'records'}: expected the records of one {what}, got {len(values)}. "
            "Nothing was published; run the scenario on one machine and one installation."
        )
    return values[0]
