"""Events as lines: `MODE.TYPE[.KEY]: payload`, plain, or with the envelope of `sequence` inside the payload.

A payload that has a key of the envelope's names itself (the `tag` of an order) shows it as `own_tag`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from txtrader.frontends.jsontext import encode
from txtrader.frontends.text import printable
from txtrader.model.event import StatusEvent

__all__ = ["event_line", "numbered_line", "sequenced_line"]


@lru_cache(4096)  # market data: the same few again and again
def _head(mode: str, type: str, key: str | None) -> bytes:
    shown = f".{printable(key)}" if key is not None else ""
    return f"{mode}.{type}{shown}: ".encode("ascii")


def event_line(event: StatusEvent) -> bytes:
    """Write an event without envelope."""
    return b"%b%b\n" % (_head(event.mode, event.type, event.key), encode(event.data))


def _line(event: StatusEvent, envelope: Mapping[str, Any]) -> bytes:
    shown = {f"own_{key}" if key in envelope else key: value for key, value in event.data.items()}
    shown.update(envelope)
    return b"%b%b\n" % (_head(event.mode, event.type, event.key), encode(shown))


def sequenced_line(event: StatusEvent, prev: int | None) -> bytes:
    """Write a durable event with its envelope; `prev` is the seq of the one before it in this session.

    Whoever had the event before it shares one encoding.
    """
    if event.seq is not None and prev == event.seq - 1:
        return event.encoded("lines.sequence", _sequenced_usual)
    return _sequenced(event, prev)


def _sequenced_usual(event: StatusEvent) -> bytes:
    return _sequenced(event, (event.seq or 0) - 1)


def _sequenced(event: StatusEvent, prev: int | None) -> bytes:
    envelope = {"epoch": event.epoch, "channel": event.channel, "seq": event.seq, "prev": prev, "tag": event.tag}
    return _line(event, envelope)


def numbered_line(event: StatusEvent, dropped: int) -> bytes:
    """Write an ephemeral event with its `n`, and how many events of the same symbol were left out before it."""
    if not dropped:
        return event.encoded("lines.sequence", _undropped)
    return _numbered(event, dropped)


def _undropped(event: StatusEvent) -> bytes:
    return _numbered(event, 0)


def _numbered(event: StatusEvent, dropped: int) -> bytes:
    return _line(event, {"n": event.n, "dropped": dropped})
