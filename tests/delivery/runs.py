"""A small made-up run on the disk: every file that the report reads, without a model."""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from distilro.artifacts import write_json
from distilro.evaluation.scores import Score, write_scores
from tests.support import ROOT, build_settings

RECIPES = ("linear", "single_ro", "single_mixed", "multi", "distilled", "annealed")
LABELS = {
    "emotion": ("sadness", "surprise", "fear", "anger", "neutral", "trust", "joy"),
    "sentiment": ("negative", "positive"),
    "topic": ("culture", "finance", "politics", "science", "sports", "tech"),
}
QUESTIONS = {
    "single_mixed": {"question": "english", "reference": "single_ro"},
    "multi": {"question": "tasks", "reference": "single_mixed"},
    "distilled": {"question": "distillation", "reference": "multi"},
    "annealed": {"question": None, "reference": "multi"},
}
ROWS = {"train": 1234, "valid": 150, "test": 321}


@dataclass(frozen=True)
class Run:
    """Where a made-up run lies, and its scores."""

    folder: Path
    scenario: str
    scores: tuple[Score, ...]

    def list_arguments(self, *more: str) -> list[str]:
        """Return the command line that makes its page at `folder`/report.html."""
        folder = self.folder
        return [
            "report",
            *("--scenario", self.scenario, "--matrix", str(folder / "matrix.parquet")),
            *("--audit", str(folder / "mixtures/audit.json")),
            "--summaries", *map(str, sorted(folder.glob("prepared/*/summary.json"))),
            *("--registry", str(folder / "registry")),
            "--cards", *map(str, sorted(folder.glob("models/*/*/*/card.json"))),
            "--configs", *map(str, sorted(folder.glob("models/*/*/*/config.json"))),
            "--mixtures", *map(str, sorted(folder.glob("mixtures/*/*.json"))),
            *("--settings", (folder / "settings.json").read_text(encoding="utf-8")),
            *("--records", str(folder / "records"), "--benchmarks", str(folder / "benchmarks")),
            *("--dag", str(ROOT / "workflow/report/flow.json")),
            *("--template", str(ROOT / "workflow/report/template.html")),
            *("--out", str(folder / "report.html"), *more),
        ]  # fmt: skip


def write_run(folder: Path, scenario: str = "laptop") -> Run:
    """Write a run of two seeds; its values follow from names, so that they can be checked."""
    settings = build_settings(scenario, training={"seeds": [0, 1]}, recipes=QUESTIONS)
    values = settings.model_dump(mode="json", exclude_none=True)
    (folder / "settings.json").write_text(json.dumps(values), encoding="utf-8")
    scores = []
    for task, datasets in settings.data.tasks.items():
        for language, dataset in (("ro", datasets.ro), ("en", datasets.en)):
            _write_dataset(folder, dataset, task, language)
            scores += _invent_scores(task, dataset, language)
        _write_mixture(folder, task, datasets.ro, datasets.en)
    write_scores(folder / "matrix.parquet", sorted(scores, key=_order))
    _write_audit(folder, [name for t in settings.data.tasks.values() for name in (t.ro, t.en)])
    for recipe in RECIPES:
        for scope in ("all",) if recipe in RECIPES[3:] else LABELS:
            for seed in (0,) if recipe == "linear" else (0, 1):
                _write_card(folder, recipe, scope, seed)
    _write_records(folder)
    return Run(folder, scenario, tuple(scores))


def _order(score: Score) -> tuple:
    return (RECIPES.index(score.recipe), score.task, score.seed, score.test_set)


def _invent_scores(task: str, dataset: str, language: str) -> list[Score]:
    scores = []
    sets = task == "topic" and language == "en"  # gold rows name sets: macro F1 is not defined
    variants = ("official", "deduplicated", "stripped")[: 3 if language == "ro" else 2]
    names = ["accuracy", "macro_f1", *(f"f1_{label}" for label in LABELS[task])]
    for index, recipe in enumerate(RECIPES):
        for seed in (0,) if recipe == "linear" else (0, 1):
            for shift, variant in enumerate(variants):
                for place, metric in enumerate(names):
                    value = 0.55 + 0.013 * index + 0.007 * seed - 0.011 * shift + 0.004 * place
                    undefined = sets and metric != "accuracy"
                    value = float("nan") if undefined else value
                    scope = "all" if recipe in RECIPES[3:] else task
                    bounds = value - 0.028, value + 0.03
                    n = 0 if undefined else 321 - 21 * (variant == "deduplicated")
                    cell = (recipe, scope, task, seed, dataset, language)
                    scores.append(Score(*cell, variant, metric, value, *bounds, n))
    return scores


