"""Who trades over OUCH: a user with his stream and his day, and what is known of each of his orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from txtrader.exsim.orders import Order
from txtrader.exsim.participants import Session
from txtrader.wire.ouch.codec import OuchMessage
from txtrader.wire.soupbin import Stream

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.ouch.endpoint import OuchConnection, OuchEndpoint

__all__ = ["Member", "Name", "Record", "Sent", "owner_of", "user_of"]

Name = str | tuple[int, int]
"""What a client calls an order: 4.2 a token, 5.0 the number of a series (UserRefIdx) and a UserRefNum in it."""

_OWNER = "ouch|"


def owner_of(user: str) -> str:
    """Name a user as the venue's participant."""
    return f"{_OWNER}{user}"


def user_of(owner: str) -> str | None:
    """Return the user behind a participant's name, None for one of another wire."""
    return owner.removeprefix(_OWNER) if owner.startswith(_OWNER) else None


class Sent:
    """What a user is told, for the faults: the message, and what it does not say of itself.

    That is: the stream that it is meant for, the order that it is about, the venue's name of the execution, and, where
    the message alone leaves that open, what it means (a type of the policies' `REPORTS`).
    """

    __slots__ = ("exec_id", "meaning", "message", "order", "stream")

    def __init__(
        self, message: OuchMessage, stream: Stream, order: Order | None, exec_id: str | None, meaning: str | None
    ) -> None:
        self.message = message
        self.stream = stream
        self.order = order
        self.exec_id = exec_id
        self.meaning = meaning

    @property
    def name(self) -> str:
        return self.message.name

    def instead(self, message: OuchMessage) -> Sent:
        """Return the same with another message."""
        return Sent(message, self.stream, self.order, self.exec_id, self.meaning)


class Record:
    """One order as its client knows it: its name, and its fields as they are repeated to him.

    `before` is what was executed, and kept from executing, in the orders that this one stands in the place of, of
    which `executed_before` was executed; `prevented` is what self-match prevention took from this one.  `asked` are
    the client's requests that are under way at the venue: "cancel", "reduce" (to cancel a part) or "modify"; `letter`
    is that of the Canceled to come, where the exchange itself cancels.  `working` and `shown` are what was open, and
    seen, when he was told last.
    """

    __slots__ = (
        "asked",
        "before",
        "executed_before",
        "fields",
        "has_seconds",
        "is_done",
        "is_held",
        "letter",
        "member",
        "name",
        "order",
        "prevented",
        "shown",
        "tags",
        "working",
    )

    def __init__(self, member: Member, name: Name, fields: dict[str, Any], tags: dict[str, Any] | None) -> None:
        self.member = member
        self.name = name
        self.fields = fields
        self.tags = tags or {}
        self.order = cast(Order, None)  # until the venue has seen it
        self.before = self.executed_before = self.prevented = 0
        self.asked: list[str] = []
        self.letter = ""
        self.shown = self.working = 0
        self.has_seconds = False  # he said how long it lives
        self.is_held = False  # a cancel of it waits
        self.is_done = False  # no more is to come, but for what is done to its executions

    def answered(self, *words: str) -> str | None:
        """Take the first of some words out of what is asked; None where none is there."""
        word = next((one for one in self.asked if one in words), None)
        if word is not None:
            self.asked.remove(word)
        return word

    @property
    def number(self) -> int:
        """The UserRefNum, 0 where names are tokens."""
        return 0 if isinstance(self.name, str) else self.name[1]

    @property
    def open(self) -> int:
        """What may still be executed."""
        return int(self.order.remaining)

    @property
    def executed(self) -> int:
        """What was executed, in the whole chain."""
        return self.executed_before + int(self.order.filled)

    @property
    def done(self) -> int:
        """What was executed or kept from it, in the whole chain."""
        return self.before + int(self.order.filled) + self.prevented

    @property
    def index(self) -> int | None:
        """The number series that the client named, None where he named none."""
        return self.tags.get("user_ref_idx")


