"""Events as lines: `MODE.TYPE[.KEY]: payload`, plain, or with the envelope of `sequence` inside the payload.

A payload that has a key of the envelope's names itself (the `tag` of an order) shows it as `own_tag`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from txtrader.frontends.jsontext import encode
from txtrader.frontends.text import printable
from txtrader.model.event import StatusEvent

__all__ = ["event_line", "numbered_line", "sequenced_line"]


def _head(event: StatusEvent) -> bytes:
    key = f".{printable(event.key)}" if event.key is not None else ""
    return f"{event.mode}.{event.type}{key}: ".encode("ascii")


def event_line(event: StatusEvent) -> bytes:
    """Write an event without envelope."""
    return _head(event) + encode(event.data) + b"\n"


def _with_envelope(data: Mapping[str, Any], envelope: Mapping[str, Any]) -> dict[str, Any]:
    shown = {f"own_{key}" if key in envelope else key: value for key, value in data.items()}
    shown.update(envelope)
    return shown


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
    return _head(event) + encode(_with_envelope(event.data, envelope)) + b"\n"


def numbered_line(event: StatusEvent, dropped: int) -> bytes:
    """Write an ephemeral event with its `n`, and how many events of the same symbol were left out before it."""
    if not dropped:
        return event.encoded("lines.sequence", _undropped)
    return _numbered(event, dropped)


def _undropped(event: StatusEvent) -> bytes:
    return _numbered(event, 0)


def _numbered(event: StatusEvent, dropped: int) -> bytes:
    return _head(event) + encode(_with_envelope(event.data, {"n": event.n, "dropped": dropped})) + b"\n"
