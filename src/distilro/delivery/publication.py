"""What of a run is small enough to stand in git: its tables, its plot, its page, its expectations.

Every number is copied or computed from the run's own files; machines, versions and time come from
its records. A run done on several machines or installations is published with each of them named,
since every one of them has made some of its numbers; a run without records is not published.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from distilro.artifacts import hash_json, write_atomically, write_text
from distilro.delivery.circumstances import describe_partial
from distilro.delivery.expectations import (
    VERSION,
    Expectations,
    Machine,
    list_labels,
    summarise_measures,
    write_expectations,
)
from distilro.delivery.inputs import Records, Source, read_object, read_records
from distilro.delivery.measures import read_measures
from distilro.delivery.study import EVIDENCE
from distilro.delivery.tables import write_seconds
from distilro.errors import ExportError

COPIED = ("matrix.csv", "matrix.svg", "report.html")
COPIED_WHERE_FOUND = tuple(f"{name}.json" for name in EVIDENCE)
EXPECTED = "expected.json"
ENCODER = "encoder.json"

_PREFORMATTED = re.compile(r"<pre[^>]*>(.*?)</pre>", re.DOTALL)


def publish_run(results: str | Path, out: str | Path) -> None:
    """Copy a scenario's `COPIED`, and write matrix.md under its machines and `EXPECTED`.

    `COPIED_WHERE_FOUND` are copied, too, and the card of the encoder that the models started from
    as `ENCODER`; what the run does not have is removed from `out`, where an earlier run may have
    left it.

    Raises:
        ExportError: a file is missing or lacks what is published, or nothing says on what it ran.
    """
    results, out = Path(results), Path(out)
    needed = (*COPIED, "matrix.md", "matrix.parquet")
    missing = [name for name in needed if not (results / name).is_file()]
    if missing:
        raise ExportError(
            f"{results}: {', '.join(missing)} not found; expected a finished run. Nothing was "
            "published; run the scenario to its report first."
        )
    records = read_records(results / "records", None)
    try:
        expectations = collect_expectations(results, records)
    except ValidationError as error:
        raise ExportError(
            f"{results}: a record or a card is not what its stage writes ({error}). Nothing was "
            "published; delete the file and run its stage again."
        ) from None
    for name in (*COPIED, *COPIED_WHERE_FOUND):
        _copy_where_found(results / name, out / name)
    source = expectations.settings["encoders"]["source"]
    _copy_where_found(results / "encoders" / source / "card.json", out / ENCODER)
    table = (results / "matrix.md").read_text(encoding="utf-8")
    write_text(out / "matrix.md", f"{_describe_run(expectations, records)}\n\n{table}")
    write_expectations(out / EXPECTED, expectations)


def collect_expectations(results: Path, records: Records) -> Expectations:
    """Return what a finished run of results/<scenario> found, read from its files.

    Raises:
        ExportError: a file lacks what is published, there is no record, or two models saw two
            versions of one mixture.
    """
    settings = read_page_settings(results / "report.html")
    confidence = settings.open("evaluation").get("confidence")
    recipes = settings.open("recipes")
    # What is not neural is the same for every seed.
    alike = {name for name in recipes.values if recipes.open(name).get("kind") != "encoder"}
    measures = read_measures(results / "matrix.parquet")
    cards = [read_object(path) for path in sorted(results.glob("models/*/*/*/card.json"))]
    return Expectations(
        version=VERSION,
        scenario=results.name,
        settings_hash=hash_json(settings.values),
        settings=dict(settings.values),
        confidence=confidence,
        machines=list_machines(records, results / "records"),
        versions=tuple(dict(versions) for versions in records.versions),
        mixtures=_join_mixtures(cards),
        models={_name_model(card): card.get("weights") for card in cards},
        labels=list_labels(measures),
        cells=tuple(summarise_measures(measures, deterministic=alike, confidence=confidence)),
    )


def list_machines(records: Records, where: str | Path) -> tuple[Machine, ...]:
    """Return the machines of a run, in the order of its records.

    Records of one processor, core count and memory are of one machine: a job that computed on no
    GPU names none, in parts or not. Two lists of GPUs beside one processor are two machines.

    Raises:
        ExportError: there is no record in `where`, or one lacks a part.
    """
    groups: dict[tuple[Any, ...], list[Source]] = {}
    for values in records.hardware:
        source = Source(f"{where}: hardware", values)
        key = tuple(source.get(name) for name in ("processor", "cores", "memory_gib"))
        groups.setdefault(key, []).append(source)
    if not groups:
        raise ExportError(
            f"{where}: expected records of the run's jobs, got none. Nothing was published; a "
            "number is worth little without the machine that made it. Run the scenario again."
        )
    return tuple(machine for key, group in groups.items() for machine in _name_gpus(key, group))


def read_page_settings(page: Path) -> Source:
    """Return the effective settings of a run, which stand nowhere but on its page.

    They are found, and believed, by their hash, which the page names as well.

    Raises:
        ExportError: no block of the page has a hash that the page names.
    """
    text = page.read_text(encoding="utf-8")
    for block in _PREFORMATTED.findall(text):
        values = _parse_settings(html.unescape(block))
        if values and hash_json(values) in text:
            return Source(f"{page}: settings", values)
    raise ExportError(
        f"{page}: expected the run's settings and their hash, got none that belong together. "
        "Nothing was published; write the page again with the stage report."
    )


def _parse_settings(text: str) -> dict[str, Any]:
    """Return a mapping of YAML; an empty one where the text is no settings but a citation, say."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) and "scenario" in values else {}


