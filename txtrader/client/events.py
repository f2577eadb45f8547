"""What a line of the gateway says: the grammar of replies and events, no I/O.

    .status: Up                                  a reply, to this connection alone
    .result query_account: {"Cash": [...]}       a reply with a key
    tws.order.TX-7K2M-000042: {"id": ...}        an event: MODE.TYPE.KEY: payload
    tws.quote.IBM:124.99 3 125.01 5              the same in the form of 2015

The payload of an event starts after the first `: ` that `{` or `[` follows: keys may hold dots and colons.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

__all__ = ["EPHEMERAL", "Line", "normal_name", "parse_line"]

EPHEMERAL = frozenset({"quote", "trade", "bar", "depth", "time"})
"""Types of events that are not numbered."""

_TAG = re.compile(r"@(\S+) (.*)", re.DOTALL)
_REPLY = re.compile(r"\.([A-Za-z][\w-]*)(?:(?: (\S+))?: ?| |!|$)(.*)", re.ASCII | re.DOTALL)
_EVENT = re.compile(r"([a-z][a-z0-9]*)\.([A-Za-z][\w-]*)", re.ASCII)
_PAYLOAD = re.compile(r": (?=[{\[])")
_WORDS_2015 = {
    "quote": ("bid", "bidsize", "ask", "asksize"),
    "trade": ("last", "size", "volume"),
}
_LITERALS = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)


def normal_name(name: str) -> str:
    """Return the name of a callback or type without case, `-` and `_`."""
    return name.lower().replace("-", "").replace("_", "")


class Line:
    """One line, taken apart.

    `mode` is the channel word, None for a reply; `type` the word after it; `key` what the event is about; `text` the
    rest.  `after_prefix` is what a callback of 2015 gets: all that follows `MODE.TYPE` and its separator.
    """

    __slots__ = ("_payload", "after_prefix", "key", "mode", "raw", "tag", "text", "type")

    def __init__(
        self, raw: str, *, tag: str | None, mode: str | None, type: str, key: str | None, text: str, after_prefix: str
    ) -> None:
        self.raw = raw
        self.tag = tag
        self.mode = mode
        self.type = type
        self.key = key
        self.text = text
        self.after_prefix = after_prefix
        self._payload: dict[bool, Any] = {}

    @classmethod
    def of_record(cls, mode: str | None, type: str, key: str, record: Any) -> Line:
        """Make the event that would have told this record."""
        text = json.dumps(record, default=float)
        after = f"{key}: {text}"
        line = cls(f"{mode}.{type}.{after}", tag=None, mode=mode, type=type, key=key, text=text, after_prefix=after)
        line._payload = {True: record, False: record}
        return line

    def __repr__(self) -> str:
        return f"<Line {self.mode or ''}.{self.type} {self.key or ''}>"

    @property
    def is_reply(self) -> bool:
        """Tell whether it is for this connection alone by its form."""
        return self.mode is None

    def payload(self, decimals: bool = False) -> Any:
        """Return the payload as builtins: JSON, the words of 2015 as a record, else the text itself."""
        if decimals not in self._payload:
            self._payload[decimals] = self._read(Decimal if decimals else float)
        return self._payload[decimals]

    def _read(self, number: type[Decimal] | type[float]) -> Any:
        text = self.text
        if self.mode is None and self.type == "error" and self.key:
            return {"code": self.key, "message": text}
        if text[:1] in ("{", "["):
            try:
                return json.loads(text, parse_float=number)
            except (ValueError, RecursionError):
                return text
        if text in _LITERALS:
            return _LITERALS[text]
        names = _WORDS_2015.get(self.type)
        words = text.split()
        if names and self.mode and len(words) == len(names) and all(_NUMBER.fullmatch(word) for word in words):
            return {"symbol": self.key, "mode": self.mode} | {
                name: int(word) if word.lstrip("-").isdigit() else number(word)
                for name, word in zip(names, words, strict=True)
            }
        return text


def parse_line(raw: str) -> Line:
    """Take a line apart.  Never fails: what has no form of ours is a reply of type `unknown` with its text."""
    tag, body = None, raw
    if tagged := _TAG.fullmatch(raw):
        tag, body = tagged[1], tagged[2]
    if body.startswith("."):
        return _reply(raw, tag, body)
    head = _EVENT.match(body)
    if head is None:
        return Line(raw, tag=tag, mode=None, type="unknown", key=None, text=body, after_prefix=body)
    mode, type = head[1], head[2]
    rest = body[head.end() :]
    key: str | None = None
    if rest.startswith(": ") or rest in (":", ""):
        text = after = rest[2:]
    elif rest.startswith("."):
        after = rest[1:]
        found = _PAYLOAD.search(after)
        if found:
            key, text = after[: found.start()], after[found.end() :]
        else:
            key, text = _legacy_key(after)
    else:  # `rtx.order-data {json}`, `tws.time:2026-...`
        text = after = rest.removeprefix(":").removeprefix(" ")
    return Line(raw, tag=tag, mode=mode, type=type, key=key, text=text, after_prefix=after)


def _legacy_key(after: str) -> tuple[str, str]:
    """Split `ES:202612@CME:124.99 3 125.01 5`: the words of 2015 hold no colon, the key may."""
    key, colon, text = after.rpartition(":")
    return (key, text.lstrip(" ")) if colon else (after, "")


def _reply(raw: str, tag: str | None, body: str) -> Line:
    found = _REPLY.fullmatch(body)
    if found is None:
        return Line(raw, tag=tag, mode=None, type="unknown", key=None, text=body, after_prefix=body)
    type, key, text = found[1], found[2], found[3]
    after = text if key is None else f"{key}: {text}"
    return Line(raw, tag=tag, mode=None, type=type, key=key, text=text, after_prefix=after)
