"""Compile layouts: the same parts give the reader and the writer of a message at a version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from txtrader.wire.tws.layout import (
    Choice,
    CountedOptions,
    Field,
    Flagged,
    Literal,
    Many,
    Node,
    Scalars,
    Span,
    Test,
    When,
)
from txtrader.wire.tws.values import Reader, Writer, reader_of, writer_of

__all__ = ["FieldError", "FieldReader", "Layout"]

Append = Callable[[str], None]


class FieldError(ValueError):
    """A field does not hold what its layout says; `field` names it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class FieldReader:
    """The fields of one message body, taken one by one; what is missing at the end reads as empty."""

    __slots__ = ("_at", "_texts")

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self._at = 0

    @property
    def remaining(self) -> int:
        """How many fields are left."""
        return max(len(self._texts) - self._at, 0)

    def take(self) -> str:
        """Return the next field, empty past the end."""
        at = self._at
        self._at = at + 1
        return self._texts[at] if at < len(self._texts) else ""

    def peek(self) -> str:
        """Return the next field and leave it there."""
        return self._texts[self._at] if self._at < len(self._texts) else ""

    def take_count(self, name: str) -> int:
        """Return a count of groups that follow; there cannot be more of them than fields."""
        text = self.take()
        if text in ("", "2147483647"):
            return 0
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise FieldError(name, "not a count")
        count = int(text)
        if count > self.remaining:
            raise FieldError(name, f"{count} entries announced, {self.remaining} fields left")
        return count


class Layout:
    """The parts of one message and their compiled form for each version that was asked for."""

    def __init__(self, body: tuple[Node, ...], *, is_response: bool) -> None:
        self.body = body
        self.is_response = is_response
        self.names = frozenset(_names(body))
        self._compiled: dict[int, tuple[_Step, ...]] = {}

    def read(self, source: FieldReader, version: int, out: dict[str, Any]) -> None:
        """Read a message body into `out`; raises FieldError, leaving in `out` what came before."""
        for step in self._steps(version):
            step.read(source, out)

    def write(self, values: Mapping[str, Any], version: int, append: Append) -> None:
        """Append the texts of a message body; raises FieldError for an unknown name or an impossible value.

        A field that is absent is written as unset; one that the version does not have is left out.
        """
        if not values.keys() <= self.names:
            raise FieldError(min(values.keys() - self.names), "no such field in this message")
        for step in self._steps(version):
            step.write(values, append)

    def _steps(self, version: int) -> tuple[_Step, ...]:
        steps = self._compiled.get(version)
        if steps is None:
            steps = self._compiled[version] = _compile(self.body, version, self.is_response)
        return steps


def _names(body: tuple[Node, ...]) -> Iterator[str]:
    for node in body:
        if isinstance(node, Span | When):
            yield from _names(node.body)
        elif isinstance(node, Choice):
            for case in node.cases.values():
                yield from _names(case)
        elif not isinstance(node, Literal):
            yield node.name


class _Step(Protocol):
    """One compiled piece of a layout."""

    def read(self, source: FieldReader, out: dict[str, Any]) -> None:
        """Take fields from `source` into `out`."""

    def write(self, values: Mapping[str, Any], append: Append) -> None:
        """Append the texts of `values`."""


def _compile(body: tuple[Node, ...], version: int, is_response: bool) -> tuple[_Step, ...]:
    """Compile the parts that exist at a version; neighbouring plain fields become one step."""
    steps: list[_Step] = []
    plain: list[tuple[str, Reader, Writer, str]] = []

    def end_plain() -> None:
        if plain:
            steps.append(_Plain(tuple(plain)))
            plain.clear()

    for node in _at_version(body, version):
        if isinstance(node, Literal):
            plain.append(("", str, str, node.text))
        elif isinstance(node, Field):
            read = reader_of(node.kind, version, is_response=is_response)
            write = writer_of(node.kind, version, is_response=is_response)
            plain.append((node.name, read, write, ""))
        else:
            end_plain()
            steps.append(_compile_node(node, version, is_response))
    end_plain()
    return tuple(steps)


def _at_version(body: tuple[Node, ...], version: int) -> Iterator[Node]:
    for node in body:
        if isinstance(node, Field | Literal | Scalars):
            if node.since <= version < node.until:
                yield node
        elif isinstance(node, Span):
            if node.since <= version < node.until:
                yield from _at_version(node.body, version)
        else:
            yield node


