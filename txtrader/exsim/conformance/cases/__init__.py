"""All the cases, chapter by chapter, in the sequence in which they are played."""

from __future__ import annotations

from txtrader.exsim.conformance.case import Case
from txtrader.exsim.conformance.cases import (
    fields,
    garbled,
    heartbeats,
    identity,
    initiators,
    logon,
    logouts,
    numbers,
    orders,
    resends,
    resets,
    sent,
    streams,
)

__all__ = ["ALL_CASES"]

_CHAPTERS = (
    logon,
    initiators,
    heartbeats,
    sent,
    numbers,
    resends,
    resets,
    garbled,
    fields,
    identity,
    streams,
    logouts,
    orders,
)

ALL_CASES: tuple[Case, ...] = tuple(case for chapter in _CHAPTERS for case in chapter.CASES)
