"""The reference of requests and properties, written from their declarations.

    python -m txtrader.exsim.control.reference docs/exsim-control.md

replaces what stands after the marker in that file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from twisted.internet.task import Clock

from txtrader.exsim.control.dispatcher import Dispatcher
from txtrader.exsim.control.drafts import ORDER_PROPERTIES
from txtrader.exsim.control.engines import BOOK_PROPERTIES, ENGINE_CLASSES, ENGINE_PROPERTIES
from txtrader.exsim.control.problems import CODES
from txtrader.exsim.control.protocols import PROTOCOLS
from txtrader.exsim.control.requests import REQUIRED, Argument, Property, Request, plain
from txtrader.exsim.control.rooms.endpoint_room import ENDPOINT_PROPERTIES
from txtrader.exsim.control.rooms.quote_room import QUOTE_PROPERTIES
from txtrader.exsim.control.rooms.session_room import SESSION_PROPERTIES
from txtrader.exsim.control.world import World

__all__ = ["MARKER", "reference"]

MARKER = "<!-- written by `make docs`: change the declarations, not this -->"


def _argument(one: Argument) -> str:
    if one.default is REQUIRED:
        return f"**{one.name}**"
    return f"{one.name} = {_value(one.default)}"


def _value(value: object) -> str:
    shown = plain(value)
    if shown is None:
        return "null"
    if isinstance(shown, bool):
        return str(shown).lower()
    return "\\[\\]" if shown == [] else "{}" if shown == {} else f"{shown}" if shown != "" else '""'


def _requests(declared: Iterable[Request]) -> Iterator[str]:
    yield "| request | arguments | answer | what it does |"
    yield "|---|---|---|---|"
    for one in declared:
        arguments = ", ".join(_argument(argument) for argument in one.arguments)
        if one.takes_more:
            arguments += ", properties"
        yield f"| `{one.name}` | {arguments or '-'} | {one.result} | {one.doc} |"


def _properties(known: Mapping[str, Property]) -> Iterator[str]:
    yield "| property | takes | default | unit | meaning |"
    yield "|---|---|---|---|---|"
    for one in known.values():
        fixed = "; given when it is made" if one.is_fixed and one.doc else ""
        yield f"| `{one.name}` | {one.kind.words} | {_value(one.default)} | {one.unit or '-'} | {one.doc}{fixed} |"


def reference() -> str:
    """Return the text that follows the marker."""
    lines: list[str] = [MARKER, "", "## Requests", "", "What stands in bold must be given.", ""]
    lines += _requests(Dispatcher(World(Clock()), lambda: None).declared.values())
    for title, known in (
        ("Properties of an engine", ENGINE_PROPERTIES),
        ("Properties of a book", BOOK_PROPERTIES),
        ("Properties of an order", ORDER_PROPERTIES),
        ("Properties of a quote", QUOTE_PROPERTIES),
        ("Properties of an endpoint", ENDPOINT_PROPERTIES),
        ("Properties of a session", SESSION_PROPERTIES),
    ):
        lines += ["", f"## {title}", "", *_properties(known)]
    shown: list[Mapping[str, Property]] = []
    for name, known in PROTOCOLS.items():
        if any(known is one for one in shown):
            continue
        shown.append(known)
        names = ", ".join(f"`{other}`" for other, found in PROTOCOLS.items() if found is known)
        lines += ["", f"## Properties of the protocol{'s' if ',' in names else ''} {names}", "", *_properties(known)]
        assert name in names
    lines += ["", "## Engine classes", "", "| class | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in ENGINE_CLASSES.items() if isinstance(text, str)]
    lines += ["", "## Error codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| `{code}` | {text} |" for code, text in CODES.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the reference into the file that the command line names."""
    path = Path(sys.argv[1])
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index(MARKER)] + reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