def _compile_node(node: Node, version: int, is_response: bool) -> _Step:
    if isinstance(node, When):
        return _When(node.test, _compile(node.body, version, is_response))
    if isinstance(node, Many):
        return _Many(node.name, _compile(node.body, version, is_response))
    if isinstance(node, Flagged):
        return _Flagged(node.name, _compile(node.body, version, is_response))
    if isinstance(node, Scalars):
        return _Scalars(
            node.name,
            reader_of(node.kind, version, is_response=is_response),
            writer_of(node.kind, version, is_response=is_response),
        )
    if isinstance(node, Choice):
        cases = {value: _compile(case, version, is_response) for value, case in node.cases.items()}
        return _Choice(node.name, cases)
    assert isinstance(node, CountedOptions)
    return _CountedOptions(node.name)


class _Plain:
    __slots__ = ("_fields",)

    def __init__(self, fields: tuple[tuple[str, Reader, Writer, str], ...]) -> None:
        self._fields = fields

    def read(self, source: FieldReader, out: dict[str, Any]) -> None:
        for name, read, _, _ in self._fields:
            text = source.take()
            if name:
                try:
                    out[name] = read(text)
                except ValueError as e:
                    raise FieldError(name, str(e)) from None

    def write(self, values: Mapping[str, Any], append: Append) -> None:
        get = values.get
        for name, _, write, literal in self._fields:
            if name:
                try:
                    append(write(get(name)))
                except ValueError as e:
                    raise FieldError(name, str(e)) from None
            else:
                append(literal)


class _When:
    def __init__(self, test: Test, steps: tuple[_Step, ...]) -> None:
        self._test = test
        self._steps = steps

    def read(self, source: FieldReader, out: dict[str, Any]) -> None:
        if self._test(out):
            for step in self._steps:
                step.read(source, out)

    def write(self, values: Mapping[str, Any], append: Append) -> None:
        if self._test(values):
            for step in self._steps:
                step.write(values, append)


class _Many:
    def __init__(self, name: str, steps: tuple[_Step, ...]) -> None:
        self._name = name
        self._steps = steps

    def read(self, source: FieldReader, out: dict[str, Any]) -> None:
        groups: list[dict[str, Any]] = []
        out[self._name] = groups
        for _ in range(source.take_count(self._name)):
            group: dict[str, Any] = {}
            for step in self._steps:
                step.read(source, group)
            groups.append(group)

    def write(self, values: Mapping[str, Any], append: Append) -> None:
        groups = values.get(self._name) or ()
        append(str(len(groups)))
        for group in groups:
            for step in self._steps:
                step.write(group, append)


class _Scalars:
    def __init__(self, name: str, read: Reader, write: Writer) -> None:
        self._name = name
        self._read = read
        self._write = write

    def read(self, source: FieldReader, out: dict[str, Any]) -> None:
        try:
            out[self._name] = [self._read(source.take()) for _ in range(source.take_count(self._name))]
        except FieldError:
            raise
        except ValueError as e:
            raise FieldError(self._name, str(e)) from None

    def write(self, values: Mapping[str, Any], append: Append) -> None:
        items = values.get(self._name) or ()
        append(str(len(items)))
        try:
            for item in items:
                append(self._write(item))
        except ValueError as e:
            raise FieldError(self._name, str(e)) from None


class _Flagged:
    def __init__(self, name: str, steps: tuple[_Step, ...]) -> None:
        self._name = name
        self._steps = steps

    def read(self, source: FieldReader, out: dict[str, Any]) -> None:
        flag = source.take()
        if flag in ("", "0", "false"):
            out[self._name] = None
            return
        if flag not in ("1", "true"):
            raise FieldError(self._name, "not a flag")
        group: dict[str, Any] = {}
        for step in self._steps:
            step.read(source, group)
        out[self._name] = group

    def write(self, values: Mapping[str, Any], append: Append) -> None:
        group = values.get(self._name)
        append("0" if group is None else "1")
        if group is not None:
            for step in self._steps:
                step.write(group, append)


class _Choice:
    def __init__(self, name: str, cases: Mapping[Any, tuple[_Step, ...]]) -> None:
        self._name = name
        self._cases = cases

    def _steps(self, values: Mapping[str, Any]) -> tuple[_Step, ...]:
        try:
            return self._cases[values.get(self._name)]
        except KeyError:
            # Without the layout of this kind, nothing that follows could be told apart.
            raise FieldError(self._name, "unknown kind") from None

    def read(self, source: FieldReader, out: dict[str, Any]) -> None:
        for step in self._steps(out):
            step.read(source, out)

    def write(self, values: Mapping[str, Any], append: Append) -> None:
        for step in self._steps(values):
            step.write(values, append)


class _CountedOptions:
    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, source: FieldReader, out: dict[str, Any]) -> None:
        # "0", "2 a=1;b=2;" and "a=1;b=2;" are all seen.
        if source.peek().isdigit():
            source.take()
        out[self._name] = source.take()

    def write(self, values: Mapping[str, Any], append: Append) -> None:
        options = values.get(self._name) or ""
        append(str(options.count(";")))
        append(options)
