"""What is written of a measurement: the machine, the settings, every row, the ratios. No torch.

The folder of the prepared examples is left away: a result names no place on a machine.
"""

import importlib.metadata
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from benchmarks.jobs import Plan
from benchmarks.ratios import NOT_MEASURED, compute_ratios
from benchmarks.shapes import SHAPES
from distilro.cards import list_versions
from distilro.devices import describe_hardware


def build_result(
    plan: Plan, data: Mapping[str, str], settings: Mapping[str, int], rows: Sequence[dict]
) -> dict:
    """Return what one file holds: the machine, the settings, every row, and the ratios.

    Args:
        plan: what all sides shared.
        data: the name of the dataset, and whether its texts are real or drawn.
        settings: what was asked for beside the plan.
        rows: every measured run, at least one.
    """
    first, shape = rows[0], SHAPES[plan.model]
    hardware = describe_hardware()
    on_gpu = plan.device == "cuda"
    return {
        "machine": {**hardware, "gpus": hardware["gpus"] if on_gpu else []},
        "device": plan.device,
        "threads": plan.threads,
        "versions": _list_versions(),
        "model": {"name": plan.model, **asdict(shape)},
        "data": {
            **data,
            "train_rows": first["train_rows"],
            "valid_rows": first["valid_rows"],
            "mean_tokens": first["tokens"] / first["examples"],
        },
        "settings": {
            **{key: value for key, value in asdict(plan).items() if key != "prepared"},
            **settings,
        },
        "rows": list(rows),
        **compute_ratios(rows),
        "gpu": _describe_gpu(hardware["gpus"], plan, rows) if on_gpu else NOT_MEASURED,
    }


def _list_versions() -> dict[str, str]:
    others = ("accelerate", "datasets")
    versions = {name: importlib.metadata.version(name) for name in others}
    return {"python": platform.python_version(), **list_versions(), **versions}


def _describe_gpu(names: Sequence[str], plan: Plan, rows: Sequence[dict]) -> dict:
    sides = dict.fromkeys(row["side"] for row in rows)

    def take_medians(figure: str) -> dict[str, float]:
        values = {side: [row[figure] for row in rows if row["side"] == side] for side in sides}
        return {side: statistics.median(taken) for side, taken in values.items()}

    return {
        "names": list(names),
        "peak_memory_mib": take_medians("peak_gpu_memory_mib"),
        "peak_tflops": plan.peak_tflops or NOT_MEASURED,
        "mfu": take_medians("mfu") if plan.peak_tflops else NOT_MEASURED,
    }
