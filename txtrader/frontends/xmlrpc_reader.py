"""Reading XMLRPC calls: a strict, bounded parser that keeps number tokens exact.

No document type, no processing instruction, UTF-8 or ASCII only, bounded depth, arrays, structs and strings; a number
becomes an int or a Decimal of its very token, never a float.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from xml.parsers import expat

import msgspec

from txtrader.errors import InvalidArgument, TooLarge
from txtrader.frontends.jsontext import MAX_DEPTH, MAX_ITEMS, MAX_KEYS, Unreadable, check_string

__all__ = ["Call", "Malformed", "Unparsable", "read_call"]

_CHILDREN: dict[str, frozenset[str]] = {
    "": frozenset({"methodCall"}),
    "methodCall": frozenset({"methodName", "params"}),
    "params": frozenset({"param"}),
    "param": frozenset({"value"}),
    "array": frozenset({"data"}),
    "data": frozenset({"value"}),
    "struct": frozenset({"member"}),
    "member": frozenset({"name", "value"}),
}
_SCALARS = frozenset({"int", "i4", "i8", "double", "boolean", "string", "nil", "dateTime.iso8601", "base64"})
_CHILDREN["value"] = frozenset({*_SCALARS, "array", "struct"})
_TEXTS = frozenset({*_SCALARS, "value", "name", "methodName"})
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)
_FRACTION = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
_METHOD = re.compile(r"[A-Za-z0-9_.:/]{1,64}", re.ASCII)
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_MAX_TOKEN = 40
_UNREADABLE = Unreadable()


class Unparsable(InvalidArgument):
    """What came is no XML, or XML of a kind that is not taken."""

    number = -32700


class Malformed(InvalidArgument):
    """What came is XML, but no method call."""

    number = -32600


class Call(msgspec.Struct, frozen=True):
    """A method and its arguments, in sequence."""

    method: str
    arguments: list[Any]


class _Nothing:
    """Stands for a value that has not been given."""


_NOTHING = _Nothing()


class _Reader:
    """Takes the events of the XML parser; `call` is complete at the end of the document."""

    def __init__(self) -> None:
        self.method: str | None = None
        self.arguments: list[Any] = []
        self._path: list[str] = [""]
        self._seen: list[set[str]] = [set()]  # element names seen in each open element, where each may come once
        self._text: list[str] = []
        self._size = 0
        self._containers: list[Any] = []
        self._names: list[str | None] = []
        self._values: list[Any] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.removeprefix("ex:")
        parent = self._path[-1]
        if attributes and parent != "":
            raise Malformed("attributes are not part of a call")
        if name not in _CHILDREN.get(parent, ()):
            raise Malformed(f"<{_shown(name)}> does not belong into <{parent}>" if parent else "no <methodCall>")
        if parent in ("methodCall", "member", "value", "param", "array", "params", "data", "struct"):
            is_list = parent in ("params", "data", "struct")
            if not is_list and name in self._seen[-1]:
                raise Malformed(f"<{name}> is there twice in <{parent}>")
            self._seen[-1].add(name)
        if parent == "value" and "".join(self._text).strip():
            raise Malformed("text beside the type of a value")
        self._path.append(name)
        self._seen.append(set())
        self._text = []
        self._size = 0
        if name == "value":
            self._values.append(_NOTHING)
        elif name in ("array", "struct"):
            if len(self._containers) >= MAX_DEPTH:
                raise TooLarge(f"values are nested deeper than {MAX_DEPTH}")
            self._containers.append([] if name == "array" else {})
        elif name == "member":
            self._names.append(None)

    def data(self, text: str) -> None:
        if self._path[-1] in _TEXTS:
            self._text.append(text)
            self._size += len(text)
            if self._size > MAX_TEXT:
                raise TooLarge("a string is too long")
        elif text.strip():
            raise Malformed("text where there is none in a call")

    def end(self, name: str) -> None:
        name = self._path.pop()
        seen = self._seen.pop()
        text = "".join(self._text)
        self._text = []
        if name in _SCALARS:
            self._values[-1] = _scalar(name, text)
        elif name == "value":
            value = self._values.pop()
            if value is _NOTHING:
                check_string(text)
                value = text
            self._place(value)
        elif name == "array":
            if "data" not in seen:
                raise Malformed("an array without <data>")
            self._values[-1] = self._containers.pop()
        elif name == "struct":
            self._values[-1] = self._containers.pop()
        elif name == "member":
            self._names.pop()
            if seen != {"name", "value"}:
                raise Malformed("a member needs a name and a value")
        elif name == "name":
            check_string(text)
            self._names[-1] = text
        elif name == "methodName":
            if not _METHOD.fullmatch(text):
                raise Malformed("the method name has a wrong form")
            self.method = text
        elif name == "param" and "value" not in seen:
            raise Malformed("a parameter without a value")

    def _place(self, value: Any) -> None:
        parent = self._path[-1]
        if parent == "param":
            if len(self.arguments) >= MAX_KEYS:
                raise TooLarge(f"more than {MAX_KEYS} parameters")
            self.arguments.append(value)
        elif parent == "data":
            if len(self._containers[-1]) >= MAX_ITEMS:
                raise TooLarge(f"an array has more than {MAX_ITEMS} items")
            self._containers[-1].append(value)
        else:
            name, struct = self._names[-1], self._containers[-1]
            if name is None:
                raise Malformed("a member's value comes after its name")
            if name in struct:
                raise Malformed("a struct has a name twice")
            if len(struct) >= MAX_KEYS:
                raise TooLarge(f"a struct has more than {MAX_KEYS} members")
            struct[name] = value


MAX_TEXT = 65536
"""Characters of one text while it is read; what a string may have is checked at its end."""


def _shown(name: str) -> str:
    return name if name.isascii() and name.isprintable() and len(name) <= 32 else "?"


def _scalar(kind: str, text: str) -> Any:
    if kind == "string":
        check_string(text)
        return text
    if kind == "boolean":
        return {"0": False, "1": True}.get(text, _UNREADABLE)
    if kind == "nil":
        if text.strip():
            raise Malformed("<nil/> holds nothing")
        return None
    if kind == "double":
        return Decimal(text) if len(text) <= _MAX_TOKEN and _FRACTION.fullmatch(text) else _UNREADABLE
    if kind in ("int", "i4", "i8"):
        if not _INTEGER.fullmatch(text):
            return _UNREADABLE
        return Decimal(text) if text == "-0" else int(text)  # an int has no negative zero to be refused
    return _UNREADABLE  # dates travel as text, and nothing takes bytes


def _refuse(*_: Any) -> None:
    raise Unparsable("document types, entities and processing instructions are not taken")


def _declared(version: str, encoding: str | None, standalone: int) -> None:
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise Unparsable("the encoding must be UTF-8 or ASCII")


def read_call(body: bytes) -> Call:
    """Parse a method call.  Raises Unparsable, Malformed, TooLarge."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unparsable("not UTF-8") from None
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.XmlDeclHandler = _declared
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ProcessingInstructionHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse  # type: ignore[assignment]  # it raises
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        raise Unparsable(f"not XML: {what} at line {error.lineno}, column {error.offset}") from None
    if reader.method is None:
        raise Malformed("no <methodName>")
    return Call(reader.method, reader.arguments)
