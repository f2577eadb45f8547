"""Results: a line for each case for a person, JSON and JUnit for a machine, and the table of all cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import quoteattr

import msgspec

from txtrader.exsim.conformance.case import Case
from txtrader.exsim.conformance.plan import Plan
from txtrader.exsim.conformance.runner import FAILED, PASSED, SKIPPED, WARNED, Result

__all__ = ["case_lines", "case_table", "result_lines", "summary", "to_json", "to_junit"]

_WIDTH = 30


def result_lines(result: Result, *, with_conversation: bool = False) -> list[str]:
    """Return the lines of one result: its outcome, and where that was no pass, why."""
    head = f"{result.outcome:4}  {result.id:{_WIDTH}}  {result.title}"
    if result.outcome == PASSED:
        return [head]
    if result.outcome == SKIPPED:
        return [f"{head}: {result.reason}"]
    found = [
        head,
        f"        rule      {result.rule} ({result.severity})",
        f"        expected  {result.expected}",
        f"        seen      {result.seen}",
    ]
    if with_conversation:
        found += [f"        {line.at:8.3f} {line.who} {line.text}" for line in result.lines]
    return found


def summary(results: Sequence[Result], plan: Plan) -> str:
    """Return the last line: how many of each outcome."""
    counts = Counter(result.outcome for result in results)
    words = [f"{counts[PASSED]} passed", f"{counts[FAILED]} failed"]
    words += [f"{counts[WARNED]} should be better"] if counts[WARNED] else []
    words += [f"{counts[SKIPPED]} skipped"] if counts[SKIPPED] else []
    seconds = sum(result.seconds for result in results)
    return f"FIX {plan.version} {plan.role} {plan.target}: {', '.join(words)} in {seconds:.1f} s"


def to_json(results: Sequence[Result], plan: Plan) -> bytes:
    """Return the results with their conversations as one JSON object."""
    shown = {"version": plan.version, "role": plan.role, "sender": plan.sender, "target": plan.target}
    counts = Counter(result.outcome for result in results)
    whole = {**shown, "counts": {name: counts[name] for name in (PASSED, FAILED, WARNED, SKIPPED)}, "results": results}
    return msgspec.json.format(msgspec.json.encode(whole), indent=1)


def to_junit(results: Sequence[Result], plan: Plan) -> str:
    """Return the results as a JUnit test suite; what only should be is no failure there."""
    counts = Counter(result.outcome for result in results)
    name = f"fix-conformance.{plan.version}.{plan.role}"
    seconds = sum(result.seconds for result in results)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name={quoteattr(name)} tests="{len(results)}" failures="{counts[FAILED]}" '
        f'errors="0" skipped="{counts[SKIPPED]}" time="{seconds:.3f}">',
    ]
    for result in results:
        head = f'  <testcase classname={quoteattr(name)} name={quoteattr(result.id)} time="{result.seconds:.3f}"'
        text = f"expected {result.expected}; seen: {result.seen}"
        if result.outcome == FAILED:
            lines += [f"{head}>", f"    <failure message={quoteattr(text)}/>", "  </testcase>"]
        elif result.outcome == SKIPPED:
            lines += [f"{head}>", f"    <skipped message={quoteattr(result.reason)}/>", "  </testcase>"]
        elif result.outcome == WARNED:
            lines += [f"{head}>", f"    <system-out>{_escaped(text)}</system-out>", "  </testcase>"]
        else:
            lines.append(f"{head}/>")
    return "\n".join([*lines, "</testsuite>", ""])


def _escaped(text: str) -> str:
    return quoteattr(text)[1:-1]


def case_lines(cases: Iterable[Case]) -> list[str]:
    """Return a line for each case: what `--list` prints."""
    return [f"{case.id:{_WIDTH}}  {case.severity:6}  {'+'.join(case.roles):18}  {case.title}" for case in cases]


def case_table(cases: Iterable[Case]) -> str:
    """Return the table of the documentation."""
    rows = ["| case | what must be | rule | for | versions |", "|---|---|---|---|---|"]
    for case in cases:
        title = case.title if case.severity == "must" else f"*{case.title}*"
        versions = "all" if len(case.versions) == 3 else ", ".join(case.versions)
        roles = "both" if len(case.roles) == 2 else case.roles[0]
        rows.append(f"| `{case.id}` | {title} | {case.rule} | {roles} | {versions} |")
    return "\n".join(rows) + "\n"
