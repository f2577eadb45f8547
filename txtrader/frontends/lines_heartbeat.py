"""The heartbeat of one line connection: a word from us after silence, a close after twice as much of the client's."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.frontends.lines_feed import Feed
from txtrader.wire.line import LineSession

__all__ = ["Heartbeat"]

_LEAST = 0.01  # seconds between two looks


class Heartbeat:
    """Watches both directions; blank lines, which `lines` keeps to itself, are a sign of life, too.

    `beat()` sends a heartbeat, `too_silent(seconds)` is called once the client is gone."""

    def __init__(
        self,
        clock: IReactorTime,
        feed: Feed,
        lines: LineSession,
        beat: Callable[[], None],
        too_silent: Callable[[float], None],
    ) -> None:
        self._clock = clock
        self._feed = feed
        self._lines = lines
        self._blanks = 0
        self._beat = beat
        self._too_silent = too_silent
        self._interval = 0.0
        self._last_in = 0.0
        self._timer: IDelayedCall | None = None

    def set(self, interval: float) -> None:
        """Beat after `interval` seconds of silence from now on; 0 ends it."""
        self.stop()
        self._interval = interval
        self._feed.watches_time = interval > 0
        if interval:
            self.heard()
            self._feed.wrote()
            self._timer = self._clock.callLater(interval, self._look)

    def heard(self) -> None:
        """Note that the client said something."""
        if self._interval:
            self._last_in = self._clock.seconds()

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _look(self) -> None:
        interval = self._interval
        now = self._clock.seconds()
        if self._blanks != self._lines.blanks:
            self._blanks = self._lines.blanks
            self._last_in = now
        if now - self._last_in >= 2 * interval:
            self._timer = None
            self._too_silent(2 * interval)
            return
        if now - self._feed.last_out >= interval:
            self._beat()
            self._feed.wrote()
        due = min(self._feed.last_out + interval, self._last_in + 2 * interval)
        self._timer = self._clock.callLater(max(_LEAST, due - now), self._look)
