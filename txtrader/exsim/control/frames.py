"""Frames of the control protocol: one JSON object a line, UTF-8, at most 1 MiB, read strictly.

    -> {"id": 1, "type": "hello", "token": "...", "version": 1}
    <- {"id": 1, "result": true, "version": 1, ...}
    -> {"id": 2, "type": "create_engine", "name": "e1"}
    <- {"id": 2, "result": false, "error": {"code": "already-exists", "message": "...", "field": "name"}}

A number is an int, or a Decimal of its very token; a key stands once; there is no NaN.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.exsim.control.problems import ControlError

__all__ = ["MOST", "Lines", "encode", "parse"]

MOST = 1 << 20
_LONGEST_NUMBER = 40
_DEEPEST = 32


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ControlError("bad-frame", "a key is there twice in one object")
    return found


def _number(token: str) -> Decimal | int:
    if len(token) > _LONGEST_NUMBER:
        raise ControlError("bad-frame", "a number is too long")
    return int(token) if token.lstrip("-").isdigit() else Decimal(token)


def _constant(token: str) -> Any:
    raise ControlError("bad-frame", f"{token} is no number")


_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_number, parse_int=_number, parse_constant=_constant)
_encoder = msgspec.json.Encoder(decimal_format="string")


def parse(line: bytes) -> dict[str, Any]:
    """Read one frame without its line end.  Raises ControlError `bad-frame`."""
    try:
        text = line.decode()
        if text.count("[") + text.count("{") > _DEEPEST:
            _check_depth(text)
        value = _decoder.decode(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ControlError("bad-frame", f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ControlError("bad-frame", "a request is an object")
    return value


def _check_depth(text: str) -> None:
    depth = 0
    is_text = is_escaped = False
    for letter in text:
        if is_text:
            is_text = is_escaped or letter != '"'
            is_escaped = letter == "\\" and not is_escaped
        elif letter == '"':
            is_text = True
        elif letter in "[{":
            depth += 1
            if depth > _DEEPEST:
                raise ControlError("bad-frame", f"nested deeper than {_DEEPEST}")
        elif letter in "]}":
            depth -= 1


def encode(frame: dict[str, Any]) -> bytes:
    """Write a frame with its line end; Decimals are written as text.  Raises ControlError `too-large`."""
    data = _encoder.encode(frame)
    if len(data) > MOST:
        raise ControlError("too-large", f"the answer has {len(data)} bytes; ask for less")
    return data + b"\n"


class Lines:
    """Cuts bytes into lines, however they come; one that is too long is a ControlError `too-large`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seen = 0

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._buffer += data

    def next(self) -> bytes | None:
        """Return the next whole line without its end, None when there is none."""
        end = self._buffer.find(b"\n", self._seen)
        if end < 0:
            self._seen = len(self._buffer)
            if len(self._buffer) > MOST:
                raise ControlError("too-large", f"a frame has more than {MOST} bytes")
            return None
        if end > MOST:
            raise ControlError("too-large", f"a frame has more than {MOST} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._seen = 0
        return line.removesuffix(b"\r")
