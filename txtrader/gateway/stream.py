"""The event stream: everything that the gateway tells, to everyone who may hear it.

Durable channels go through the journal: an event is told when it is on the disk, in the sequence of its seq, and
whoever was away can resume.  The other channels are plain calls: a tick goes at once to those who want its symbol,
and a symbol that nobody wants costs one look into a dict.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import InternalError
from txtrader.gateway.journal import Journal
from txtrader.gateway.journal_records import Head, JournalItem, KeyRecord
from txtrader.gateway.session import Session, User
from txtrader.gateway.stream_channel import DurableChannel
from txtrader.gateway.stream_interest import Interest, InterestIndex
from txtrader.gateway.stream_records import Resumed, Snapshot, StreamOptions
from txtrader.gateway.stream_subscription import Deliver, Follower, Subscription
from txtrader.model.event import CHANNELS, DURABLE_CHANNELS, StatusEvent
from txtrader.model.execution import Execution
from txtrader.model.order import Order

T = TypeVar("T")

__all__ = ["EventStream", "Head", "Resumed", "Snapshot", "StreamOptions", "Subscription"]


class _Transaction:
    """What was published inside one `transaction`, and who waits for it."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.executions: list[Execution] = []
        self.keys: list[KeyRecord] = []
        self.events: list[StatusEvent] = []
        self.meta: dict[str, str] = {}
        self.is_intent = False
        self.waiting: list[Callable[[Failure | None], None]] = []

    def take(
        self,
        orders: tuple[Order, ...],
        executions: tuple[Execution, ...],
        keys: tuple[KeyRecord, ...],
        meta: Mapping[str, str] | None,
        is_intent: bool,
    ) -> None:
        self.orders.extend(orders)
        self.executions.extend(executions)
        self.keys.extend(keys)
        self.meta.update(meta or {})
        self.is_intent |= is_intent

    def item(self) -> JournalItem:
        return JournalItem(
            orders=tuple(self.orders),
            executions=tuple(self.executions),
            keys=tuple(self.keys),
            events=tuple(self.events),
            meta=self.meta,
            is_intent=self.is_intent,
        )

    def wait(self, result: T) -> Deferred[T]:
        """Return a Deferred that fires with `result` when the transaction is durable, and fails with it."""
        deferred: Deferred[T] = Deferred()
        self.waiting.append(lambda failure: deferred.callback(result) if failure is None else deferred.errback(failure))
        return deferred

    def end(self, failure: Failure | None) -> None:
        for tell in self.waiting:
            tell(failure)


