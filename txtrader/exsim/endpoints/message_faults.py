"""Faults in what a server sends: rules that withhold, delay, duplicate or reorder messages, for any wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

__all__ = ["Delay", "Deliver", "Duplicate", "Faults", "Reorder", "Rule", "Standing"]


class Message(Protocol):
    """What is sent: rules go by its name."""

    @property
    def name(self) -> str: ...


class Connection(Protocol):
    """Who sends: rules may go by whose it is; what they let through is delivered."""

    @property
    def client_id(self) -> int | None: ...

    def deliver(self, message: Any) -> None:
        """Send past the rules."""


Deliver = Callable[[Any], None]


class Standing(Protocol):
    """What stands before the rules, and outlives them."""

    def take(self, connection: Any, message: Any, deliver: Deliver) -> None:
        """Take a message, and deliver what becomes of it."""


class Rule:
    """What happens to the messages of some names: `count` of them, or all until `remove`; of one client, or all.

    `matches` counts the messages that it took.
    """

    def __init__(self, faults: Faults, names: frozenset[str], count: int | None, client_id: int | None) -> None:
        self.matches = 0
        self._faults = faults
        self._names = names
        self._left = count
        self._client_id = client_id

    def remove(self) -> None:
        """End the rule; what it holds back is sent now."""
        self._faults.remove(self)

    def takes(self, connection: Connection, message: Message) -> bool:
        """Tell whether this message falls under the rule, and count it."""
        if message.name not in self._names or self._left == 0:
            return False
        if self._client_id is not None and self._client_id != connection.client_id:
            return False
        if self._left is not None:
            self._left -= 1
        self.matches += 1
        return True

    def apply(self, connection: Connection, message: Message, deliver: Deliver) -> None:
        """Do to a message what the rule is for; the base withholds it."""

    def release(self) -> None:
        """Send what is held back."""


class Delay(Rule):
    """Sends messages some seconds later, in their order."""

    def __init__(self, *args: Any, seconds: float) -> None:
        super().__init__(*args)
        self._seconds = seconds

    def apply(self, connection: Connection, message: Message, deliver: Deliver) -> None:
        self._faults.later(self._seconds, deliver, message)


class Duplicate(Rule):
    """Sends messages twice."""

    def apply(self, connection: Connection, message: Message, deliver: Deliver) -> None:
        deliver(message)
        deliver(message)


class Reorder(Rule):
    """Swaps each pair of messages."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._held: dict[Connection, tuple[Message, Deliver]] = {}

    def apply(self, connection: Connection, message: Message, deliver: Deliver) -> None:
        held = self._held.pop(connection, None)
        if held is None:
            self._held[connection] = (message, deliver)
            return
        deliver(message)
        held[1](held[0])

    def release(self) -> None:
        held, self._held = self._held, {}
        for message, deliver in held.values():
            deliver(message)


class Faults:
    """The rules in force, each applied to what the one before it lets through."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._rules: list[Rule] = []
        self._timers: set[IDelayedCall] = set()
        self._countdown: int | None = None
        self.policies: Standing | None = None  # what the venue's policies make of messages, before the rules

    @property
    def is_quiet(self) -> bool:
        """Tell whether no rule is in force, and no policy."""
        return not self._rules and self.policies is None

    def add(self, rule: Rule) -> Rule:
        """Put a rule in force."""
        self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Take a rule out; what it holds back is sent."""
        if rule in self._rules:
            self._rules.remove(rule)
            rule.release()

    def clear(self) -> None:
        """Take everything out; delayed messages are lost."""
        self._rules.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._countdown = None

    def later(self, seconds: float, deliver: Deliver, message: Message) -> None:
        """Deliver a message after some seconds."""

        def run() -> None:
            self._timers.discard(timer)
            deliver(message)

        timer = self._clock.callLater(seconds, run)
        self._timers.add(timer)

    def pass_on(self, connection: Connection, message: Message, start: int = -1) -> None:
        """Send a message through the rules from number `start` on; at -1 stand the policies."""
        rules = self._rules
        if start < 0:
            start = 0
            if self.policies is not None:
                self.policies.take(connection, message, lambda passed: self.pass_on(connection, passed, 0))
                return
        number = start
        while number < len(rules) and not rules[number].takes(connection, message):
            number += 1
        if number < len(rules):
            rules[number].apply(connection, message, lambda passed: self.pass_on(connection, passed, number + 1))
        else:
            connection.deliver(message)

    def count_down(self, messages: int | None) -> None:
        """Have the connection cut that sends the last of so many messages, over all connections; None: never."""
        self._countdown = messages

    def counts_down(self) -> bool:
        """Count one sent message; tell whether it was the last."""
        if self._countdown is None:
            return False
        self._countdown -= 1
        if self._countdown > 0:
            return False
        self._countdown = None
        return True
