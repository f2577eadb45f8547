"""The events of one line connection: from the stream to the queue, in the form that the client asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import InternalError, TxTraderError
from txtrader.frontends.base import Shared
from txtrader.frontends.jsontext import encode
from txtrader.frontends.lines_events import event_line, numbered_line, sequenced_line
from txtrader.frontends.lines_legacy import legacy_event_line
from txtrader.frontends.lines_options import LineOptions, ResumePoint
from txtrader.frontends.lines_replies import Forms
from txtrader.frontends.text import error_text
from txtrader.gateway.session import Session
from txtrader.gateway.stream import Resumed, Snapshot, Subscription
from txtrader.model.event import DURABLE_CHANNELS, StatusEvent
from txtrader.model.times import iso
from txtrader.net.outbound import Outbound

__all__ = ["Feed"]


class Feed:
    """What the stream tells one client.  `open` after the login's answer, `close` at the end.

    `watches_time` makes it note when something was written, for the heartbeat; `on_broken(error)` is called when a
    resume cannot be completed.
    """

    __slots__ = (
        "_forms",
        "_on_broken",
        "_options",
        "_out",
        "_seen",
        "_sent",
        "_session",
        "_shared",
        "_stream",
        "_subscription",
        "last_out",
        "watches_time",
    )

    _log = Logger()

    def __init__(
        self,
        shared: Shared,
        session: Session,
        options: LineOptions,
        forms: Forms,
        outbound: Outbound,
        *,
        on_broken: Callable[[TxTraderError], object],
    ) -> None:
        self.watches_time = False
        self.last_out = 0.0
        self._shared = shared
        self._stream = shared.gateway.stream
        self._session = session
        self._options = options
        self._forms = forms
        self._out = outbound
        self._on_broken = on_broken
        self._subscription: Subscription | None = None
        self._sent: dict[str, StatusEvent] | None = None  # by channel: the last event that the socket has surely taken
        self._seen: dict[tuple[str, str | None], int] | None = None  # `n` of the last ephemeral event, with `sequence`

    def open(self) -> None:
        """Begin: tell the heads if sequence numbers are wanted, subscribe, resume, show states."""
        options = self._options
        if options.sequence:
            heads = {channel: self._stream.heads[channel].to_dict() for channel in self._durable()}
            self._write(b".sequences: " + encode(heads) + b"\n")
            self._out.respell = self._respell
        self._subscription = self._stream.subscribe(
            self._session,
            options.stream,
            self._sequenced if options.sequence else self._legacy if options.legacy else self._plain,
            follower=self,
        )
        for channel, point in options.resume.items():
            self.resume(channel, point)
        for channel in options.snapshot:
            if channel not in options.resume:
                answer = self._subscription.snapshot(channel)
                answer.addCallbacks(self._restored, self.lost)

    def update(self, options: LineOptions) -> None:
        """Want something else from now on."""
        if self._subscription is not None:
            self._subscription.update(options.stream)
        self._options = options

    def resume(self, channel: str, point: ResumePoint) -> None:
        """Go on after an event that the client has.  Raises InvalidArgument for a channel that is not subscribed."""
        assert self._subscription is not None
        answer = self._subscription.resume(channel, point.epoch, point.seq, point.tag)
        answer.addCallbacks(self._restored, self.lost)

    def close(self) -> None:
        """Tell nothing more."""
        if self._subscription is not None:
            self._subscription.close()

    def _durable(self) -> list[str]:
        return [channel for channel in DURABLE_CHANNELS if channel in self._options.channels]

    # --- answers to resume and snapshot ---------------------------------------------------------------------------

    def _restored(self, found: Resumed | Snapshot) -> None:
        if isinstance(found, Resumed):
            span = encode({"from": found.first, "to": found.last})
            self._write(f".resumed {found.channel}: ".encode("ascii") + span + b"\n")
            return
        if found.mismatch is not None:
            self._write(b".error " + error_text(found.mismatch).encode("ascii") + b"\n")
        shown = encode({"as_of": found.as_of.to_dict(), **found.data})
        self._write(f"{self._forms.mode}.snapshot.{found.channel}: ".encode("ascii") + shown + b"\n")

    def drained(self) -> Deferred[None]:
        """Wait until the client has read what is queued; asked by the stream."""
        return self._out.when_free()

    def lost(self, failure: Failure) -> None:
        """End the connection: events are missing that cannot be told."""
        error = failure.value
        if not isinstance(error, TxTraderError):
            self._log.failure("telling events", failure=failure)
            error = InternalError("the events cannot be told; connect again and resume")
        self._on_broken(error)

    # --- delivery: the hot path -----------------------------------------------------------------------------------

    def _plain(self, event: StatusEvent, prev: int | None) -> None:
        line = event.encoded("lines", event_line)
        if event.seq is None:
            self._out.write_latest((event.channel, event.symbol), line)
            if self.watches_time:
                self.last_out = self._shared.reactor.seconds()
        else:
            self._durable_line(event, line)

    def _legacy(self, event: StatusEvent, prev: int | None) -> None:
        line = event.encoded("lines.legacy", legacy_event_line)
        if not line:
            return  # 2015 did not know it
        if event.seq is None:
            self._out.write_latest((event.channel, event.symbol), line)
        else:
            self._durable_line(event, line)

    def _sequenced(self, event: StatusEvent, prev: int | None) -> None:
        if event.seq is not None:
            self._durable_line(event, sequenced_line(event, prev))
            return
        if self._seen is None:
            self._seen = {}
        place = (event.channel, event.symbol)
        n = event.n or 0
        dropped = n - self._seen.get(place, n - 1) - 1
        self._seen[place] = n
        self._out.write_latest(place, numbered_line(event, dropped), (event, dropped))
        if self.watches_time:
            self.last_out = self._shared.reactor.seconds()

    def unwanted(self, channel: str, symbol: str | None) -> None:
        """Count no longer what is missed of a symbol; told by the stream."""
        if self._seen is not None:
            self._seen.pop((channel, symbol), None)

    def _durable_line(self, event: StatusEvent, line: bytes) -> None:
        self._write(line)
        if not self._out.is_stalled and not self._out.queued:
            if self._sent is None:
                self._sent = {}
            self._sent[event.channel] = event

    def _write(self, line: bytes) -> None:
        self._out.write(line)
        if self.watches_time:
            self.last_out = self._shared.reactor.seconds()

    def _respell(self, source: Any, dropped: int) -> bytes:
        """Write an ephemeral event that stands for others before it, which were dropped from the queue."""
        event, before = source
        return numbered_line(event, before + dropped)

    # --- what is known of the client's place ----------------------------------------------------------------------

    def wrote(self) -> None:
        """Note that something was written to the client."""
        self.last_out = self._shared.reactor.seconds()

    def sent_places(self) -> dict[str, dict[str, Any]]:
        """Return the last event of each channel that the socket has surely taken: from here on a client resumes."""
        sent = self._sent or {}
        return {channel: {"epoch": event.epoch, "seq": event.seq, "tag": event.tag} for channel, event in sent.items()}

    def heartbeat(self) -> dict[str, Any]:
        """Return what a heartbeat says."""
        return {
            "time": iso(self._shared.now_ns()),
            "seqs": {channel: self._stream.heads[channel].seq for channel in self._durable()},
        }
