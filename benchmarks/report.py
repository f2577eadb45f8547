"""Write the figures of the last run of each benchmark into docs/benchmarks.md, and their picture beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.harness import OUT

__all__ = ["write"]

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def write() -> None:
    """Take the newest result of each id and parameters from `out/results.jsonl`."""
    newest: dict[str, dict[str, Any]] = {}
    for line in (OUT / "results.jsonl").read_text().splitlines():
        result = json.loads(line)
        newest[f"{result['id']} {json.dumps(_identity(result))}"] = result
    results = sorted(newest.values(), key=_place)
    path = DOCS / "benchmarks.md"
    before, _, rest = path.read_text().partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{_table(results)}\n{END}{rest.partition(END)[2]}")
    _plot(results)


def _identity(result: dict[str, Any]) -> dict[str, Any]:
    """The parameters that tell two measurements of one benchmark apart, without those that follow from them."""
    kept = ("clients", "symbols", "connections", "command", "count")
    return {name: result["parameters"][name] for name in kept if name in result["parameters"]}


def _place(result: dict[str, Any]) -> tuple[int, str, list[float]]:
    number = int("".join(char for char in result["id"].split()[0] if char.isdigit()))
    sizes = [float(value) for value in _identity(result).values() if isinstance(value, int)]
    return (number, result["id"], sizes)


def _table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| id | what | at | ratio | min to max | target | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        at = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in _identity(result).items())
        ratios = result["ratios"] or [float("nan")]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}" if len(ratios) > 1 else ""
        target = result["target"].replace(">=", "at least").replace("<=", "at most")
        lines.append(
            f"| {result['id']} | {result['title']} | {at} | {result['ratio']:.2f} | {spread} | {target} "
            f"| {result['verdict']} |"
        )
    last = results[-1]
    versions = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
    loads = [result["load_after"] for result in results]
    stamp = max(result["time"] for result in results)[:10]
    lines += [
        "",
        f"Measured {stamp} on {last['cores']} cores, load average {min(loads):.1f} to {max(loads):.1f}; {versions}.",
    ]
    return "\n".join(lines)


def _plot(results: list[dict[str, Any]]) -> None:
    """Draw each ratio beside its target; to the right of 1 is better than the target, whichever way it points."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [result for result in results if result["target"] != "tracked" and result["ratio"] > 0]
    names = []
    values = []
    colours = []
    for result in shown:
        word, number = result["target"].split()
        target = float(number)
        at = ", ".join(str(value) for value in _identity(result).values())
        names.append(f"{result['id']}" + (f" ({at})" if at else ""))
        values.append(result["ratio"] / target if word == ">=" else target / result["ratio"])
        colours.append({"pass": "#2c7a4b", "missed": "#b23a3a"}.get(result["verdict"], "#8a8a8a"))
    figure, axes = pyplot.subplots(figsize=(9, 0.32 * len(shown) + 1.2))
    axes.barh(range(len(shown)), values, color=colours)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("times better than the target (green: met, red: missed, grey: inconclusive)")
    figure.tight_layout()
    figure.savefig(DOCS / "benchmarks.png", dpi=110)
    pyplot.close(figure)
