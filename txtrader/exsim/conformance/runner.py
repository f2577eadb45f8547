"""One case after another against one target; what came of each."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from txtrader.exsim.conformance.case import ACCEPTOR, MUST, Case, Mismatch, Skipped
from txtrader.exsim.conformance.cases import ALL_CASES
from txtrader.exsim.conformance.line import Said
from txtrader.exsim.conformance.plan import Plan
from txtrader.exsim.conformance.stage import Stage, listen

__all__ = ["FAILED", "PASSED", "SKIPPED", "WARNED", "Result", "choose", "exit_code", "run"]

PASSED, FAILED, WARNED, SKIPPED = "pass", "FAIL", "warn", "skip"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one case; `warn` is a failure of a case that a target should pass but need not."""

    id: str
    title: str
    rule: str
    severity: str
    outcome: str
    seconds: float
    expected: str = ""
    seen: str = ""
    reason: str = ""
    lines: tuple[Said, ...] = ()


def choose(plan: Plan, names: Iterable[str] = ()) -> list[Case]:
    """Return the cases for a version and a role, those on which others stand first.

    `names` are ids or the beginnings of ids (`logon`, `field.`); a ValueError names one that is none.
    """
    wanted = tuple(names)
    for name in wanted:
        if not any(case.id.startswith(name) for case in ALL_CASES):
            raise ValueError(f"there is no case {name}")
    fitting = [case for case in ALL_CASES if plan.version in case.versions and plan.role in case.roles]
    if wanted:
        fitting = [case for case in fitting if case.id in wanted or _begins(case.id, wanted)]
    return sorted(fitting, key=lambda case: not case.is_basis)


def _begins(id: str, wanted: tuple[str, ...]) -> bool:
    exact = {case.id for case in ALL_CASES}
    return any(id.startswith(name) for name in wanted if name not in exact)


def run(
    plan: Plan,
    cases: Iterable[Case],
    *,
    now_ns: Callable[[], int] = time.time_ns,
    on_listening: Callable[[int], None] | None = None,
) -> Iterator[Result]:
    """Play the cases; give each one's result as it comes.  Raises Unreachable.

    For an initiator it listens; `on_listening` is told the port.
    """
    if plan.role == ACCEPTOR:
        yield from _play_all(plan, cases, now_ns, None)
        return
    with listen(plan) as listener:
        if on_listening is not None:
            on_listening(listener.getsockname()[1])
        yield from _play_all(plan, cases, now_ns, listener)


def _play_all(
    plan: Plan, cases: Iterable[Case], now_ns: Callable[[], int], listener: socket.socket | None
) -> Iterator[Result]:
    broken: set[str] = set()
    for place, case in enumerate(cases):
        if place and plan.pause:
            time.sleep(plan.pause)
        result = _play(case, Stage(plan, now_ns, broken, listener))
        if result.outcome in (FAILED, WARNED):
            broken.add(result.id)
        yield result


def exit_code(results: Iterable[Result]) -> int:
    """Return 0 when nothing failed that must not, 1 when something did, 2 when nothing was proved at all."""
    outcomes = {result.outcome for result in results}
    if FAILED in outcomes:
        return 1
    return 0 if outcomes & {PASSED, WARNED} else 2


def _play(case: Case, stage: Stage) -> Result:
    begun = time.monotonic()

    def result(outcome: str, expected: str = "", seen: str = "", reason: str = "") -> Result:
        return Result(
            id=case.id,
            title=case.title,
            rule=case.rule,
            severity=case.severity,
            outcome=outcome,
            seconds=round(time.monotonic() - begun, 3),
            expected=expected,
            seen=seen,
            reason=reason,
            lines=tuple(stage.record),
        )

    missing = _missing(case, stage.plan)
    if missing:
        return result(SKIPPED, reason=missing)
    try:
        case.play(stage)
    except Skipped as error:
        return result(SKIPPED, reason=str(error))
    except Mismatch as error:
        return result(FAILED if case.severity == MUST or stage.plan.is_strict else WARNED, error.expected, error.seen)
    finally:
        stage.close()
    return result(PASSED)


def _missing(case: Case, plan: Plan) -> str:
    if case.needs == "orders" and plan.symbol is None:
        return "orders are not sent without --orders SYMBOL"
    if case.needs == "password" and plan.password is None:
        return "no password is known (--password)"
    if case.needs == "memory" and not plan.resets:
        return "the target begins at 1 at each logon (--no-reset)"
    return ""
