"""Made-up files of evidence, comparisons and all the others, as the stages write them.

Values follow from places in a list, so that a test can tell what must stand on the page.
"""

from pathlib import Path

from distilro.artifacts import write_json


def make_comparison(**changes):
    """Return one row of comparisons.json."""
    row = {
        "task": "emotion",
        "test_set": "redv2",
        "metric": "macro_f1",
        "recipe": "single_mixed",
        "scope": "emotion",
        "reference": "single_ro",
        "reference_scope": "emotion",
        "seeds": [0, 1, 2, 3, 4],
        "reference_seeds": [0, 1, 2, 3, 4],
        "items": 818,
        "value": 0.62,
        "reference_value": 0.59,
        "difference": 0.03,
        "low": 0.01,
        "high": 0.05,
        "p": 0.002,
        "p_holm": 0.012,
        "minimum_detectable": 0.028,
        "mcnemar": [],
        "verdict": "higher",
        "claim": True,
    }
    return {**row, **changes}


def make_family(*rows):
    """Return the whole of comparisons.json."""
    return {
        "version": 1,
        "confidence": 0.95,
        "samples": 1000,
        "seeds_needed": 5,
        "correction": "holm",
        "family": list(rows),
    }


def make_influence(**changes):
    """Return one row of influence.json."""
    row = {
        "kind": "dataset",
        "added": "carer",
        "task": "emotion",
        "test_set": "redv2",
        "metric": "macro_f1",
        "with": {"recipe": "single_mixed", "scope": "emotion"},
        "without": {"recipe": "single_ro", "scope": "emotion"},
        "also": [],
        "difference": 0.02,
        "low": 0.005,
        "high": 0.035,
        "minimum_detectable": 0.02,
        "seeds": 5,
        "items": 818,
    }
    return {**row, **changes}


def make_calibration(**changes):
    """Return one row of calibration.json: surer than right, and cured by its temperature."""
    bins = [(0.05 + 0.1 * place, 10 * place) for place in range(10)]
    curve = [{"confidence": c, "accuracy": 0.7 * c if n else None, "count": n} for c, n in bins]
    row = {
        "recipe": "linear",
        "scope": "emotion",
        "task": "emotion",
        "seed": 0,
        "test_set": "redv2",
        "n": 818,
        "temperature": 1.5,
        "ece": 0.2,
        "brier": 0.3,
        "ece_scaled": 0.05,
        "brier_scaled": 0.25,
        "curve": curve,
        "curve_scaled": [{**point, "accuracy": point["confidence"]} for point in curve],
    }
    return {**row, **changes}


def make_loyalty(**changes):
    """Return one row of loyalty.json."""
    row = {
        "student": "annealed",
        "student_scope": "all",
        "teacher": "single_mixed",
        "teacher_scope": "emotion",
        "task": "emotion",
        "test_set": "redv2",
        "seed": 0,
        "n": 818,
        "label": {"value": 0.9, "low": 0.88, "high": 0.92},
        "probability": {"value": 0.8, "low": 0.79, "high": 0.81},
        "regression": {"value": None, "low": None, "high": None},
    }
    return {**row, **changes}


def make_gap(**changes):
    """Return one row of gaps.json."""
    row = {
        "task": "emotion",
        "recipe": "adversarial",
        "scope": "emotion",
        "reference": "zero_shot",
        "reference_scope": "emotion",
        "seed": 0,
        "texts": {"en": 2000, "ro": 543},
        "gaps": [0.05, 0.1, 0.15],
        "reference_gaps": [0.3, 0.3, 0.3],
    }
    return {**row, **changes}


def write_evidence(folder: Path) -> list[str]:
    """Write the five files beside a made-up run and return the arguments that name them."""
    tasks = {"emotion": "redv2", "sentiment": "laroseda", "topic": "moroco_vardial2019"}
    rows = [
        make_comparison(
            **{"task": task, "test_set": name, "scope": task, "reference_scope": task, **change}
        )
        for task, name in tasks.items()
        for change in (
            {},
            {"recipe": "multi", "scope": "all", "reference": "single_mixed", "difference": -0.004,
             "low": -0.02, "high": 0.012, "verdict": "not distinguishable", "p_holm": 1.0},
            {"recipe": "annealed", "scope": "all", "reference": "multi", "reference_scope": "all",
             "difference": -0.05, "low": -0.07, "high": -0.03, "verdict": "lower",
             "seeds": [0, 1], "claim": False},
        )
    ]  # fmt: skip
    test = {"seed": 0, "reference_seed": 0, "only_recipe": 31, "only_reference": 12, "p": 0.004}
    rows[0]["mcnemar"] = [test]
    added = {"kind": "task", "added": "topic", "difference": -0.03, "low": -0.05, "high": -0.01}
    contents = {
        "comparisons": make_family(*rows),
        "influence": {
            "version": 1,
            "confidence": 0.95,
            "samples": 1000,
            "rows": [make_influence(), make_influence(**added)],
        },
        "gaps": {"version": 1, "critics": 3, "rows": [make_gap(), make_gap(seed=1)]},
        "calibration": {
            "version": 1,
            "bins": 15,
            "rows": [
                make_calibration(task=task, test_set=name, recipe=recipe, scope=scope or task)
                for task, name in tasks.items()
                for recipe, scope in (("linear", None), ("multi", "all"), ("annealed", "all"))
            ],
        },
        "loyalty": {
            "version": 1,
            "confidence": 0.95,
            "samples": 1000,
            "rows": [make_loyalty(), make_loyalty(seed=1)],
        },
    }
    arguments = []
    for name, content in contents.items():
        write_json(folder / f"{name}.json", content)
        arguments += [f"--{name}", str(folder / f"{name}.json")]
    return arguments