class EventStream:
    """One stream for the whole gateway.

    `heads` are the last events told, by durable channel: a subscriber that subscribes now gets what follows them.
    """

    _log = Logger()

    def __init__(self, journal: Journal, *, clock: IReactorTime, now_ns: Callable[[], int] | None = None) -> None:
        """Tell what `journal` makes durable; `clock` times conflation and the start of a resume."""
        self.journal = journal
        self.clock = clock
        self.heads: dict[str, Head] = dict(journal.heads)
        self.channels = {channel: DurableChannel(channel, self.heads) for channel in DURABLE_CHANNELS}
        self.interests = {channel: InterestIndex() for channel in CHANNELS if channel not in DURABLE_CHANNELS}
        self.refusals = 0  # publishes that failed: what was cut before them may show what never happened
        self._snapshots: dict[str, Callable[[User], Any]] = {}
        self._subscriptions: dict[Session, tuple[Subscription, ...]] = {}
        self._symbols: dict[Session, set[str]] = {}
        self._of_user: dict[str, dict[Session, None]] = {}
        self._transaction: _Transaction | None = None
        self._is_delivering = False
        self._later: deque[StatusEvent] = deque()
        journal.set_listener(self._tell)

    # -- publishing

    def publish(
        self,
        type: str,
        channel: str,
        mode: str,
        data: Mapping[str, Any],
        *,
        key: str | None = None,
        account: str | None = None,
        symbol: str | None = None,
        orders: tuple[Order, ...] = (),
        executions: tuple[Execution, ...] = (),
        keys: tuple[KeyRecord, ...] = (),
        meta: Mapping[str, str] | None = None,
        is_intent: bool = False,
    ) -> Deferred[StatusEvent]:
        """Journal an event of a durable channel together with the records it tells of, then tell it.

        The Deferred fires with the event when it is durable and has been told; it fails as `Journal.append` does.
        The event has its seq by then, not before.  The state that the event tells of must be in the gateway's books
        when this is called: snapshots are cut between publishes.
        """
        event = StatusEvent(type, channel, mode, data, key=key, account=account, symbol=symbol)
        with self._joining() as group:
            group.take(orders, executions, keys, meta, is_intent)
            group.events.append(event)
            return group.wait(event)

    def record(
        self,
        *,
        orders: tuple[Order, ...] = (),
        executions: tuple[Execution, ...] = (),
        keys: tuple[KeyRecord, ...] = (),
        meta: Mapping[str, str] | None = None,
        is_intent: bool = False,
    ) -> Deferred[None]:
        """Journal records about which nobody need be told; otherwise as `publish`."""
        with self._joining() as group:
            group.take(orders, executions, keys, meta, is_intent)
            return group.wait(None)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all that is published inside durable together or not at all; an inner one joins the outer one.

        It is an intent if any part of it is one.  If the body raises, nothing of it is kept.
        """
        with self._joining():
            yield

    @contextmanager
    def _joining(self) -> Iterator[_Transaction]:
        if self._transaction is not None:
            yield self._transaction
            return
        group = self._transaction = _Transaction()
        try:
            yield group
        except BaseException as error:
            self._transaction = None
            group.end(Failure(InternalError(f"the transaction failed: {error}")))
            raise
        self._transaction = None
        if group.waiting:
            self.journal.append(group.item()).addCallbacks(
                lambda _: group.end(None), self._refused, errbackArgs=(group,)
            )

    def _refused(self, failure: Failure, group: _Transaction) -> None:
        self.refusals += 1
        group.end(failure)

    def _tell(self, event: StatusEvent) -> None:
        """Be told by the journal that an event is durable."""
        for subscription in self.channels[event.channel].advance(event):
            subscription.offer(event)

    def is_wanted(self, channel: str, symbol: str | None) -> bool:
        """Tell whether anybody wants this symbol's events of an ephemeral channel: else nobody need build them."""
        return symbol in self.interests[channel]

    def publish_ephemeral(
        self,
        type: str,
        channel: str,
        mode: str,
        data: Mapping[str, Any],
        *,
        key: str | None = None,
        account: str | None = None,
        symbol: str | None = None,
    ) -> None:
        """Tell those who want it, now.  What a subscriber publishes meanwhile comes after it, for everybody."""
        interest = self.interests[channel].get(symbol)
        if interest is None:
            return
        event = StatusEvent(type, channel, mode, data, key=key, account=account, symbol=symbol)
        event.n = interest.n = interest.n + 1
        if self._is_delivering:
            self._later.append(event)
            return
        self._is_delivering = True
        self._deliver(event, interest)
        while self._later:
            later = self._later.popleft()
            wanted = self.interests[later.channel].get(later.symbol)
            if wanted is not None:
                self._deliver(later, wanted)
        self._is_delivering = False

    def _deliver(self, event: StatusEvent, interest: Interest) -> None:
        receivers = interest.receivers or interest.current()
        if event.account is not None:
            receivers = tuple(receiver for receiver in receivers if receiver.sees(event.account))
        for receiver in receivers:
            try:
                receiver.deliver(event, None)
            except Exception:  # noqa: BLE001  one subscriber's bug must not reach the others; it is logged there
                receiver.complain()

    # -- subscribing

    def subscribe(
        self,
        session: Session,
        options: StreamOptions,
        deliver: Deliver,
        follower: Follower | None = None,
    ) -> Subscription:
        """Tell `deliver(event, prev)` everything of `options` that the session's user may see, from now on.

        `prev` is the seq of the channel's event before it that this subscription was to get; None for ephemeral
        ones.  `follower` is told when a resume cannot be completed, and the like; see there.
        """
        subscription = Subscription(self, session, options, deliver, follower)
        self._know(session, session.symbols if session.has_symbols else ())
        self._subscriptions[session] = (*self._subscriptions.get(session, ()), subscription)
        subscription.open()
        return subscription

    def unsubscribed(self, subscription: Subscription) -> None:
        """Forget a closed subscription; called by `Subscription.close`."""
        session = subscription.session
        others = tuple(each for each in self._subscriptions.get(session, ()) if each is not subscription)
        if others:
            self._subscriptions[session] = others
        else:
            self._subscriptions.pop(session, None)
            self._forget_if_idle(session)

    def session_closed(self, session: Session) -> None:
        """Close what a session subscribed and forget its symbols; may be called twice."""
        for subscription in self._subscriptions.get(session, ()):
            subscription.close()
        for symbol in list(self._symbols.get(session, ())):
            self.symbol_removed(session, symbol)

    def symbol_added(self, session: Session, symbol: str) -> None:
        """Be told that a session now has a symbol: its market data goes to it, and to its user's other sessions."""
        self._know(session, (symbol,))

    def _know(self, session: Session, symbols: set[str] | tuple[str, ...]) -> None:
        self._of_user.setdefault(session.user.name, {})[session] = None
        for symbol in symbols:
            known = self._symbols.setdefault(session, set())
            if symbol not in known:
                known.add(symbol)
                for subscription in self._listeners(session):
                    subscription.symbol_added(symbol, session)

    def symbol_removed(self, session: Session, symbol: str) -> None:
        """Be told that a session no longer has a symbol."""
        known = self._symbols.get(session, set())
        if symbol in known:
            known.remove(symbol)
            for subscription in self._listeners(session):
                subscription.symbol_removed(symbol)
        self._forget_if_idle(session)

    def _listeners(self, session: Session) -> list[Subscription]:
        sessions = self._of_user.get(session.user.name, {})
        return [subscription for each in sessions for subscription in self._subscriptions.get(each, ())]

    def _forget_if_idle(self, session: Session) -> None:
        if session in self._subscriptions or self._symbols.get(session):
            return
        self._symbols.pop(session, None)
        of_user = self._of_user.get(session.user.name, {})
        of_user.pop(session, None)
        if not of_user:
            self._of_user.pop(session.user.name, None)

    def symbols_of(self, session: Session) -> set[str]:
        """The symbols of one session."""
        return set(self._symbols.get(session, ()))

    def symbols_of_user(self, name: str) -> set[str]:
        """The symbols of all sessions of a user."""
        return {symbol for session in self._of_user.get(name, ()) for symbol in self._symbols.get(session, ())}

    # -- snapshots

    def set_snapshot(self, channel: str, build: Callable[[User], Any]) -> None:
        """Say how the state of a durable channel is built, as builtins, for what `user` may see.

        The state must be that after everything published so far, durable or not.
        """
        self._snapshots[channel] = build

    def cut(self, channel: str, user: User, accounts: frozenset[str] | None) -> Deferred[Snapshot]:
        """Build the state of a channel now; fires with it when everything published so far is durable.

        In the turn in which it fires, `as_of` is the channel's head.  Fails with InternalError where nobody said how
        to build it.
        """
        assert self._transaction is None, "a snapshot is cut between transactions"
        answer: Deferred[Snapshot] = Deferred()
        build = self._snapshots.get(channel)
        if build is None:
            answer.errback(InternalError(f"channel {channel} has no snapshot"))
            return answer
        viewer = msgspec.structs.replace(user, accounts=accounts)

        def cut() -> None:
            try:
                data = build(viewer)
            except Exception as error:  # noqa: BLE001  the asker is told, the log has the traceback
                self._log.failure("the snapshot of {channel} cannot be built", channel=channel)
                answer.errback(InternalError(f"the snapshot of {channel} cannot be built: {error}"))
                return
            refusals = self.refusals

            def durable(_: None) -> None:
                if self.refusals != refusals:  # something in it was refused and never happened
                    cut()
                else:
                    answer.callback(Snapshot(channel=channel, as_of=self.heads[channel], data=data))

            self.journal.barrier().addCallbacks(durable, answer.errback)

        cut()
        return answer
