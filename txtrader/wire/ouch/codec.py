"""Read and write OUCH messages by the table of `layouts`; prices are integers of ten-thousandths, as on the wire."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.ouch.layouts import MESSAGES, TAGS, Field, Layout

__all__ = ["BadAppendage", "Codec", "OuchMessage"]

_LENGTH = struct.Struct(">H")
_TAGS_BY_NAME = {tag.field.name: tag for tag in TAGS.values()}


class OuchMessage(msgspec.Struct):
    """One message: its name, its fields, and the elements of its appendage, None where it has none at all."""

    name: str
    fields: dict[str, Any]
    tags: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def tag(self, name: str, default: Any = None) -> Any:
        """Return the value of an element, `default` where it is not there."""
        return default if self.tags is None else self.tags.get(name, default)


class BadAppendage(RemoteProtocolError):
    """An appendage with unknown, repeated or misplaced tags, or lengths that do not add up; the fields are sound."""

    def __init__(self, why: str, message: OuchMessage) -> None:
        super().__init__(why)
        self.sound = message


class Codec:
    """One version, "4.2" or "5.0".  Trailing blanks of text are not kept."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._requests = MESSAGES[version, True]
        self._responses = MESSAGES[version, False]
        self._by_name = {layout.name: layout for layout in (*self._requests.values(), *self._responses.values())}
        self._fields = {name: tuple(field.name for field in layout.fields) for name, layout in self._by_name.items()}

    def read_request(self, data: bytes) -> OuchMessage:
        """Read what a client sends.  Raises RemoteProtocolError; BadAppendage where the fixed fields can be read."""
        return self._read(data, self._requests, is_request=True)

    def read_response(self, data: bytes) -> OuchMessage:
        """Read what a venue sends.  Raises RemoteProtocolError."""
        return self._read(data, self._responses, is_request=False)

    def has(self, name: str) -> bool:
        """Tell whether this version has a message of that name."""
        return name in self._by_name

    def fields_of(self, name: str) -> tuple[str, ...]:
        """Return the fields of a message, in their sequence."""
        return self._fields[name]

    def largest(self, name: str, field: str) -> int:
        """Return the largest number that a field of a message holds."""
        (found,) = (one for one in self._by_name[name].fields if one.name == field)
        return int(256**found.size - 1)

    def has_appendage(self, name: str, *, is_later_edition: bool) -> bool:
        """Tell whether a message of this name ends in an appendage, be it an empty one."""
        appendage = self._by_name[name].appendage
        return appendage == "+" or (appendage == "?" and is_later_edition)

    def write(self, message: OuchMessage) -> bytes:
        """Write a message.  Raises LocalProtocolError for a value that has no form.

        One that always has an appendage gets an empty one where `tags` is None.
        """
        layout = self._by_name.get(message.name)
        if layout is None:
            raise LocalProtocolError(f"OUCH {self.version} has no {message.name}")
        values = message.fields
        if len(values) != len(layout.fields):
            raise LocalProtocolError(f"a {layout.name} of {len(values)} fields")
        try:
            head = layout.form.pack(
                layout.letter.encode("ascii"),
                *[
                    _to_wire(field, values[field.name]) if field.kind == "a" else values[field.name]
                    for field in layout.fields
                ],
            )
        except KeyError as error:
            raise LocalProtocolError(f"a {layout.name} without {error}") from None
        except struct.error as error:
            raise LocalProtocolError(f"a {layout.name} cannot hold that: {error}") from None
        if message.tags is None and layout.appendage != "+":
            return head
        if not layout.appendage:
            raise LocalProtocolError(f"a {layout.name} has no appendage")
        return head + _write_tags(message.tags or {})

    def _read(self, data: bytes, layouts: dict[str, Layout], *, is_request: bool) -> OuchMessage:
        layout = layouts.get(chr(data[0])) if data else None
        if layout is None:
            raise RemoteProtocolError(f"OUCH {self.version} has no message of kind {data[:1]!r} here")
        size = layout.form.size
        if len(data) < size or (len(data) != size and not layout.appendage):
            raise RemoteProtocolError(f"a {layout.name} of {len(data)} bytes")
        values = layout.form.unpack_from(data)
        fields = {
            field.name: _from_wire(value) if field.kind == "a" else value
            for field, value in zip(layout.fields, values[1:], strict=True)
        }
        message = OuchMessage(layout.name, fields)
        if len(data) == size:
            if layout.appendage == "+":
                raise BadAppendage(f"a {layout.name} without its appendage", message)
            return message
        message.tags = _read_tags(data[size:], layout, message, is_request)
        return message


def _read_tags(data: bytes, layout: Layout, message: OuchMessage, is_request: bool) -> dict[str, Any]:
    if len(data) < _LENGTH.size or _LENGTH.unpack_from(data)[0] != len(data) - _LENGTH.size:
        raise BadAppendage("the length of the appendage is not that of what follows", message)
    found: dict[str, Any] = {}
    place = _LENGTH.size
    while place < len(data):
        size = data[place]
        tag = TAGS.get(data[place + 1]) if place + 1 < len(data) else None
        if tag is None or size != 1 + tag.form.size or place + 1 + size > len(data):
            raise BadAppendage(f"no element that is known at byte {place} of the appendage", message)
        name = tag.field.name
        if name in found or (is_request and layout.letter not in tag.requests):
            raise BadAppendage(f"tag {tag.number} is repeated or out of place", message)
        (value,) = tag.form.unpack_from(data, place + 2)
        found[name] = _from_wire(value) if tag.field.kind == "a" else value
        place += 1 + size
    return found


def _write_tags(tags: dict[str, Any]) -> bytes:
    parts = []
    for name, value in tags.items():
        tag = _TAGS_BY_NAME.get(name)
        if tag is None:
            raise LocalProtocolError(f"there is no element {name}")
        try:
            packed = tag.form.pack(_to_wire(tag.field, value) if tag.field.kind == "a" else value)
        except struct.error as error:
            raise LocalProtocolError(f"the element {name} cannot hold {value!r}: {error}") from None
        parts.append(bytes((1 + len(packed), tag.number)) + packed)
    body = b"".join(parts)
    return _LENGTH.pack(len(body)) + body


def _to_wire(field: Field, text: str) -> bytes:
    try:
        packed = text.encode("latin-1")  # what a client wrote into free text is repeated, be it what it may
    except UnicodeEncodeError:
        packed = None
    if packed is None or len(packed) > field.size:
        raise LocalProtocolError(f"{field.name} cannot hold {text!r}")
    return packed.ljust(field.size)


def _from_wire(value: bytes) -> str:
    return value.decode("latin-1").rstrip(" ")
