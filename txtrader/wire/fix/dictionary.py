"""The dictionaries of the FIX versions, read out of our own tables: which fields there are, and what they may hold.

    fields.txt    tag, name, type, allowed values, since when
    messages.txt  the fields of each message, its groups, what is required

One more version is a line in `_VERSIONS` and its marks in the tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files

import msgspec

__all__ = ["DATA_LENGTHS", "Dictionary", "Field", "Group", "MessageSpec", "dictionary", "is_admin"]

ADMIN = frozenset("012345A")
_ORDER = ("4.2", "4.4", "5.0")
_VERSIONS = {"FIX.4.2": ("4.2", "4.2"), "FIX.4.4": ("4.4", "4.4"), "FIXT.1.1": ("5.0", "5.0")}
"""BeginString -> version of header and session messages, version of the application's."""

_COUNTS = frozenset({"SEQNUM", "NUMINGROUP", "LENGTH"})
_NUMBER = r"-?[0-9]+"
_DECIMAL = r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_DAY = r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)"
_TYPES = {
    "INT": _NUMBER,
    "SEQNUM": _NUMBER,
    "NUMINGROUP": _NUMBER,
    "LENGTH": _NUMBER,
    "DAY": r"0?[1-9]|[12][0-9]|3[01]",
    **dict.fromkeys(("FLOAT", "QTY", "PRICE", "PRICEOFFSET", "AMT", "PERCENTAGE"), _DECIMAL),
    "CHAR": r"[^\x01]",
    "BOOLEAN": r"[YN]",
    "STRING": r"[^\x01]+",
    "MULTIPLE": r"[^ \x01]+(?: [^ \x01]+)*",
    "UTCTIMESTAMP": rf"{_DAY}-{_CLOCK}(?:\.[0-9]{{1,12}})?",
    "UTCDATE": _DAY,
    "DATE": _DAY,
    "UTCTIME": rf"{_CLOCK}(?:\.[0-9]{{1,12}})?",
    "MONTHYEAR": r"[0-9]{4}(?:0[1-9]|1[0-2])(?:w[1-5]|0[1-9]|[12][0-9]|3[01])?",
    "DATA": r"(?s:.+)",
}


def is_admin(type: str) -> bool:
    """Tell whether a message belongs to the session, not to the application."""
    return type in ADMIN


class Field(msgspec.Struct, frozen=True):
    """One field: what its text may be.  `has_form(text)` checks the type, `allows(text)` the list of values."""

    tag: int
    name: str
    type: str
    values: frozenset[str]
    has_form: Callable[[str], object]
    accepts: Callable[[str], object]
    """Both checks in one, for the quick way: a truth value."""

    def allows(self, text: str) -> bool:
        """Tell whether a text of the right form is one of the values, where those are listed."""
        if not self.values:
            return True
        if self.type == "MULTIPLE":
            return all(word in self.values for word in text.split(" "))
        return text in self.values


class Group(msgspec.Struct, frozen=True):
    """A repeating group: `first` begins each entry, `tags` are all that an entry may hold, its groups' too."""

    count: int
    first: int
    tags: frozenset[int]
    groups: dict[int, Group]


class MessageSpec(msgspec.Struct, frozen=True):
    """One message: `tags` of its body (those of groups are not among them), `required`, in ascending order, groups.

    `quick` are the checks of its body's fields but for the counts of groups; `needed` are all tags that it must have.
    """

    type: str
    name: str
    tags: frozenset[int]
    required: tuple[int, ...]
    groups: dict[int, Group]
    quick: dict[int, Callable[[str], object]]
    needed: frozenset[int]


