"""The options of a line session: JSON or the words of 2015 after `auth USER PASSWORD`, and `options {json}` later."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.frontends.jsontext import parse
from txtrader.gateway.stream_records import StreamOptions
from txtrader.model.event import CHANNELS, DURABLE_CHANNELS
from txtrader.model.numbers import parse_integer
from txtrader.model.symbols import parse_symbol

__all__ = ["FIXED", "LineOptions", "ResumePoint", "parse_login_options", "parse_options"]

FIXED = ("sequence", "resume", "snapshot", "legacy")
"""Options that hold for a whole connection."""

DEFAULT_CHANNELS = ("order", "execution", "account", "status", "quote", "trade", "time")
_WORDS_OFF = {
    "noquotes": "quote",
    "notrades": "trade",
    "noorders": "order",
    "noexecutions": "execution",
    "noaccounts": "account",
    "notime": "time",
}
_ACCOUNT = re.compile(r"[A-Za-z0-9._\-]{1,64}", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,64}")
_MAX_SYMBOLS = 1000


class ResumePoint(msgspec.Struct, frozen=True):
    """The last event of a channel that a client has seen."""

    epoch: str
    seq: int
    tag: str


class LineOptions(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What one connection asked for; see surface 3.2.  `conflate` is in milliseconds, `heartbeat` in seconds."""

    channels: tuple[str, ...] = DEFAULT_CHANNELS
    symbols: str | tuple[str, ...] = "user"
    accounts: tuple[str, ...] | None = None
    account: str | None = None
    sequence: bool = False
    resume: dict[str, ResumePoint] = msgspec.field(default_factory=dict)
    snapshot: tuple[str, ...] = ()
    heartbeat: int = 0
    conflate: int = 0
    cod: str = "off"
    grace: int = 0
    raw: bool = False
    legacy: bool = False

    @functools.cached_property
    def stream(self) -> StreamOptions:
        """The part that the event stream is told."""
        return StreamOptions(
            channels=frozenset(self.channels),
            symbols=self.symbols if isinstance(self.symbols, str) else frozenset(self.symbols),
            accounts=None if self.accounts is None else frozenset(self.accounts),
            conflate=self.conflate,
        )

    def shown(self) -> dict[str, Any]:
        """Return what `.options:` shows: those that may be changed."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if name not in FIXED}


@functools.lru_cache(256)
def parse_login_options(text: str) -> LineOptions:
    """Parse what follows user and password: one JSON object, or words.  Raises InvalidArgument.

    Many clients ask for the same: they share one record.
    """
    text = text.strip(" ")
    if text.startswith("{"):
        value = parse(text)
        assert isinstance(value, dict)
        return parse_options(value, LineOptions())
    channels = list(DEFAULT_CHANNELS)
    legacy = sequence = False
    for word in filter(None, text.split(" ")):
        if word in _WORDS_OFF:
            if _WORDS_OFF[word] in channels:
                channels.remove(_WORDS_OFF[word])
        elif word == "legacy":
            legacy = True
        elif word == "sequence":
            sequence = True
        else:
            raise InvalidArgument("unknown option", path=word[:32] if word.isascii() else None)
    return _checked(LineOptions(channels=tuple(channels), legacy=legacy, sequence=sequence))


def parse_options(values: Mapping[str, Any], base: LineOptions, *, live: bool = False) -> LineOptions:
    """Return `base` changed by these values; `live`: the connection is logged in already.  Raises InvalidArgument."""
    changed: dict[str, Any] = {}
    for name, value in values.items():
        reader = _READERS.get(name)
        if reader is None:
            shown = name[:32] if name.isascii() and name.isprintable() else None
            raise InvalidArgument("unknown option", path=shown)
        if live and name in FIXED:
            raise InvalidArgument("holds for the whole connection: give it with auth", path=name)
        changed[name] = reader(value, name)
    return _checked(msgspec.structs.replace(base, **changed))


def _checked(options: LineOptions) -> LineOptions:
    if options.legacy and (options.sequence or options.resume or options.snapshot):
        raise InvalidArgument("the legacy form has no sequence numbers", path="legacy")
    for name, channels in (("resume", options.resume), ("snapshot", options.snapshot)):
        for channel in channels:
            if channel not in options.channels:
                raise InvalidArgument(f"channel {channel} is not among the channels asked for", path=name)
    if options.cod != "off":
        raise InvalidArgument("cancel on disconnect is not offered", path="cod", reason="unsupported")
    if options.raw:
        raise InvalidArgument("the broker's raw fields are not offered", path="raw", reason="unsupported")
    return options


def _channels(*allowed: str) -> Callable[[Any, str], tuple[str, ...]]:
    def read(value: Any, path: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) and item in allowed for item in value):
            raise InvalidArgument(f"must be a list of {', '.join(allowed)}", path=path)
        return tuple(dict.fromkeys(value))

    return read


def _symbols(value: Any, path: str) -> str | tuple[str, ...]:
    if isinstance(value, str) and value in ("user", "session"):
        return value
    if not isinstance(value, list) or len(value) > _MAX_SYMBOLS:
        raise InvalidArgument('must be "user", "session" or a list of symbols', path=path)
    return tuple(dict.fromkeys(parse_symbol(item, path).text for item in value))


def _account(value: Any, path: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _ACCOUNT.fullmatch(value):
        raise InvalidArgument("must be 1 to 64 letters, digits, `.`, `_`, `-`", path=path)
    return value


def _accounts(value: Any, path: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise InvalidArgument("must be a list of accounts", path=path)
    found = tuple(_account(item, path) for item in value)
    if None in found:
        raise InvalidArgument("must be a list of accounts", path=path)
    return tuple(account for account in found if account is not None)


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument("must be true or false", path=path)
    return value


def _seconds(low: int, high: int) -> Callable[[Any, str], int]:
    def read(value: Any, path: str) -> int:
        number = parse_integer(value, path, high=high) if not isinstance(value, str) else -1
        if number and not low <= number <= high:
            raise InvalidArgument(f"must be 0, or {low} to {high}", path=path)
        return number

    return read


def read_resume_point(epoch: Any, seq: Any, tag: Any, path: str) -> ResumePoint:
    """Read the parts of a resume point.  Raises InvalidArgument."""
    for name, value in (("epoch", epoch), ("tag", tag)):
        if not isinstance(value, str) or (value and not _TOKEN.fullmatch(value)):
            raise InvalidArgument("must be a word, as an earlier event had it", path=f"{path}.{name}")
    return ResumePoint(epoch, parse_integer(seq, f"{path}.seq"), tag)


def _resume(value: Any, path: str) -> dict[str, ResumePoint]:
    if not isinstance(value, dict):
        raise InvalidArgument("must be {channel: {epoch, seq, tag}}", path=path)
    points: dict[str, ResumePoint] = {}
    for channel, point in value.items():
        if channel not in DURABLE_CHANNELS:
            raise InvalidArgument(f"must name channels of {', '.join(DURABLE_CHANNELS)}", path=path)
        where = f"{path}.{channel}"
        if not isinstance(point, dict) or not set(point) <= {"epoch", "seq", "tag"}:
            raise InvalidArgument("must be {epoch, seq, tag}", path=where)
        points[channel] = read_resume_point(point.get("epoch"), point.get("seq"), point.get("tag") or "", where)
    return points


def _cod(value: Any, path: str) -> str:
    if value not in ("off", "session", "account"):
        raise InvalidArgument("must be off, session or account", path=path)
    return str(value)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "channels": _channels(*CHANNELS),
    "symbols": _symbols,
    "accounts": _accounts,
    "account": _account,
    "sequence": _boolean,
    "resume": _resume,
    "snapshot": _channels(*DURABLE_CHANNELS),
    "heartbeat": _seconds(1, 60),
    "conflate": _seconds(1, 60000),
    "cod": _cod,
    "grace": _seconds(0, 60),
    "raw": _boolean,
    "legacy": _boolean,
}
