"""One FIX message: its type and its fields, as text, in the sequence of the wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

__all__ = ["SOH", "Message"]

SOH = "\x01"


class Message:
    """A message without its framing (8, 9, 10).

    `fields` are (tag, text) pairs, the header's among them; `type` is that of tag 35.  A value is kept as it came:
    numbers are read when somebody asks for them.  What begins a group is found by `dictionary.groups`.
    """

    __slots__ = ("_index", "fields", "type")

    def __init__(self, type: str, fields: Iterable[tuple[int, str]] = ()) -> None:
        self.type = type
        self.fields: list[tuple[int, str]] = list(fields)
        self._index: dict[int, str] | None = None

    def __repr__(self) -> str:
        shown = "|".join(f"{tag}={'***' if tag in (554, 96, 925) else value}" for tag, value in self.fields)
        return f"<{self.type}: {shown}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and (self.type, self.fields) == (other.type, other.fields)

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    @property
    def index(self) -> dict[int, str]:
        """The fields by tag; of a tag that stands more than once the first one."""
        if self._index is None:
            self._index = dict(reversed(self.fields))
        return self._index

    def get(self, tag: int, default: str | None = None) -> str | None:
        """Return a field's text, `default` where there is none."""
        return self.index.get(tag, default)

    def __getitem__(self, tag: int) -> str:
        return self.index[tag]

    def __contains__(self, tag: object) -> bool:
        return tag in self.index

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(self.fields)

    def number(self, tag: int, default: int | None = None) -> int | None:
        """Return a field as an int; `default` where there is none.  Raises ValueError for any other text."""
        text = self.index.get(tag)
        return default if text is None else int(text)

    def decimal(self, tag: int) -> Decimal | None:
        """Return a field as a Decimal, None where there is none."""
        text = self.index.get(tag)
        return None if text is None else Decimal(text)

    def is_set(self, tag: int) -> bool:
        """Tell whether a flag is there and Y."""
        return self.index.get(tag) == "Y"

    def add(self, tag: int, value: object) -> Message:
        """Append a field; None appends nothing, nor does an empty text: no field may be empty.  Returns the message."""
        if value is not None and value != "":
            self.fields.append((tag, value if isinstance(value, str) else str(value)))
            self._index = None
        return self

    def entries(self, count: int, first: int, members: frozenset[int]) -> list[Message]:
        """Return the entries of a group: `count` is its NumInGroup tag, `first` begins each, `members` all its tags."""
        found: list[Message] = []
        fields = iter(self.fields)
        for tag, _ in fields:
            if tag == count:
                break
        for tag, value in fields:
            if tag == first:
                found.append(Message(self.type))
            elif tag not in members or not found:
                break
            found[-1].fields.append((tag, value))
        return found