def _copy_where_found(source: Path, target: Path) -> None:
    if not source.is_file():
        target.unlink(missing_ok=True)
        return
    with write_atomically(target) as temporary:
        temporary.write_bytes(source.read_bytes())


def _name_gpus(key: tuple[Any, ...], group: Sequence[Source]) -> list[Machine]:
    processor, cores, memory_gib = key
    flags = tuple(dict.fromkeys(flag for source in group for flag in source.get("flags")))
    lists = dict.fromkeys(tuple(source.get("gpus")) for source in group)
    return [
        Machine(processor=processor, cores=cores, memory_gib=memory_gib, flags=flags, gpus=gpus)
        for gpus in [gpus for gpus in lists if gpus] or [()]
    ]


def _name_model(card: Source) -> str:
    return f"{card.get('recipe')}/{card.get('scope')}/seed{card.get('seed')}"


def _join_mixtures(cards: Iterable[Source]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for card in cards:
        for name, digest in card.open("mixtures").values.items():
            if joined.setdefault(name, digest) != digest:
                raise ExportError(
                    f"{card.where}: mixtures: {name}: expected {joined[name]}, as in another "
                    f"model's card, got {digest}: two models saw two versions of their data. "
                    "Nothing was published; train the older one again."
                )
    return joined


def _describe_run(expectations: Expectations, records: Records) -> str:
    machines = _number([_describe_machine(machine) for machine in expectations.machines])
    versions = _number([_describe_versions(versions) for versions in expectations.versions])
    seconds = sum(timing.seconds for timing in records.timings)
    seeds = sorted({seed for cell in expectations.cells for seed in cell.seeds})
    return (
        f"# Scenario `{expectations.scenario}`\n\n"
        f"Measured on {machines}. The jobs of models, from the encoder to "
        f"the evaluation, took {write_seconds(seconds)} added up{describe_partial(records)}. "
        f"Seeds: {', '.join(map(str, seeds))}.\n"
        f"Versions: {versions}.\n\n"
        "The page beside this file, `report.html`, has all metrics, settings, corpora and times, "
        f"and `{EXPECTED}` what `distilro verify` holds another run against. With fewer than five "
        "seeds these numbers show where each recipe stands, not which one is better."
    )


def _describe_machine(machine: Machine) -> str:
    gpus = ", ".join(machine.gpus) or "no GPU"
    size = f"{machine.cores} cores, {machine.memory_gib} GiB of memory"
    return f"{machine.processor}, {size}, {gpus}"


def _describe_versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _number(texts: Sequence[str]) -> str:
    """Return one text as it is, and several with a number before each."""
    if len(texts) == 1:
        return texts[0]
    return "; ".join(f"({place}) {text}" for place, text in enumerate(texts, start=1))
