"""One way to run every benchmark: two sides in alternation, ratios of rounds, a verdict, one JSON object a line.

Absolute values are kept for diagnosis only.  A spread (largest ratio over smallest) above 1.5, or more load than
cores, makes a run inconclusive: never a pass, run it again.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["OUT", "Result", "Target", "compare", "emit", "percentile", "slope"]

OUT = Path(__file__).parent / "out"
ROUNDS = 5
MOST_SPREAD = 1.5
PACKAGES = ("twisted", "uvloop", "ibapi", "ib_async", "msgspec")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a ratio must be: `at_least` or `at_most` the number (None: tracked, no promise)."""

    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, ratio: float) -> bool:
        if self.at_least is not None and ratio < self.at_least:
            return False
        return self.at_most is None or ratio <= self.at_most

    def __str__(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "tracked" if self.at_most is None else f"<= {self.at_most:g}"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark at one setting of its parameters.

    `ours` and `theirs` are the values of the rounds in `unit`; `ratios` their quotients round by round; `ratio` the
    median of those.  `verdict` is pass, missed, inconclusive, void (work was lost or refused) or tracked.
    """

    id: str
    title: str
    parameters: dict[str, Any]
    ours_are: str
    theirs_are: str
    unit: str
    target: str
    ours: list[float]
    theirs: list[float]
    ratios: list[float]
    ratio: float
    spread: float
    load_before: float
    load_after: float
    cores: int
    verdict: str
    note: str = ""
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    time: str = ""


class Void(Exception):
    """Something was lost, conflated or refused that should not have been: the run says nothing."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1 if share > 0 else 0)]


def slope(points: Mapping[float, float]) -> float:
    """Return the slope of a line through the points on log-log axes: 1 is proportional, 0 is flat."""
    xs = [math.log(x) for x in points]
    ys = [math.log(y) for y in points.values()]
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)


def versions() -> dict[str, str]:
    """Name what was measured with."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def compare(
    id: str,
    title: str,
    *,
    ours: Callable[[], Mapping[str, float]],
    theirs: Callable[[], Mapping[str, float]],
    targets: Mapping[str, Target],
    unit: str,
    ours_are: str,
    theirs_are: str,
    parameters: Mapping[str, Any] | None = None,
    rounds: int = ROUNDS,
    note: str = "",
) -> list[Result]:
    """Run both sides alternately, `rounds` times after a warm-up, and judge each figure that they return.

    A side returns {figure: value}, the same figures on both sides, one target for each.  The results are printed as
    JSON lines and appended to `OUT`.
    """
    load_before = os.getloadavg()[0]
    values: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in targets}
    failure = ""
    try:
        ours()
        theirs()
        for _ in range(rounds):
            for index, side in enumerate((ours, theirs)):
                measured = side()
                for name in targets:
                    values[name][index].append(measured[name])
    except Void as error:
        failure = str(error)
    load_after = os.getloadavg()[0]
    results = []
    for name, target in targets.items():
        a, b = values[name]
        ratios = [x / y for x, y in zip(a, b, strict=False)]
        ratio = statistics.median(ratios) if ratios else math.nan
        spread = max(ratios) / min(ratios) if ratios else math.nan
        results.append(
            Result(
                id=id if len(targets) == 1 else f"{id} {name}",
                title=title,
                parameters=dict(parameters or {}),
                ours_are=ours_are,
                theirs_are=theirs_are,
                unit=unit,
                target=str(target),
                ours=a,
                theirs=b,
                ratios=ratios,
                ratio=ratio,
                spread=spread,
                load_before=load_before,
                load_after=load_after,
                cores=os.cpu_count() or 1,
                verdict=_verdict(target, ratio, spread, max(load_before, load_after), failure),
                note=f"{note} {failure}".strip(),
                versions=versions(),
                time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            )
        )
    for result in results:
        emit(result)
    return results


def judge(
    id: str,
    title: str,
    *,
    ratio: float,
    target: Target,
    unit: str,
    ours_are: str,
    theirs_are: str,
    ours: Sequence[float],
    theirs: Sequence[float] = (),
    spread: float = 1.0,
    load_before: float,
    parameters: Mapping[str, Any] | None = None,
    note: str = "",
) -> Result:
    """Judge a figure that is no quotient of rounds, such as a slope, and write it out."""
    load_after = os.getloadavg()[0]
    result = Result(
        id=id,
        title=title,
        parameters=dict(parameters or {}),
        ours_are=ours_are,
        theirs_are=theirs_are,
        unit=unit,
        target=str(target),
        ours=list(ours),
        theirs=list(theirs),
        ratios=[ratio],
        ratio=ratio,
        spread=spread,
        load_before=load_before,
        load_after=load_after,
        cores=os.cpu_count() or 1,
        verdict=_verdict(target, ratio, spread, max(load_before, load_after), ""),
        note=note,
        versions=versions(),
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    emit(result)
    return result


def _verdict(target: Target, ratio: float, spread: float, load: float, failure: str) -> str:
    if failure:
        return "void"
    if math.isnan(ratio) or spread > MOST_SPREAD or load > (os.cpu_count() or 1) + 0.5:
        return "inconclusive"
    if target.at_least is None and target.at_most is None:
        return "tracked"
    return "pass" if target.is_met(ratio) else "missed"


def emit(result: Result) -> None:
    """Print the result as one line of JSON, and append it to the file of this benchmark."""
    line = json.dumps(msgspec.to_builtins(result))
    print(line, flush=True)
    print(
        f"# {result.id} {result.parameters}: ratio {result.ratio:.3f} (target {result.target}), "
        f"spread {result.spread:.2f}, load {result.load_after:.1f}: {result.verdict} {result.note}",
        file=sys.stderr,
        flush=True,
    )
    OUT.mkdir(exist_ok=True)
    with (OUT / "results.jsonl").open("a") as out:
        out.write(line + "\n")
