"""Write the report page of a scenario, and its pictures where asked."""

import argparse
from pathlib import Path

from distilro.artifacts import write_text
from distilro.delivery.flow import draw_flow
from distilro.delivery.inputs import (
    Source,
    read_corpora,
    read_evidence,
    read_flow,
    read_object,
    read_records,
    read_run_records,
)
from distilro.delivery.measures import group_test_sets, read_measures
from distilro.delivery.report import build_page, draw_results
from distilro.delivery.study import EVIDENCE, Evidence, Study
from distilro.delivery.svg import render_alone
from distilro.errors import SettingsError
from distilro.settings import Settings, check_section

TEMPLATE = Path("workflow/report/template.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("--scenario", required=True, help="the scenario's name")
    add("--matrix", required=True, type=Path, help="results/<scenario>/matrix.parquet")
    add("--audit", required=True, type=Path, help="the audit's summary, JSON")
    add("--summaries", required=True, type=Path, nargs="+", help="of the prepared datasets")
    add("--registry", required=True, type=Path, help="data/registry")
    add("--cards", required=True, type=Path, nargs="+", help="card.json of every model")
    add("--configs", type=Path, nargs="*", default=[], help="config.json beside the cards")
    add("--mixtures", required=True, type=Path, nargs="+", help="manifests of the mixtures")
    add("--settings", required=True, help="the effective settings, JSON")
    add("--records", type=Path, help="folder of run records, if there is one")
    add("--benchmarks", type=Path, help="folder of Snakemake's benchmarks, if there is one")
    for name in EVIDENCE:
        add(f"--{name}", type=Path, help=f"{name}.json of the evaluation, if it was made")
    add("--dag", required=True, type=Path, help="nodes and edges of the rules, JSON")
    add("--template", type=Path, default=TEMPLATE, help=f"by default {TEMPLATE}")
    add("--out", required=True, type=Path, help="the page, HTML")
    add("--plot", type=Path, help="also write the dot plot alone, SVG")
    add("--dag-picture", type=Path, help="also write the picture of the rules alone, SVG")


def run(arguments: argparse.Namespace) -> None:
    """Read the files of the run; write the pictures asked for and then the page."""
    study = read_study(arguments)
    page = build_page(study, arguments.template)
    if arguments.plot:
        write_text(arguments.plot, draw_results(study))
    if arguments.dag_picture:
        write_text(arguments.dag_picture, render_alone(draw_flow(study.flow, upright=False)))
    write_text(arguments.out, page)


def read_study(arguments: argparse.Namespace) -> Study:
    """Read every file that the arguments name."""
    settings = check_section(Settings, arguments.settings)
    if settings.scenario != arguments.scenario:
        raise SettingsError(
            f"--scenario is {arguments.scenario}, but --settings are those of {settings.scenario}; "
            "expected the same. No page was written."
        )
    values = settings.model_dump(mode="json", exclude_none=True)
    return Study(
        scenario=arguments.scenario,
        settings=Source("--settings", values),
        test_sets=group_test_sets(read_measures(arguments.matrix)),
        corpora=read_corpora(arguments.registry, arguments.summaries),
        audit=read_object(arguments.audit),
        mixtures={f"{p.parent.name}/{p.stem}": read_object(p) for p in arguments.mixtures},
        cards=[read_object(path) for path in arguments.cards],
        records=read_records(arguments.records, arguments.benchmarks),
        flow=read_flow(arguments.dag),
        evidence=Evidence(**{name: read_evidence(getattr(arguments, name)) for name in EVIDENCE}),
        run_records=read_run_records(arguments.records),
        configs=[read_object(path) for path in arguments.configs],
    )
