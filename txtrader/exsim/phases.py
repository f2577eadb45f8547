"""The phases of a book: what follows what, what each takes, and what waits for another one.

The order of a day is closed, pre_open, opening_auction, continuous, closing_auction, trade_at_last, post_close,
closed; any but closed and continuous may be left out.  Halt and pause are detours from continuous.  In a *call*
(pre_open, the auctions, pause) orders gather, and the book may be crossed, until the uncross.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from txtrader.exsim.phase_options import PhaseSettings
from txtrader.exsim.records import Phase, Reason, Refusal, Terms
from txtrader.model.order import OrderType, TimeInForce

__all__ = [
    "AUCTIONS",
    "CALLS",
    "MOVES",
    "WrongPhase",
    "check_move",
    "is_uncrossed",
    "may_cancel",
    "may_enter",
    "may_replace",
    "waits_for",
]

_P = Phase

MOVES: Mapping[Phase, frozenset[Phase]] = {
    _P.CLOSED: frozenset({_P.PRE_OPEN, _P.OPENING_AUCTION, _P.CONTINUOUS}),
    _P.PRE_OPEN: frozenset({_P.OPENING_AUCTION, _P.CONTINUOUS, _P.CLOSED}),
    _P.OPENING_AUCTION: frozenset({_P.CONTINUOUS, _P.CLOSED}),
    _P.CONTINUOUS: frozenset({_P.CLOSING_AUCTION, _P.TRADE_AT_LAST, _P.POST_CLOSE, _P.CLOSED, _P.HALT, _P.PAUSE}),
    _P.CLOSING_AUCTION: frozenset({_P.TRADE_AT_LAST, _P.POST_CLOSE, _P.CLOSED}),
    _P.TRADE_AT_LAST: frozenset({_P.POST_CLOSE, _P.CLOSED}),
    _P.POST_CLOSE: frozenset({_P.CLOSED}),
    # a halt may last beyond the end of continuous trading; it ends where the day has come to
    _P.HALT: frozenset({_P.CONTINUOUS, _P.PAUSE, _P.CLOSING_AUCTION, _P.TRADE_AT_LAST, _P.POST_CLOSE, _P.CLOSED}),
    _P.PAUSE: frozenset({_P.CONTINUOUS, _P.HALT, _P.CLOSING_AUCTION, _P.CLOSED}),
}
"""What each phase may become."""

AUCTIONS: Mapping[Phase, str] = {
    _P.PRE_OPEN: "opening",
    _P.OPENING_AUCTION: "opening",
    _P.CLOSING_AUCTION: "closing",
    _P.PAUSE: "reopening",
}
"""The auction that the orders of each call gather for, in the word that its prints carry."""

CALLS = frozenset(AUCTIONS)
_OPENING = frozenset({_P.PRE_OPEN, _P.OPENING_AUCTION})
_SHUT = frozenset({_P.CLOSED, _P.POST_CLOSE})
_TRADES_ON = frozenset({_P.CONTINUOUS, _P.TRADE_AT_LAST, _P.POST_CLOSE})
_PLAIN = frozenset({OrderType.LIMIT, OrderType.MARKET})
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class WrongPhase(ValueError):
    """A book cannot go from its phase to the one asked for; nothing has changed."""

    code: ClassVar[str] = "wrong-state"
    reason: ClassVar[Reason] = Reason.PHASE


def check_move(old: Phase, new: Phase, name: str) -> None:
    """Raise WrongPhase where the book `name` cannot go from one phase to the other; staying is no move."""
    if new is not old and new not in MOVES[old]:
        raise WrongPhase(f"{name} cannot go from {old} to {new}")


def is_uncrossed(old: Phase, new: Phase) -> bool:
    """Tell whether what has gathered is uncrossed on this move; closing before the opening gives the auction up."""
    return new in _TRADES_ON or (old is _P.CLOSING_AUCTION and new is _P.CLOSED)


def may_enter(phase: Phase, terms: Terms, settings: PhaseSettings, last: Decimal | None) -> Refusal | None:
    """Check a new order against the phase; `last` is the price of the last trade."""
    if phase in _SHUT:
        if settings.closed_queues_gtc and terms.tif is TimeInForce.GTC:
            return None
        return Refusal(Reason.CLOSED, f"the book takes no orders now: {phase}")
    if phase is _P.HALT and settings.halt_accepts != "all":
        return Refusal(Reason.CLOSED, f"the book takes no orders now: {phase}")
    if terms.tif is TimeInForce.OPG and phase not in _OPENING:
        return _not_now(phase, "orders for the opening auction")
    if phase is _P.CONTINUOUS:
        return None
    if phase is _P.TRADE_AT_LAST:
        return _check_last(phase, terms, last)
    if terms.tif in _AT_ONCE:
        return _not_now(phase, f"{terms.tif} orders")
    if terms.post_only:
        return _not_now(phase, "post-only orders")
    if phase in CALLS:
        if terms.auction == "cancel_on_auction":
            return _not_now(phase, "orders that an auction ends")
        if terms.type not in _PLAIN and not settings.auction_stops:
            return _not_now(phase, f"{terms.type} orders")
    return None


def may_replace(
    phase: Phase, old: Terms, new: Terms, settings: PhaseSettings, last: Decimal | None, *, is_locked: bool
) -> Refusal | None:
    """Check a replace against the phase; `is_locked` in the last seconds of an auction without cancels."""
    if phase in _SHUT or (phase is _P.HALT and settings.halt_accepts != "all"):
        return Refusal(Reason.CLOSED, f"the book takes cancels only: {phase}")
    if is_locked:
        return _not_now(phase, "cancels and replaces at the end of an auction")
    if new.tif is TimeInForce.OPG and phase not in _OPENING:
        return _not_now(phase, "orders for the opening auction")
    if phase is _P.TRADE_AT_LAST and new.limit_price != old.limit_price:
        return _check_last(phase, new, last)
    if phase is not _P.CONTINUOUS and new.tif in _AT_ONCE and phase is not _P.TRADE_AT_LAST:
        return _not_now(phase, f"{new.tif} orders")
    return None


def may_cancel(phase: Phase, settings: PhaseSettings, *, is_locked: bool) -> Refusal | None:
    """Check a cancel that an owner asks for."""
    if phase is _P.HALT and settings.halt_accepts == "none":
        return Refusal(Reason.CLOSED, "the book takes nothing while it is halted")
    return _not_now(phase, "cancels and replaces at the end of an auction") if is_locked else None


def waits_for(phase: Phase, terms: Terms, last: Decimal | None) -> str:
    """Say what an order that is otherwise free to work has to wait for: `auction`, another `phase`, or nothing."""
    is_for_close = terms.tif is TimeInForce.CLS
    if (is_for_close and phase is not _P.CLOSING_AUCTION) or (terms.auction == "next" and phase not in CALLS):
        return "auction"
    if phase is _P.CONTINUOUS:
        return ""
    if phase in CALLS:
        return "phase" if terms.tif in _AT_ONCE or terms.post_only else ""
    if phase is _P.TRADE_AT_LAST:
        return "phase" if _check_last(phase, terms, last) is not None else ""
    return "phase"


def _check_last(phase: Phase, terms: Terms, last: Decimal | None) -> Refusal | None:
    if terms.type is not OrderType.LIMIT or terms.post_only or terms.auction or terms.tif is TimeInForce.CLS:
        return _not_now(phase, "anything but limit orders")
    if terms.limit_price != last:
        return Refusal(Reason.PHASE, f"only orders at the last price, {last}, are taken now")
    return None


def _not_now(phase: Phase, what: str) -> Refusal:
    return Refusal(Reason.PHASE, f"no {what} in {phase}")
