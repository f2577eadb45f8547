"""What a case is: the rule it proves, for whom, and the conversation that proves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from txtrader.exsim.conformance.stage import Stage

__all__ = ["ACCEPTOR", "INITIATOR", "MUST", "SHOULD", "VERSIONS", "Case", "Chapter", "Mismatch", "Skipped"]

ACCEPTOR, INITIATOR = "acceptor", "initiator"
MUST, SHOULD = "must", "should"
VERSIONS = ("4.2", "4.4", "5.0SP2")

Play = Callable[["Stage"], None]


class Mismatch(Exception):
    """The target did something else than the rule says; both in words for a person."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}; seen: {seen}")
        self.expected = expected
        self.seen = seen


class Skipped(Exception):
    """The case proves nothing here; the text says why."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One case.  `roles` are those that the target may have; `rule` says where in the standard it stands.

    `needs` names what the run must be told for it: `orders` a symbol, `password` one, `memory` an acceptor that goes on
    with its numbers at the next logon.  `is_basis`: others prove nothing where this one fails.
    """

    id: str
    title: str
    rule: str
    play: Play
    roles: tuple[str, ...] = (ACCEPTOR, INITIATOR)
    versions: tuple[str, ...] = VERSIONS
    severity: str = MUST
    needs: str | None = None
    is_basis: bool = False


class Chapter:
    """The cases of one subject, in the sequence in which they are written."""

    def __init__(self, name: str, *, roles: tuple[str, ...] = (ACCEPTOR, INITIATOR)) -> None:
        self.name = name
        self._roles = roles
        self._cases: list[Case] = []

    def __iter__(self) -> Iterator[Case]:
        return iter(self._cases)

    def add(
        self,
        name: str,
        title: str,
        rule: str,
        *,
        roles: tuple[str, ...] | None = None,
        versions: tuple[str, ...] = VERSIONS,
        severity: str = MUST,
        needs: str | None = None,
        is_basis: bool = False,
    ) -> Callable[[Play], Play]:
        """Add the decorated function as a case, called `<chapter>.<name>`."""

        def added(play: Play) -> Play:
            self._cases.append(
                Case(
                    id=f"{self.name}.{name}",
                    title=title,
                    rule=rule,
                    play=play,
                    roles=roles or self._roles,
                    versions=versions,
                    severity=severity,
                    needs=needs,
                    is_basis=is_basis,
                )
            )
            return play

        return added
