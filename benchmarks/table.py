"""The tables of the README: what benchmarks/results/ holds, as Markdown. No torch.

`python -m benchmarks.table` prints them; `--into README.md` puts them between the markers
`<!-- benchmarks -->` and `<!-- /benchmarks -->`. What nobody measured is there too, and says so.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ratios import COMPARISONS, NOT_MEASURED, measure_speeds
from distilro.artifacts import read_json, write_text
from distilro.errors import DataError

RESULTS = Path(__file__).with_name("results")
MARKERS = ("<!-- benchmarks -->", "<!-- /benchmarks -->")

# What the project sets out to measure: device, model, data.
EXPECTED = (
    ("cpu", "small", "redv2"),
    ("cpu", "small", "moroco"),
    ("cuda", "base", "redv2"),
    ("cuda", "small", "redv2"),
)
_DEVICES = {"cpu": "CPU", "cuda": "GPU"}
_SIDES = {
    "ours": "distilro",
    "tuned": "Trainer, tuned",
    "default": "Trainer, defaults",
    "plain": "multi-task, no teacher",
    "store": "multi-task, taught from the store",
    "teacher_in_loop": "multi-task, teacher in the loop",
    "cells_ours": "small cells, one process of distilro",
    "cell_trainer": "small cells, one tuned Trainer process each",
}
_RATIO_HEAD = (
    "| device, model, data | against Trainer's defaults | against Trainer tuned | taught from the "
    "store, against no teacher | store against teacher in the loop | cells per hour | MFU |\n"
    "|---|---:|---:|---:|---:|---:|---:|"
)
_FIGURE_HEAD = (
    "| device, model, data | side | examples/s | tokens/s | cells/h | padding | peak memory, MiB "
    "| validation |\n|---|---|---:|---:|---:|---:|---:|---:|"
)


def render(folder: str | Path = RESULTS) -> str:
    """Return the tables of all results in a folder, and of what is expected and not there."""
    results = [read_json(path) for path in sorted(Path(folder).glob("*.json"))]
    have = {_name(result) for result in results}
    absent = [key for key in EXPECTED if key not in have]
    return render_results(results, absent)


def render_results(results: Sequence[dict], absent: Sequence[tuple[str, str, str]] = ()) -> str:
    """Return three parts: the ratios, the figures behind them, and the machines."""
    ratios = [_render_ratios(result) for result in results]
    ratios += [_join([_title(key), *[NOT_MEASURED] * (len(COMPARISONS) + 1)]) for key in absent]
    figures = [line for result in results for line in _render_figures(result)]
    parts = ["\n".join([_RATIO_HEAD, *ratios])]
    if figures:
        parts.append("\n".join([_FIGURE_HEAD, *figures]))
        parts.append("\n".join(_describe(result) for result in results))
    return "\n\n".join(parts) + "\n"


def insert(page: str, tables: str) -> str:
    """Return a page with the tables between its markers.

    Raises:
        DataError: the page does not have both markers, in their order.
    """
    before, first, rest = page.partition(MARKERS[0])
    _, last, after = rest.partition(MARKERS[1])
    if not first or not last:
        raise DataError(f"The page has no {MARKERS[0]} ... {MARKERS[1]}. Nothing was written.")
    return f"{before}{first}\n{tables}{last}{after}"


def _name(result: dict) -> tuple[str, str, str]:
    return result["device"], result["model"]["name"], result["data"]["name"]


def _title(key: tuple[str, str, str]) -> str:
    device, model, data = key
    return f"{_DEVICES[device]}, {model}, {data}"


def _render_ratios(result: dict) -> str:
    cells = [_title(_name(result))]
    for name in COMPARISONS:
        ratio = result[name]
        if ratio == NOT_MEASURED:
            cells.append(NOT_MEASURED)
        else:
            cells.append(f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})")
    shares = [row["mfu"] for row in result["rows"] if row["side"] == "ours" and row["mfu"]]
    cells.append(f"{100 * statistics.median(shares):.1f} %" if shares else NOT_MEASURED)
    return _join(cells)


def _render_figures(result: dict) -> list[str]:
    return [
        _join([_title(_name(result)), title, *_render_side(rows)])
        for side, title in _SIDES.items()
        if (rows := [row for row in result["rows"] if row["side"] == side])
    ]


def _render_side(rows: Sequence[dict]) -> list[str]:
    """Return the medians over the rows of one side."""

    def median(figure: str) -> float:
        return statistics.median(row[figure] for row in rows)

    comparison = COMPARISONS["ratio_cells"]
    per_second = measure_speeds(rows, rows[0]["side"], comparison).values()
    return [
        f"{median('examples_per_second'):,.1f}",
        f"{median('tokens_per_second'):,.0f}",
        f"{3600 * statistics.median(per_second):,.0f}" if per_second else "",
        f"{100 * median('padding_share'):.1f} %",
        f"{median('peak_memory_mib'):,.0f}",
        f"{median('score_last'):.3f}",
    ]


def _describe(result: dict) -> str:
    machine, model, data, settings = (
        result[name] for name in ("machine", "model", "data", "settings")
    )
    where = ", ".join([machine["processor"], f"{machine['cores']} cores", *machine["gpus"]])
    rows = f"{data['train_rows']:,} {data['texts']} training texts"
    tokens = f"{data['mean_tokens']:.0f} tokens each on average"
    return (
        f"- {_title(_name(result))}: {where}; threads: {result['threads']}; model of "
        f"{model['layers']} x {model['hidden']}; {rows}, {tokens}; epochs: "
        f"{settings['epochs']}; rounds: {settings['repeats']}."
    )


def _join(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the tables, or put them into a page."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of JSON files")
    parser.add_argument("--into", type=Path, help="a Markdown file that has the markers")
    arguments = parser.parse_args()
    tables = render(arguments.results)
    if arguments.into:
        write_text(arguments.into, insert(arguments.into.read_text("utf-8"), tables))
    else:
        sys.stdout.write(tables)


if __name__ == "__main__":
    main()