def _write_dataset(folder: Path, name: str, task: str, language: str) -> None:
    declared = {
        "name": name,
        "title": name.replace("_", " ").title(),
        "task": task,
        "language": language,
        "licence": "CC BY 4.0",
        "citation": f"@inproceedings{{{name},\n  title = {{A corpus, its rows & labels}}\n}}",
        "notes": f"{ROWS['train']:,} of 120,000 training rows: the rest is not in reach.",
        "demonstration": name.startswith("sample_"),
        "sources": [
            {
                "kind": "files",
                "files": [{"name": "a.csv", "unverified": True, "urls": ["https://host/a.csv"]}],
            }
        ],
        "reader": "csv",
        "splits": ROWS,
        "label_map": {label: {"labels": [label]} for label in LABELS[task]},
    }
    registry = folder / "registry"
    registry.mkdir(exist_ok=True)
    (registry / f"{name}.yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    splits = {
        split: {
            "rows": rows,
            "labels": {label: rows // (place + 2) for place, label in enumerate(LABELS[task])},
            "unobserved": dict.fromkeys(LABELS[task], 0)
            | ({"joy": rows} if name == "carer" else {}),
            "texts": {"with_cedilla_letters": 3, "with_placeholder": 17, "words_mean": 21.37},
        }
        for split, rows in ROWS.items()
    }
    write_json(folder / "prepared" / name / "summary.json", {"dataset": name, "splits": splits})


def _write_mixture(folder: Path, task: str, *datasets: str) -> None:
    account = {
        "available_rows": 1234,
        "dropped_rows": 34,
        "over_cap_rows": 200,
        "over_share_rows": 0,
        "rows": 1000,
    }
    manifest = {"task": task, "datasets": dict.fromkeys(datasets, account)}
    write_json(folder / "mixtures" / task / "ro1-en1.json", manifest)


def _write_audit(folder: Path, names: list[str]) -> None:
    pair = {
        "dataset": names[0],
        "split": "train",
        "other_dataset": names[0],
        "other_split": "test",
        "exact_rows": 5,
        "near_rows": 21,
        "other_touched_rows": 19,
        "conflicting_pairs": 2,
    }
    inside = {**pair, "split": "test", "other_exact_rows": 1, "other_near_rows": 8}
    dropped = {name: {"training_rows": 1234, "dropped_rows": 34} for name in names}
    audit = {"jaccard": 0.6, "pairs": [pair, inside], "dropped": dropped}
    write_json(folder / "mixtures" / "audit.json", audit)


def _write_card(folder: Path, recipe: str, scope: str, seed: int) -> None:
    tasks = list(LABELS) if scope == "all" else [scope]
    card = {"recipe": recipe, "scope": scope, "seed": seed, "tasks": tasks, "parameters": 5_000_000}
    if recipe != "linear":
        history = [
            {
                "epoch": epoch,
                "step": 30 * epoch,
                "loss": 1.9 / (epoch + 0.2 * seed),
                "valid": {t: 0.6 - 0.3 / epoch + 0.02 * i for i, t in enumerate(tasks)},
                "score": 0.5,
            }
            for epoch in range(1, 7)
        ]
        stage = {"history": history, "best_step": 150, "steps": 180, "tokens": 654_321}
        card["stages"] = [{**stage, "padding_share": 0.0312}]
    model = folder / "models" / recipe / scope / f"seed{seed}"
    encoder = {"hidden_size": 100, "vocab_size": 9000, "max_position_embeddings": 498}
    config = {} if recipe == "linear" else {"encoder": {**encoder, "type_vocab_size": 2}}
    write_json(model / "card.json", card)
    write_json(model / "config.json", config)


def _write_records(folder: Path) -> None:
    record = {
        "stage": "train",
        "name": "multi-all",
        "threads": 2,
        "seconds": 12.5,
        "hardware": {"processor": "A processor", "cores": 2, "flags": ["avx2"], "gpus": []},
        "versions": {"distilro": "0.1.0", "torch": "2.0"},
    }
    write_json(folder / "records" / "train-multi-all.json", record)
    linear = {**record, "name": "linear-topic", "seconds": 0.5}
    write_json(folder / "records" / "train-linear-topic.json", linear)
    for name, seconds in (("train/multi-all", 75.25), ("train/linear-topic", 3.5), ("matrix", 1.2)):
        path = folder / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:01:15\t100\n", encoding="utf-8")