class Member:
    """One user: what he is told goes into his stream, whether he is there or not."""

    client_id = None  # rules of faults go by message name alone

    def __init__(self, endpoint: OuchEndpoint, user: str) -> None:
        self.endpoint = endpoint
        self.user = user
        self.owner = owner_of(user)
        self.settings = endpoint.users.get(user)
        self.connection: OuchConnection | None = None
        self.presence: Session | None = None
        self.stream: Stream
        self.names: int
        self.used: set[str]
        self.last: dict[int, int]
        self.live: dict[Name, Record]
        self.disabled: set[str]
        self.begin_day(endpoint.session_name)

    def begin_stream(self, session: str) -> None:
        """Let numbers begin at 1."""
        self.stream = Stream(session, self.endpoint.options.max_messages)

    def begin_day(self, session: str) -> None:
        """Begin a stream, with no name used."""
        self.begin_stream(session)
        self.names = 0
        self.used = set()
        self.last = {}
        self.live = {}
        self.disabled = set()

    def use(self, name: Name) -> None:
        """Have a name used for good."""
        self.endpoint.keep_name(self.user, name)
        self.remember(name)

    def remember(self, name: Name) -> None:
        """Take a name as used; twice is harmless."""
        if isinstance(name, str):
            self.names += name not in self.used
            self.used.add(name)
        else:
            self.names += 1
            self.last[name[0]] = max(name[1], self.last.get(name[0], 0))

    def used_names(self) -> list[Name]:
        """Return what cannot be used again; of numbers the last ones say it."""
        return [*sorted(self.used), *self.last.items()]

    def switch(self, firm: str, *, is_disabled: bool) -> None:
        """Let a firm enter no orders, or let it again."""
        self.endpoint.keep_switch(self.user, firm, is_disabled)
        (self.disabled.add if is_disabled else self.disabled.discard)(firm)

    def leave(self) -> None:
        """End the user's presence at the venue; twice is harmless."""
        presence, self.presence = self.presence, None
        if presence is not None:
            presence.close()

    def firm(self, word: str) -> str:
        """Return the firm that a blank or another word means."""
        if word or self.settings is None or not self.settings.firms:
            return word
        return next(iter(self.settings.firms))

    def account(self, firm: str) -> str | None:
        """Return the account at the venue of a firm (see `firm`), None for one that is not his."""
        if self.settings is not None and self.settings.firms:
            return self.settings.firms.get(firm)
        if firm and self.endpoint.venue.opens_accounts:
            return firm
        accounts = self.endpoint.venue.accounts()
        return accounts[0] if accounts else firm or self.user

    def say(
        self,
        message: OuchMessage,
        order: Order | None = None,
        exec_id: str | None = None,
        meaning: str | None = None,
    ) -> None:
        """Tell the user something, unless somebody keeps it from him; for the rest see `Sent`."""
        overseer = self.endpoint.overseer
        if overseer is None or not overseer.sending(self, message):
            self._tell(Sent(message, self.stream, order, exec_id, meaning))

    def tell(self, message: OuchMessage) -> None:
        """Tell him something, through the faults."""
        self._tell(Sent(message, self.stream, None, None, None))

    def _tell(self, sent: Sent) -> None:
        faults = self.endpoint.faults
        if faults.is_quiet:
            self.deliver(sent)
        else:
            faults.pass_on(self, sent)

    def deliver(self, sent: Sent) -> None:
        """Tell him something, past the faults; what was meant for a stream that is over is on the tape alone."""
        if sent.stream.is_ended or sent.stream is not self.stream:
            self.endpoint.venue.tape.write("ouch_unsent", self.user, sent.name)
            return
        data = self.endpoint.codec.write(sent.message)
        self.endpoint.keep_told(self.user, data)
        self.stream.append(data)
        connection = self.connection
        if connection is not None:
            connection.flush()
            if self.endpoint.faults.counts_down():
                connection.drop()

    def ignore(self, message: str, name: Name | None, why: str) -> None:
        """Write down what the wire does not answer."""
        self.endpoint.venue.tape.write("ouch_ignored", self.user, message, name, why)
