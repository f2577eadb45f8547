"""One subscriber: what it wants, how far it has been told, and how it catches up after an absence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import EpochMismatch, InternalError, InvalidArgument, JournalUnavailable
from txtrader.gateway.session import Session
from txtrader.gateway.stream_conflate import Conflator
from txtrader.gateway.stream_interest import Receiver
from txtrader.gateway.stream_records import Resumed, Snapshot, StreamOptions
from txtrader.gateway.tasks import spawn
from txtrader.model.event import StatusEvent

if TYPE_CHECKING:
    from txtrader.gateway.stream import EventStream
    from txtrader.gateway.stream_channel import DurableChannel

__all__ = ["Deliver", "Follower", "Subscription"]

Deliver = Callable[[StatusEvent, int | None], None]

_PAGE = 256  # events told at once to one who catches up


class Follower(Protocol):
    """What a subscriber may want to know and be asked, beside the events."""

    def drained(self) -> Deferred[None]:
        """Wait until there is room for more; awaited between the pages of a long resume."""

    def lost(self, failure: Failure) -> None:
        """Be told that a resume cannot be completed; the subscription is closed."""

    def unwanted(self, channel: str, symbol: str | None) -> None:
        """Be told that market data comes no longer: what others hear meanwhile, and counts in `n`, is not missed."""


class _Feed:
    """How far one channel has been told; live events wait while it is held, and are read back later."""

    __slots__ = ("is_held", "prev")

    def __init__(self, prev: int) -> None:
        self.prev = prev
        self.is_held = False


class Subscription:
    """Made by `EventStream.subscribe`; nothing is delivered after `close`."""

    __slots__ = (
        "_accounts",
        "_conflator",
        "_feeds",
        "_follower",
        "_has_failed",
        "_interests",
        "_stream",
        "deliver",
        "is_open",
        "options",
        "session",
    )

    _log = Logger()

    def __init__(
        self,
        stream: EventStream,
        session: Session,
        options: StreamOptions,
        deliver: Deliver,
        follower: Follower | None,
    ) -> None:
        self._stream = stream
        self.session = session
        self.options = options
        self.deliver = deliver
        self._follower = follower
        self._accounts: frozenset[str] | None = None
        self._feeds: dict[str, _Feed] = {}
        self._interests: dict[tuple[str, str | None], Receiver] = {}
        self._conflator: Conflator | None = None
        self._has_failed = False
        self.is_open = True

    # -- what it wants

    def open(self) -> None:
        """Begin to listen; called by the stream."""
        self.update(self.options)

    def update(self, options: StreamOptions) -> None:
        """Want something else from now on; a channel that is new begins with the next event."""
        if not self.is_open:
            return
        self.options = options
        mine, asked = self.session.user.accounts, options.accounts
        self._accounts = mine if asked is None else asked if mine is None else mine & asked
        for name, channel in self._stream.channels.items():
            if name in options.channels and name not in self._feeds:
                self._feeds[name] = _Feed(channel.head.seq)
                channel.add(self)
            elif name not in options.channels and name in self._feeds:
                del self._feeds[name]
                channel.discard(self)
        self._update_interests()

    def _update_interests(self) -> None:
        old_conflator = self._conflator
        if old_conflator is not None:
            old_conflator.close()
        interval = self.options.conflate / 1000
        self._conflator = (
            Conflator(self._pass, self.sees, self.complain, interval, self._stream.clock) if interval > 0 else None
        )
        old, wanted = self._interests, {pair: self._receiver(pair[0]) for pair in self._wanted()}
        self._interests = wanted
        for pair, receiver in wanted.items():  # first what is new, so that a symbol wanted throughout keeps its count
            if old.get(pair) is not receiver:
                self._stream.interests[pair[0]].add(pair[1], receiver)
        for pair, receiver in old.items():
            if wanted.get(pair) is not receiver:
                self._stream.interests[pair[0]].discard(pair[1], receiver)
            if pair not in wanted and self._follower is not None:
                self._follower.unwanted(*pair)

    def _wanted(self) -> list[tuple[str, str | None]]:
        symbols = self.options.symbols
        if symbols == "user":
            names = self._stream.symbols_of_user(self.session.user.name)
        elif symbols == "session":
            names = self._stream.symbols_of(self.session)
        else:
            names = set(symbols)
        wanted: list[tuple[str, str | None]] = []
        for channel in self._stream.interests:
            if channel in self.options.channels:
                wanted.extend([(channel, None)] if channel == "time" else [(channel, name) for name in sorted(names)])
        return wanted

    def _receiver(self, channel: str) -> Receiver:
        return self._conflator if channel == "quote" and self._conflator is not None else self

    def symbol_added(self, symbol: str, session: Session) -> None:
        """Be told that a session of this user has a new symbol; called by the stream."""
        if self.options.symbols == "user" or (self.options.symbols == "session" and session is self.session):
            for channel, index in self._stream.interests.items():
                pair = channel, symbol
                if channel != "time" and channel in self.options.channels and pair not in self._interests:
                    self._interests[pair] = receiver = self._receiver(channel)
                    index.add(symbol, receiver)

    def symbol_removed(self, symbol: str) -> None:
        """Be told that a session of this user has dropped a symbol; called by the stream."""
        if isinstance(self.options.symbols, str) and symbol not in (
            self._stream.symbols_of_user(self.session.user.name)
            if self.options.symbols == "user"
            else self._stream.symbols_of(self.session)
        ):
            for channel, index in self._stream.interests.items():
                receiver = self._interests.pop((channel, symbol), None)
                if receiver is not None:
                    index.discard(symbol, receiver)
                    if self._follower is not None:
                        self._follower.unwanted(channel, symbol)
            if self._conflator is not None:
                self._conflator.forget(symbol)

    def sees(self, account: str | None) -> bool:
        """Tell whether what concerns `account` is for this subscriber."""
        return account is None or self._accounts is None or account in self._accounts

    def close(self) -> None:
        """Want nothing any more; may be called twice, and from within a delivery."""
        if not self.is_open:
            return
        self.is_open = False
        self.deliver = _nobody
        for name in self._feeds:
            self._stream.channels[name].discard(self)
        self._feeds.clear()
        for (channel, symbol), receiver in self._interests.items():
            self._stream.interests[channel].discard(symbol, receiver)
        self._interests.clear()
        if self._conflator is not None:
            self._conflator.close()
        self._stream.unsubscribed(self)

    # -- what it is told

    def offer(self, event: StatusEvent) -> None:
        """Take the next event of a durable channel; called by the stream."""
        feed = self._feeds.get(event.channel)
        if feed is not None and not feed.is_held:
            self._give(feed, event)

    def _give(self, feed: _Feed, event: StatusEvent) -> None:
        if self.sees(event.account):
            prev, feed.prev = feed.prev, event.seq or 0
            try:
                self.deliver(event, prev)
            except Exception:  # noqa: BLE001  the others must get theirs; it is logged there
                self.complain()

    def _pass(self, event: StatusEvent) -> None:
        try:
            self.deliver(event, None)
        except Exception:  # noqa: BLE001  called by a timer, for one symbol of many; it is logged there
            self.complain()

    def complain(self) -> None:
        """Log the exception being handled, once for this subscriber."""
        if not self._has_failed:
            self._has_failed = True
            self._log.failure("subscriber {session} failed; further failures are not logged", session=self.session)

    # -- coming back

    def snapshot(self, channel: str) -> Deferred[Snapshot]:
        """Get the state of a channel; fires between the events before `as_of` and those after it.

        Fails with InvalidArgument for a channel without state or not subscribed.
        """
        self._feed(channel)
        return self._stream.cut(channel, self.session.user, self._accounts)

    def resume(self, channel: str, epoch: str, seq: int, tag: str) -> Deferred[Resumed | Snapshot]:
        """Go on after the event (epoch, seq, tag); never fires in the turn of the call.

        Fires with Resumed, and the events after `seq` follow without a gap or a repeat; or with a Snapshot, and the
        events after its `as_of` follow: when the point is too old, or, with `mismatch` set, when it is of another
        epoch, beyond the head or has another tag.  Live events wait from now until then.  Raises InvalidArgument
        for a channel not subscribed; fails with JournalUnavailable.
        """
        self._feed(channel)
        feed = self._feeds[channel] = _Feed(seq)
        feed.is_held = True
        answer: Deferred[Resumed | Snapshot] = Deferred()
        self._stream.clock.callLater(
            0, lambda: spawn(self._resume(channel, feed, epoch, seq, tag, answer), self._log, f"resuming {channel}")
        )
        return answer

    def _feed(self, channel: str) -> _Feed:
        feed = self._feeds.get(channel)
        if feed is None:
            raise InvalidArgument(f"channel {channel} is not subscribed or not durable", path="channel")
        return feed

    def _is_current(self, channel: str, feed: _Feed) -> bool:
        """Tell whether the feed is still the one in use: not closed, dropped or resumed anew."""
        return self._feeds.get(channel) is feed

    async def _resume(
        self, channel: str, feed: _Feed, epoch: str, seq: int, tag: str, answer: Deferred[Resumed | Snapshot]
    ) -> None:
        state = self._stream.channels[channel]
        let_go = self._stream.journal.hold_events()
        try:
            try:
                mismatch = await self._mismatch(state, epoch, seq, tag)
                is_old = mismatch is None and seq < self._stream.journal.base(channel).seq
                if mismatch is not None or is_old:
                    snapshot = await self._stream.cut(channel, self.session.user, self._accounts)
                    feed.prev = snapshot.as_of.seq
                    feed.is_held = False
                    answer.callback(
                        Snapshot(channel=channel, as_of=snapshot.as_of, data=snapshot.data, mismatch=mismatch)
                    )
                    return
            except (JournalUnavailable, InternalError) as error:
                answer.errback(error)
                return
            answer.callback(Resumed(channel=channel, first=seq + 1, last=state.head.seq))
            try:
                await self._catch_up(state, feed, seq)
            except (JournalUnavailable, InternalError):
                self._break(Failure())
        finally:
            let_go()

    async def _mismatch(self, state: DurableChannel, epoch: str, seq: int, tag: str) -> EpochMismatch | None:
        """Say what is wrong with a resume point; a point that is too old cannot be judged and passes."""
        head, base = state.head, self._stream.journal.base(state.name)
        if epoch != head.epoch:
            return EpochMismatch(f"the journal is of epoch {head.epoch}", reason="epoch")
        if seq > head.seq:
            return EpochMismatch(f"channel {state.name} has come to {head.seq} only", reason="seq")
        if seq < base.seq:
            return None
        if seq in (head.seq, base.seq):
            known = head.tag if seq == head.seq else base.tag
        else:
            in_memory = state.tag_at(seq)
            known = in_memory or (await self._read(state, seq - 1, 1))[0].tag or ""
        return None if tag == known else EpochMismatch(f"event {seq} is not the one that was told", reason="tag")

    async def _read(self, state: DurableChannel, after: int, limit: int) -> list[StatusEvent]:
        events = await self._stream.journal.read_events(state.name, after, limit)
        if not events or events[-1].seq != after + len(events):  # they rise, so this says that all are there
            raise InternalError(f"events after {after} of channel {state.name} are missing")
        return events

    async def _catch_up(self, state: DurableChannel, feed: _Feed, position: int) -> None:
        """Tell the events after `position`; live ones follow in the turn in which none is left."""
        while self._is_current(state.name, feed):
            if position == state.head.seq:
                feed.is_held = False
                return
            if state.remembers(position):
                events = state.after(position, _PAGE)
            else:
                events = await self._read(state, position, _PAGE)
            for event in events:
                if not self._is_current(state.name, feed):
                    return
                self._give(feed, event)
                position += 1
            if self._follower is not None and len(events) == _PAGE:
                await self._follower.drained()

    def _break(self, failure: Failure) -> None:
        """Close, because events are missing that cannot be told."""
        follower = self._follower
        self._log.warn("{session}: {reason}", session=self.session, reason=failure.getErrorMessage())
        self.close()
        if follower is not None:
            follower.lost(failure)


def _nobody(event: StatusEvent, prev: int | None) -> None:
    """Take what comes after the end."""