class Dictionary:
    """What one version of FIX knows.  `for_type` is the message, None for a type that it does not know."""

    def __init__(self, begin_string: str) -> None:
        session, application = _VERSIONS[begin_string]
        self.begin_string = begin_string
        self.version = application
        self.last_reason = 11 if session == "4.2" else 99
        fields, last = _read_fields(application)
        self.fields = fields
        self.last_tag = last
        blocks, specs, required = _read_messages(application)
        self.header = _tags(blocks["header"])
        self.header_groups = _groups(blocks["header"])
        self.trailer = _tags(blocks["trailer"])
        self.header_required = (8, 9, 35, 34, 49, 52, 56)
        self.quick_header = {tag: fields[tag].accepts for tag in self.header if tag not in self.header_groups}
        self.messages: dict[str, MessageSpec] = {
            type: self._spec(type, name, items, required.get(type, ())) for type, (name, items) in specs.items()
        }
        self.data_lengths = {tag: data for tag, data in DATA_LENGTHS.items() if tag in fields}
        self.is_transport_apart = begin_string == "FIXT.1.1"
        self._session_tags = (
            self.header
            | self.trailer
            | frozenset(tag for type in ADMIN for tag in self.messages[type].tags)
            | frozenset(tag for type in ADMIN for group in self.messages[type].groups.values() for tag in group.tags)
        )

    def _spec(self, type: str, name: str, items: list[Item], required: tuple[int, ...]) -> MessageSpec:
        tags, groups = _tags(items) & self.fields.keys(), _groups(items)
        quick = {tag: self.fields[tag].accepts for tag in tags if tag not in groups}
        needed = frozenset(self.header_required) - {9} | frozenset(required)
        return MessageSpec(type, name, tags, required, groups, quick, needed)

    def for_type(self, type: str) -> MessageSpec | None:
        """Return what is known of a message type."""
        return self.messages.get(type)

    def knows(self, tag: int, type: str) -> bool:
        """Tell whether there is such a tag at all; over FIXT the session's messages have a dictionary of their own."""
        if self.is_transport_apart and is_admin(type):
            return tag in self._session_tags
        return tag in self.fields or 0 < tag <= self.last_tag


DATA_LENGTHS = {
    90: 91,
    93: 89,
    95: 96,
    212: 213,
    348: 349,
    350: 351,
    354: 355,
    356: 357,
    358: 359,
    360: 361,
    362: 363,
    364: 365,
    445: 446,
    618: 619,
    621: 622,
}

Item = int | tuple[int, list["Item"]]


@lru_cache
def dictionary(begin_string: str) -> Dictionary:
    """Return the dictionary of a BeginString.  Raises KeyError for one that is not known."""
    if begin_string not in _VERSIONS:
        raise KeyError(begin_string)
    return Dictionary(begin_string)


def _lines(name: str) -> list[str]:
    text = (files(__package__) / name).read_text(encoding="ascii")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _read_fields(version: str) -> tuple[dict[int, Field], int]:
    rank = _ORDER.index(version)
    found: dict[int, Field] = {}
    last = 0
    for line in _lines("fields.txt"):
        if line.startswith("last "):
            _, known, number = line.split()
            last = int(number) if known == version else last
            continue
        head, *later = line.split(" | ")
        tag, name, type, *values = head.split()
        if values and values[0].startswith("@") and _ORDER.index(values.pop(0)[1:]) > rank:
            continue
        for part in later:
            since, *more = part.split()
            if _ORDER.index(since) <= rank:
                values += more
        found[int(tag)] = _field(int(tag), name, type, frozenset(values))
    return found, last


def _field(tag: int, name: str, type: str, values: frozenset[str]) -> Field:
    form = re.compile(_TYPES[type]).fullmatch
    accepts: Callable[[str], object] = form
    if values:
        accepts = values.__contains__
        if type == "MULTIPLE":
            accepts = lambda text: all(word in values for word in text.split(" "))  # noqa: E731  one for each field
    elif type == "STRING":
        accepts = bool  # a separator cannot be in it, or it would have ended there
    elif type in _COUNTS:
        accepts = str.isdecimal  # a negative one is looked at with care
    elif type == "UTCTIMESTAMP":
        accepts = _Moments(form)
    return Field(tag, name, type, values, form, accepts)


