"""Checking a message by its dictionary: the first fault that counts, in the words and numbers of the reject.

The quick way says only that nothing is wrong, which is the answer nearly always; the slow way looks in the prescribed
sequence and finds which fault comes first.
"""

from __future__ import annotations

import msgspec

from txtrader.wire.fix.dictionary import Dictionary, Group, MessageSpec, is_admin
from txtrader.wire.fix.message import Message

__all__ = ["TEXTS", "Fault", "Switches", "find_fault"]

TEXTS = {
    0: "Invalid tag number",
    1: "Required tag missing",
    2: "Tag not defined for this message type",
    4: "Tag specified without a value",
    5: "Value is incorrect (out of range) for this tag",
    6: "Incorrect data format for value",
    9: "CompID problem",
    10: "SendingTime accuracy problem",
    11: "Invalid MsgType",
    13: "Tag appears more than once",
    14: "Tag specified out of required order",
    15: "Repeating group fields out of order",
    16: "Incorrect NumInGroup count for repeating group",
    18: "Invalid/Unsupported Application Version",
}
_USER_DEFINED = 5000


class Fault(msgspec.Struct, frozen=True):
    """What is wrong: the reason of the reject (373), and the tag to blame where there is one."""

    reason: int
    tag: int | None = None

    @property
    def text(self) -> str:
        """The words of the reject."""
        return TEXTS[self.reason]


class Switches(msgspec.Struct, frozen=True, kw_only=True):
    """What is checked; all of it by default.  `checks_required` is about the body: the header is always needed.

    `checks_unknown` is about fields below 5000 that a message has no place for, whether any message has one or not.

    Without `validates` what the session itself lives on still is: the fields that its own messages must have.
    """

    validates: bool = True
    has_order: bool = True
    has_values: bool = True
    checks_user_defined: bool = True
    checks_unknown: bool = True
    checks_lists: bool = True
    checks_required: bool = True


_ALL = Switches()


def find_fault(message: Message, known: Dictionary, switches: Switches = _ALL) -> Fault | None:
    """Return the first fault of a message as it came (field 8 first), None for a sound one."""
    spec = known.for_type(message.type)
    if not switches.validates:
        return _find_missing(message, known, spec)
    if spec is not None and switches is _ALL and _is_plainly_sound(message, known, spec):
        return None
    return _Look(message, known, switches).fault(spec)


def _find_missing(message: Message, known: Dictionary, spec: MessageSpec | None) -> Fault | None:
    """Return the first fault of the header's required fields, and of those of the session's own messages."""
    index = message.index
    required = spec.required if spec is not None and is_admin(message.type) else ()
    for tag in (*known.header_required, *required):
        if tag == 9:
            continue
        if tag not in index:
            return Fault(1, tag)
        if not known.fields[tag].has_form(index[tag]):
            return Fault(6 if index[tag] else 4, tag)
    return None


def _is_plainly_sound(message: Message, known: Dictionary, spec: MessageSpec) -> bool:
    """Tell whether a message without groups is sound; False leaves it to the slow way."""
    index = message.index
    if len(index) != len(message.fields) or not spec.needed <= index.keys():
        return False  # a tag twice: a group, or a fault
    header, body = known.quick_header, spec.quick
    fields = iter(message.fields)
    try:
        for tag, value in fields:
            if tag not in header:
                if not body[tag](value):
                    return False
                break
            if not header[tag](value):
                return False
        for tag, value in fields:  # a header field is none of these
            if not body[tag](value):
                return False
    except KeyError:
        return False
    return True


class _Look:
    """One careful look at one message."""

    def __init__(self, message: Message, known: Dictionary, switches: Switches) -> None:
        self._message = message
        self._known = known
        self._switches = switches

    def fault(self, spec: MessageSpec | None) -> Fault | None:
        message, known = self._message, self._known
        if self._switches.has_order and (tag := self._out_of_order()) is not None:
            return Fault(14, tag)
        if spec is None:
            return Fault(11)
        index = message.index
        for tag in (*known.header_required, *(spec.required if self._switches.checks_required else ())):
            if tag not in index and tag != 9:
                return Fault(1, tag)
        header = [(tag, value) for tag, value in message.fields if tag in known.header]
        body = [(tag, value) for tag, value in message.fields if tag not in known.header]
        plain, groups, fault = self._part(body, spec.groups)
        checked = sorted(plain, key=lambda pair: pair[0])
        return self._fields(header, spec) or self._fields(checked, spec, groups) or fault

    def _out_of_order(self) -> int | None:
        """Return the first header field that stands behind a field of the body."""
        header = self._known.header
        in_body = False
        for tag, _ in self._message.fields:
            if tag not in header:
                in_body = True
            elif in_body:
                return tag
        return None

    def _part(
        self, fields: list[tuple[int, str]], groups: dict[int, Group]
    ) -> tuple[list[tuple[int, str]], list[tuple[int, str]], Fault | None]:
        """Part fields into those outside groups and those inside; a wrong count is a fault of its own."""
        plain: list[tuple[int, str]] = []
        inside: list[tuple[int, str]] = []
        fault: Fault | None = None
        place = 0
        while place < len(fields):
            tag, value = fields[place]
            plain.append((tag, value))
            place += 1
            group = groups.get(tag)
            if group is None or not value.isdigit():
                continue
            place, count = self._walk(fields, place, group, inside)
            if count != int(value):
                fault = fault or Fault(16, tag)
        return plain, inside, fault

    def _walk(
        self, fields: list[tuple[int, str]], place: int, group: Group, inside: list[tuple[int, str]]
    ) -> tuple[int, int]:
        """Step over the entries of a group; return where they end and how many there were."""
        count = 0
        while place < len(fields):
            tag, value = fields[place]
            if tag == group.first:
                count += 1
            elif tag not in group.tags or not count:
                break
            inside.append((tag, value))
            place += 1
            inner = group.groups.get(tag)
            if inner is not None and value.isdigit():
                place, _ = self._walk(fields, place, inner, inside)
        return place, count

    def _fields(
        self, fields: list[tuple[int, str]], spec: MessageSpec, inside: list[tuple[int, str]] | None = None
    ) -> Fault | None:
        seen: set[int] = set()
        for tag, value in fields:
            if tag in seen:
                return Fault(13, tag)
            seen.add(tag)
            if (fault := self._value(tag, value)) is not None:
                return fault
            if (fault := self._place(tag, spec)) is not None:
                return fault
        for tag, value in inside or ():
            if (fault := self._value(tag, value)) is not None:
                return fault
        return None

    def _value(self, tag: int, value: str) -> Fault | None:
        if not value:
            return Fault(4, tag) if self._switches.has_values else None
        field = self._known.fields.get(tag)
        if field is None:
            return None
        if not field.has_form(value):
            return Fault(6, tag)
        return None if not self._switches.checks_lists or field.allows(value) else Fault(5, tag)

    def _place(self, tag: int, spec: MessageSpec) -> Fault | None:
        known, switches = self._known, self._switches
        if tag in known.header or tag in known.trailer:
            return None
        if tag >= _USER_DEFINED and not switches.checks_user_defined:
            return None
        if tag in spec.tags:
            return None
        if not switches.checks_unknown:
            return None
        return Fault(2, tag) if known.knows(tag, spec.type) else Fault(0, tag)
