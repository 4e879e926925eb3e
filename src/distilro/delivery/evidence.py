"""The parts of the page that weigh the numbers: comparisons, influence, trust, robustness, cost.

Each function returns what the template shows of one part; a part whose file was not made is None,
and the template says so.
"""

from collections.abc import Callable, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from distilro.delivery.answer import format_metric
from distilro.delivery.calibration import (
    build_calibration,
    choose_shown,
    describe_calibration,
    read_calibrations,
)
from distilro.delivery.comparison_tables import build_differences, build_family, build_seed_tests
from distilro.delivery.comparisons import Family, group_test_sets, read_family
from distilro.delivery.costs import build_costs
from distilro.delivery.forest import Forest, draw_forest
from distilro.delivery.influence import build_influence, describe_influence, read_influences
from distilro.delivery.language_gap import build_gaps, describe_gaps, read_gaps
from distilro.delivery.ledger import build_ledger, build_paretos
from distilro.delivery.loyalty import build_loyalty, describe_loyalty
from distilro.delivery.pareto import draw_pareto
from distilro.delivery.questions import (
    Question,
    answer_question,
    describe_sizes,
    describe_standing,
    describe_test_sets,
    group_questions,
)
from distilro.delivery.reliability import Reliability, draw_reliability
from distilro.delivery.robustness import build_elsewhere, build_robustness, describe_robustness
from distilro.delivery.standings import describe_standings, list_unbeaten
from distilro.delivery.study import Study
from distilro.delivery.tables import count_nouns

Draw = Callable[[Element], Any]  # from a picture to what the template takes


def describe_evidence(study: Study, draw: Draw) -> dict[str, Any]:
    """Return every part that weighs the numbers, for the template.

    Args:
        study: the run.
        draw: turns a picture into markup that the template does not escape.
    """
    return {
        **_describe_comparisons(study, draw),
        "influence": _describe_influence(study),
        "gaps": _describe_gaps(study),
        "loyalty": _describe_loyalty(study),
        "calibration": _describe_calibration(study, draw),
        "robustness": {
            "sentences": describe_robustness(study.own_test_sets),
            "tables": build_robustness(study.own_test_sets),
        },
        "elsewhere": build_elsewhere(study.own_test_sets, study.other_test_sets, study.titles),
        "costs": _describe_costs(study, draw),
    }


def _describe_comparisons(study: Study, draw: Draw) -> dict[str, Any]:
    if study.evidence.comparisons is None:
        return {"questions": [], "noise": None}
    family = read_family(study.evidence.comparisons)
    questions = group_questions(family, study.recipes)
    noise = {
        "answer": answer_question(family.rows),
        "standing": describe_standing(family.rows, family.seeds_needed),
        "confidence": f"{family.confidence:.0%}",
        "samples": f"{family.samples:,}",
        "correction": family.correction,
        "family": build_family(family),
        "seed_tests": build_seed_tests(family),
    }
    return {
        "questions": [_describe_question(study, question, family, draw) for question in questions],
        "noise": noise,
    }


def _describe_question(
    study: Study, question: Question, family: Family, draw: Draw
) -> dict[str, Any]:
    rows = question.rows
    parameters = {
        (card.get("recipe"), card.get("scope")): float(card.get("parameters"))
        for card in study.cards
    }
    forests = [
        Forest(
            title=task,
            subtitle=f"{study.titles.get(test_set, test_set)}, n={group[0].items:,}",
            axis=f"difference in {format_metric(group[0].metric)}",
            rows=group,
        )
        for (task, test_set), group in group_test_sets(rows).items()
    ]
    return {
        "name": question.name,
        "title": question.title,
        "answer": answer_question(rows),
        "standing": describe_standing(rows, family.seeds_needed),
        "sizes": describe_sizes(rows, parameters),
        "tasks": describe_test_sets(rows),
        "table": build_differences(f"{question.title} Each recipe minus its reference", rows),
        "forests": [draw(draw_forest(forest)) for forest in forests],
    }


def _describe_influence(study: Study) -> dict[str, Any] | None:
    if study.evidence.influence is None:
        return None
    cells = read_influences(study.evidence.influence)
    return {"answer": describe_influence(cells), "tables": build_influence(cells)}


def _describe_gaps(study: Study) -> dict[str, Any] | None:
    source = study.evidence.gaps
    if source is None:
        return None
    gaps = read_gaps(source)
    return {
        "answer": describe_gaps(gaps),
        "tables": build_gaps(gaps),
        "critics": source.get("critics"),
    }


def _describe_loyalty(study: Study) -> dict[str, Any] | None:
    source = study.evidence.loyalty
    if source is None:
        return None
    recipes = study.recipes
    by_folds = {
        name
        for name in recipes.values
        if recipes.open(name).values.get("teacher_logits") == "out_of_fold"
    }
    return {"answer": describe_loyalty(source), "table": build_loyalty(source, by_folds)}


def _describe_calibration(study: Study, draw: Draw) -> dict[str, Any] | None:
    if study.evidence.calibration is None:
        return None
    rows = read_calibrations(study.evidence.calibration)
    shown = choose_shown(rows, study.own_test_sets, study.baselines)
    panels = [
        Reliability(task, study.titles.get(test_set, test_set), chosen)
        for (task, test_set), chosen in shown.items()
    ]
    return {
        "answer": describe_calibration(rows),
        "table": build_calibration(rows),
        "pictures": [draw(draw_reliability(panel)) for panel in panels],
    }


def _describe_costs(study: Study, draw: Draw) -> dict[str, Any]:
    own: Sequence = study.own_test_sets
    costs = build_costs(study.cards, study.run_records, study.configs, study.recipes)
    watts = study.settings.open("delivery").values.get("watts")
    partial = sum(cost.partial for cost in costs)
    return {
        "standings": describe_standings(own, study.kinds),
        "table": build_ledger(costs, list_unbeaten(own, study.kinds), watts),
        "pictures": [draw(draw_pareto(plot)) for plot in build_paretos(costs, own, study.kinds)],
        "counted": bool(study.configs),
        "watts": watts,
        "partial": count_nouns(partial, "cell") if partial else "",
    }
