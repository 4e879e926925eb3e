"""The report: one page that holds all its style and pictures and loads nothing.

Everything on it comes from the files of a run (`Study`). The template escapes every value; only
pictures, built as element trees by this package, and the style sheet go in as they are.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from distilro import __version__
from distilro.artifacts import hash_json
from distilro.delivery.answer import answer_questions
from distilro.delivery.circumstances import build_timings, describe_machine, write_settings
from distilro.delivery.evidence import describe_evidence
from distilro.delivery.flow import draw_flow
from distilro.delivery.inputs import Corpus
from distilro.delivery.intervals import draw_panel, draw_panels
from distilro.delivery.materials import (
    build_copies,
    build_corpora,
    build_dropped,
    build_labels,
    build_mixtures,
    build_repeats,
    build_texts,
)
from distilro.delivery.results import (
    build_matrix,
    build_metrics,
    build_panels,
    name_test_set,
    title_test_set,
)
from distilro.delivery.study import Study
from distilro.delivery.svg import DARK, LIGHT, STYLE, render, render_alone
from distilro.delivery.trainings import build_models, draw_trainings
from distilro.errors import ExportError

STYLE_FILE = "page.css"


def build_page(study: Study, template: str | Path) -> str:
    """Return the page as HTML; the style sheet `page.css` lies beside the template.

    Raises:
        ExportError: the template is absent, or a file of the run lacks what the page shows.
    """
    # Here and not above: only this stage needs it, and every command imports its package.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    template = Path(template)
    if not template.is_file():
        raise ExportError(f"{template} is missing; expected the page's template. Restore it.")
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    context = {
        **_describe_results(study),
        **describe_evidence(study, _draw),
        **_describe_materials(study),
        **_describe_run(study),
        "style": _mark_safe(read_style(template.parent / STYLE_FILE)),
    }
    return environment.get_template(template.name).render(context)


def draw_results(study: Study) -> str:
    """Return the dot plot of every test set as an SVG file of its own."""
    sets = study.matrix_test_sets
    panels = build_panels(sets, study.titles, study.baselines)
    tasks = {test_set.task for test_set in sets}
    statement = ": a demonstration on a sample corpus, not a result" if study.demonstration else ""
    title = f"Scenario {study.scenario}{statement}"
    return render_alone(draw_panels(panels, columns=min(3, len(tasks)), title=title))


def read_style(path: str | Path) -> str:
    """Return the page's style sheet with the pictures' colours and rules filled in."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ExportError(f"{path} is missing; expected the page's style. Restore it.") from None
    return text.replace("@@LIGHT@@", LIGHT).replace("@@DARK@@", DARK) + STYLE


def _describe_results(study: Study) -> dict[str, Any]:
    evaluation = study.settings.open("evaluation")
    sets, titles, baselines = study.matrix_test_sets, study.titles, study.baselines
    romanian = [test_set for test_set in sets if test_set.language == "ro"]
    english = [test_set for test_set in sets if test_set.language != "ro"]
    return {
        "scenario": study.scenario,
        "title": study.settings.open("delivery").get("title"),
        "tasks": list(dict.fromkeys(test_set.task for test_set in sets)),
        "demonstration": study.demonstration,
        "demonstration_rows": f"{_count_rows(study.corpora):,}",
        "confidence": f"{100 * evaluation.get('confidence'):g} %",
        "samples": f"{evaluation.get('bootstrap_samples'):,}",
        "answers": [
            {
                "name": name_test_set(answer.test_set),
                "title": title_test_set(answer.test_set, titles),
                "headline": answer.headline,
                "verdict": answer.verdict,
            }
            for answer in answer_questions(romanian, baselines, study.floors)
        ],
        "panels": [_draw(draw_panel(p)) for p in build_panels(romanian, titles, baselines)],
        "english": [_draw(draw_panel(p)) for p in build_panels(english, titles, baselines)],
        "matrix": build_matrix(sets, titles),
        "metrics": build_metrics(study.test_sets, titles),
    }


def _describe_materials(study: Study) -> dict[str, Any]:
    return {
        "curves": [_mark_safe(picture) for picture in draw_trainings(study.cards)],
        "models": build_models(study.cards),
        "corpora": build_corpora(study.corpora),
        "labels": build_labels(study.corpora),
        "texts": build_texts(study.corpora),
        "mixtures": build_mixtures(study.mixtures),
        "copies": build_copies(study.audit),
        "repeats": build_repeats(study.audit),
        "dropped": build_dropped(study.audit),
        "sources": [corpus.dataset for corpus in study.corpora],
    }


def _describe_run(study: Study) -> dict[str, Any]:
    settings = dict(study.settings.values)
    return {
        "flow_wide": _draw(draw_flow(study.flow, upright=False)),
        "flow_tall": _draw(draw_flow(study.flow, upright=True)),
        "settings": write_settings(settings),
        "settings_hash": hash_json(settings),
        "version": __version__,
        "machine": describe_machine(study.records),
        "timings": build_timings(study.records),
        "commands": [
            "source .venv/bin/activate",
            f"snakemake --cores all --resources gpu=1 --config scenario={study.scenario}",
        ],
    }


def _count_rows(corpora: Sequence[Corpus]) -> int:
    splits = [corpus.summary.open("splits") for corpus in corpora]
    return sum(part.open(split).get("rows") for part in splits for split in part.values)


def _draw(picture: Element) -> Any:  # noqa: ANN401 - see _mark_safe
    return _mark_safe(render(picture))


def _mark_safe(markup: str) -> Any:  # noqa: ANN401 - markupsafe.Markup, imported only here
    from markupsafe import Markup  # noqa: PLC0415

    return Markup(markup)  # noqa: S704 - our own element trees and style sheet
