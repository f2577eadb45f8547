"""Where policies change what is told: every message of one endpoint passes here on its way out while there are any."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.message_faults import Deliver
from txtrader.exsim.policies.actions import Step
from txtrader.exsim.policies.conditions import Occurrence
from txtrader.exsim.policies.faces import Face
from txtrader.exsim.policies.pace import draw_delay
from txtrader.exsim.policies.policy import Fired, Policy

if TYPE_CHECKING:
    from txtrader.exsim.policies.policy_book import PolicyBook

__all__ = ["Outgoing"]

_FIGURES = ("cumulative", "quantity", "price")


class _Message:
    """A message under way: what of it is sent, when, and by which rules."""

    def __init__(self, connection: Any, message: Any, deliver: Deliver, occurrence: Occurrence) -> None:
        self.connection = connection
        self.copies = [message]
        self.occurrence = occurrence
        self.fired: list[Fired] = []
        self.delay = 0.0
        self.until: str | None = None
        self.window: tuple[Policy, Step] | None = None
        self._deliver = deliver

    def send(self) -> None:
        """Send the copies."""
        for copy in self.copies:
            self._deliver(copy)

    def go_by(self, connection: Any) -> None:
        """Leave by another connection of the same client, which has come back."""
        if connection is not self.connection:
            self.connection, self._deliver = connection, connection.deliver


class Outgoing:
    """See the module.  What is held back here is lost when the policies go."""

    def __init__(self, book: PolicyBook, face: Face) -> None:
        self._book = book
        self._face = face
        self._held: list[_Message] = []
        self._windows: dict[tuple[str, str, int], list[_Message]] = {}

    def take(self, connection: Any, message: Any, deliver: Deliver) -> None:
        """Take a message, and deliver what becomes of it."""
        reading = self._face.read(connection, message)
        order = reading.order
        fields = self._book.scene(reading.fields, None if order is None else order.listing, self._face)
        there = self._face.connection_of(connection)
        link = None if there is None else self._book.link(self._face, there)
        occurrence = Occurrence(reading.kind, fields, order=order, link=link, message=message)
        under_way = _Message(connection, message, deliver, occurrence)
        under_way.fired = self._book.decide(occurrence)
        for one in under_way.fired:
            for step in one.steps:
                if step.action.group == "report" or step.name == "delay":
                    self._apply(under_way, step, one.policy)
        self._go(under_way)

    def _apply(self, under_way: _Message, step: Step, policy: Policy) -> None:
        match step.name:
            case "duplicate":
                under_way.copies += under_way.copies[-1:] * step["times"]
            case "alter":
                under_way.copies = [self._altered(copy, step) for copy in under_way.copies]
            case "repeat_altered":
                under_way.copies.append(self._altered(under_way.copies[-1], step))
            case "delay":
                under_way.delay += draw_delay(step, policy.random)
            case "withhold":
                under_way.until = step["until"]
            case _:
                under_way.window = (policy, step)

    def _altered(self, message: Any, step: Step) -> Any:
        return self._face.altered(message, {name: step[name] for name in _FIGURES})

    # -- on its way

    def _go(self, under_way: _Message) -> None:
        if under_way.until is not None:
            if under_way.until:
                self._held.append(under_way)
            self._follow(under_way)
        elif under_way.window is not None:
            self._collect(under_way, *under_way.window)
        else:
            self._depart(under_way)

    def _depart(self, under_way: _Message) -> None:
        self._book.later(under_way.delay, self._send, under_way)

    def _send(self, under_way: _Message) -> None:
        under_way.send()
        order = under_way.occurrence.order
        if order is not None and self._held:
            self._let_go(
                lambda held: held.until == under_way.occurrence.kind and held.occurrence.order is order,
            )
        self._follow(under_way)

    def _follow(self, under_way: _Message) -> None:
        for one in under_way.fired:
            self._book.deeds.run(one.steps, one.policy, under_way.occurrence)

    def _let_go(self, fits: Callable[[_Message], bool]) -> None:
        """Send what was held back for this moment, in its sequence."""
        ready = [held for held in self._held if fits(held)]
        self._held = [held for held in self._held if held not in ready]
        for held in ready:
            self._book.later(held.delay, held.send)

    def asked(self, connection: Any) -> None:
        """Send what was withheld until the client asks, by this connection or by one that it had before."""
        owner = self._face.owner_of(connection)
        held_back = [one for one in self._held if one.until == "asked" and one.occurrence.fields["session"] == owner]
        for one in held_back:
            one.go_by(connection)
        self._let_go(lambda held: held in held_back)

    # -- another sequence

    def _collect(self, under_way: _Message, policy: Policy, step: Step) -> None:
        key = (policy.name, step.path, id(under_way.connection))
        window = self._windows.setdefault(key, [])
        window.append(under_way)
        if len(window) == 1:
            self._book.later(step["seconds"], self._let_window_go, key, window, policy)
        if len(window) >= step["window"]:
            self._let_window_go(key, window, policy)

    def _let_window_go(self, key: tuple[str, str, int], window: list[_Message], policy: Policy) -> None:
        """Send a window's messages in a sequence that is not theirs; once it has gone its timer finds nothing."""
        if self._windows.get(key) is window:
            del self._windows[key]
        collected, window[:] = list(window), []
        if len(collected) > 1:
            first = list(collected)
            policy.random.shuffle(collected)
            if collected == first:
                collected.reverse()
        for under_way in collected:
            self._depart(under_way)

    def clear(self) -> None:
        """Send what is held back in windows, forget what is withheld."""
        for window in list(self._windows.values()):
            for under_way in window:
                under_way.send()
            window.clear()
        self._windows.clear()
        self._held.clear()
