"""Who is called for what: names and labels, None that silences, a false result that ends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from txtrader.client.events import Line, normal_name

__all__ = ["Callback", "Callbacks", "are_callbacks"]

Callback = Callable[[str, Any], Any]
"""f(label, data): the label as it was registered, the text or the record; a false result that is not None ends it."""

_ALSO = {"order": "orderdata", "ticket": "ticketdata", "execution": "executiondata"}
_TABLE_OF = {"order": "orders", "execution": "executions"}  # in a channel's snapshot


def are_callbacks(options: Mapping[str, Any]) -> bool:
    """Tell whether a mapping is one of callbacks and not of options: every value can be called, or is None."""
    return all(value is None or callable(value) for value in options.values())


class Callbacks:
    """The registered functions, and the lines that they are called for.

    `fallback` gives the function for a normal name that nobody registered; `end` is told the label of a callback that
    answered false.  With `parse` functions get records, with exact numbers if `decimals`; else text.
    """

    def __init__(
        self,
        fallback: Callable[[str], Callback | None],
        end: Callable[[str], None],
        *,
        parse: bool,
        decimals: bool,
    ) -> None:
        self._fallback = fallback
        self._end = end
        self._parse = parse
        self._decimals = decimals
        self._registered: dict[str, tuple[str, Callback | None]] = {}

    def set(self, name: str, function: Callback | None) -> None:
        """Register a function, or None; raises TypeError for anything else."""
        if function is not None and not callable(function):
            raise TypeError(f"the callback of {name!r} cannot be called")
        self._registered[normal_name(name)] = (name, function)

    def delete(self, name: str) -> None:
        """Forget a name."""
        self._registered.pop(normal_name(name), None)

    @property
    def silenced(self) -> frozenset[str]:
        """The normal names that are registered as None."""
        return frozenset(name for name, (_, function) in self._registered.items() if function is None)

    def take(self, line: Line) -> None:
        """Call whoever is registered for a line."""
        name = normal_name(line.type)
        if name == "connectionstatuschanged":
            record = line.payload(self._decimals)
            self.deliver("status", record.get("status") if isinstance(record, dict) else line.text, line)
        if name == "snapshot" and name not in self._registered:
            self._unfold(line)
        elif name != "heartbeat":
            self._take_event(name, line)
        self.deliver("*", line.raw, line)

    def deliver(self, name: str, text: Any, data: Any) -> None:
        """Call what is registered under a normal name, else what stands in for it."""
        if name in self._registered:
            label, function = self._registered[name]
        else:
            label, function = name, self._fallback(name)
        if function is None:
            return
        argument = text
        if self._parse:
            argument = data.payload(self._decimals) if isinstance(data, Line) and name != "*" else data
        answer = function(label, argument)
        if answer is not None and not answer:
            self._end(label)

    def _take_event(self, name: str, line: Line) -> None:
        self.deliver(name, line.after_prefix, line)
        if line.mode is not None and name in _ALSO:
            self.deliver(_ALSO[name], line.text, line)

    def _unfold(self, line: Line) -> None:
        """Tell the state that a snapshot holds as events: who only follows orders still knows them all."""
        channel = line.key or ""
        payload = line.payload(self._decimals)
        records = payload.get(_TABLE_OF.get(channel, "")) if isinstance(payload, dict) else None
        for key, record in (records or {}).items():
            self._take_event(channel, Line.of_record(line.mode, channel, key, record))