class _Moments:
    """Checks time stamps; most are of a second that was seen already."""

    def __init__(self, form: Callable[[str], object]) -> None:
        self._form = form
        self._seconds: set[str] = set()

    def __call__(self, text: str) -> object:
        if text[:17] in self._seconds and text[17:18] == "." and text[18:].isdecimal() and len(text) <= 30:
            return True
        found = self._form(text)
        if found:
            if len(self._seconds) > 1000:
                self._seconds.clear()
            self._seconds.add(text[:17])
        return found


def _read_messages(
    version: str,
) -> tuple[dict[str, list[Item]], dict[str, tuple[str, list[Item]]], dict[str, tuple[int, ...]]]:
    """Return blocks, messages (name and items) and required tags, of one version."""
    rank = _ORDER.index(version)
    blocks: dict[str, list[Item]] = {}
    specs: dict[str, tuple[str, list[Item]]] = {}
    required: dict[str, tuple[int, ...]] = {}
    waiting: list[tuple[str, list[str]]] = []
    for line in _lines("messages.txt"):
        if line.startswith("!"):
            _, since, type, *tags = line.split()
            if _ORDER.index(since) <= rank:
                required[type] = tuple(sorted(int(tag) for tag in tags))
            continue
        head, _, rest = line.partition(" ")
        words = re.findall(r"[{}]|[^\s{}]+", rest)
        name = ""
        if not head.startswith("%") and words and re.fullmatch(r"[A-Z][A-Za-z]+", words[0]):
            name = words.pop(0)
        if words and re.fullmatch(r"=?[0-9]\.[0-9]:", words[0]):
            mark = words.pop(0).rstrip(":")
            fits = mark[1:] == version if mark.startswith("=") else _ORDER.index(mark) <= rank
            if not fits:
                continue
        if head.startswith("%"):
            blocks.setdefault(head[1:], [])
        else:
            specs.setdefault(head, (name, []))
        waiting.append((head, words))
    for block in blocks:  # a version may have none of a block's fields: an empty one is known all the same
        blocks[block] = []
    for head, words in waiting:
        target = blocks[head[1:]] if head.startswith("%") else specs[head][1]
        target += _items(words, blocks, waiting)
    return blocks, {type: (name, _flat(items)) for type, (name, items) in specs.items()}, required


def _items(words: list[str], blocks: dict[str, list[Item]], waiting: list[tuple[str, list[str]]]) -> list[Item]:
    """Read words to tags and groups; blocks are taken out of all their lines, wherever those stand."""
    found: list[Item] = []
    stack: list[list[Item]] = [found]
    for place, word in enumerate(words):
        if word == "{":
            continue
        if word == "}":
            stack.pop()
        elif word.startswith("%"):
            for head, more in waiting:
                if head == word:
                    stack[-1] += _items(more, blocks, waiting)
        elif place + 1 < len(words) and words[place + 1] == "{":
            inner: list[Item] = []
            stack[-1].append((int(word), inner))
            stack.append(inner)
        else:
            stack[-1].append(int(word))
    return found


def _flat(items: list[Item]) -> list[Item]:
    """Keep the last of several groups with one count: a later version's line replaces the earlier one's."""
    groups = {item[0]: item for item in items if isinstance(item, tuple)}
    kept: dict[int, Item] = {}
    for item in items:
        tag = item[0] if isinstance(item, tuple) else item
        kept[tag] = groups.get(tag, item)
    return list(kept.values())


def _tags(items: list[Item]) -> frozenset[int]:
    return frozenset(item[0] if isinstance(item, tuple) else item for item in items)


def _groups(items: list[Item]) -> dict[int, Group]:
    found: dict[int, Group] = {}
    for item in items:
        if isinstance(item, tuple):
            count, inner = item
            inner = _flat(inner)
            first = inner[0]
            groups = _groups(inner)
            tags = _tags(inner) | frozenset(tag for group in groups.values() for tag in group.tags)
            found[count] = Group(count, first if isinstance(first, int) else first[0], tags, groups)
    return found
