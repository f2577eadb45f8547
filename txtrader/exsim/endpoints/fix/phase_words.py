"""FIX's words for the phases of a market: SecurityTradingStatus (326) and TradSesStatus (340).

A phase without a word of its own has the nearest one: orders gather (price indication), or trading does not go on.
"""

from __future__ import annotations

from collections.abc import Iterable

from txtrader.exsim.records import Phase

__all__ = ["security_status", "session_status"]

_HALTED, _INDICATION, _READY, _NOT_TRADED = "2", "5", "17", "18"
_SECURITY = {
    Phase.CLOSED: _NOT_TRADED,
    Phase.PRE_OPEN: "21",
    Phase.OPENING_AUCTION: "22",
    Phase.CONTINUOUS: _READY,
    Phase.CLOSING_AUCTION: _INDICATION,
    Phase.TRADE_AT_LAST: _READY,
    Phase.POST_CLOSE: "26",
    Phase.HALT: _HALTED,
    Phase.PAUSE: _HALTED,
}
_LACKING = {"4.2": {"21": _INDICATION, "22": _INDICATION, "26": _NOT_TRADED}, "4.4": {"26": _NOT_TRADED}}
_SESSION = {
    Phase.CONTINUOUS: "2",
    Phase.TRADE_AT_LAST: "2",
    Phase.CLOSING_AUCTION: "5",
    Phase.OPENING_AUCTION: "4",
    Phase.PRE_OPEN: "4",
    Phase.PAUSE: "1",
    Phase.HALT: "1",
    Phase.POST_CLOSE: "3",
    Phase.CLOSED: "3",
}


def security_status(phase: Phase, version: str) -> str:
    """Return the word for one market's phase; `version` is the dictionary's (4.2, 4.4, 5.0)."""
    word = _SECURITY[phase]
    return _LACKING.get(version, {}).get(word, word)


def session_status(phases: Iterable[Phase]) -> str:
    """Return the word for all markets together: that of the one which trades most freely."""
    found = set(phases)
    return next((word for phase, word in _SESSION.items() if phase in found), _SESSION[Phase.CLOSED])
