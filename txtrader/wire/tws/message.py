"""One TWS message: its name and its fields.

Requests are named as the methods of the public API client, responses as the callbacks of its wrapper; fields carry
the names of the API's public attributes and parameters.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Message"]


class Message(msgspec.Struct, frozen=True):
    """A request or a response; nobody changes `fields` once it is made.

    Values are int, Decimal (every price and size), str and bool; None is unset.  Contract fields stand at the top
    level, as on the wire; lists are lists of dicts (or of plain values where the wire repeats a single field).
    """

    name: str
    fields: dict[str, Any] = msgspec.field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, `default` where the message does not carry it."""
        return self.fields.get(name, default)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]
