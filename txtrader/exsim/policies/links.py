"""Faults of one connection below its messages: cut, frozen, silent, in crumbs, in lumps, late, with nonsense between.

    session -> pump -> BentOutbound -> the endpoint's bounded queue -> socket

The queue is replaced when the first such fault is asked for, so that a connection without faults pays nothing.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall

if TYPE_CHECKING:
    from txtrader.exsim.policies.faces import Face

__all__ = ["BentOutbound", "Link"]


class BentOutbound:
    """Takes the place of an `Outbound`, which it writes to; what it does not bend is the other's.

    What is held back leaves in its sequence, whichever of the faults held it.
    """

    def __init__(self, link: Link, outbound: Any) -> None:
        self._link = link
        self._outbound = outbound
        self._crumbs: deque[bytes] = deque()
        self._crumb_timer: IDelayedCall | None = None
        self._lump: list[bytes] = []
        self._lump_timer: IDelayedCall | None = None
        self._late: deque[tuple[IDelayedCall, bytes]] = deque()
        self._is_lost = False
        self.is_mute = False
        self.messages_left: int | None = None
        self.bytes_left: int | None = None
        self.is_cut_in_the_middle = False
        self.how = "rst"
        self.nonsense: deque[bytes] = deque()
        self.crumbs: tuple[float, int] | None = None
        self.lump: tuple[int, float] | None = None
        self.lag = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbound, name)

    # -- writing

    def write(self, data: bytes) -> None:
        """Send what the faults leave of `data`."""
        for frame in self._link.face.frames(data):
            if self.is_mute or self._is_lost:
                return
            self._count(self.nonsense.popleft() + frame if self.nonsense else frame)

    def write_latest(self, key: Any, data: bytes, source: Any = None) -> None:
        """Send market data; behind a fault nothing is replaced by what comes later."""
        self.write(data)

    def _count(self, frame: bytes) -> None:
        """Send a message, or the part of it that is left before the cut."""
        size = len(frame)
        is_last = False
        if self.messages_left is not None:
            self.messages_left -= 1
            is_last = self.messages_left == 0
            if is_last and self.is_cut_in_the_middle:
                size //= 2
        if self.bytes_left is not None:
            size = min(size, self.bytes_left)
            self.bytes_left -= size
            is_last = is_last or self.bytes_left == 0
        self._send(frame[:size])
        if is_last:
            self.messages_left = self.bytes_left = None
            self._hand_over()
            self.is_mute = True  # what is still under way to here does not follow a message that was cut
            self._link.cut(self.how)

    def _send(self, data: bytes) -> None:
        if self.lag:
            timer = self._link.clock.callLater(self.lag, self._come_late)
            self._late.append((timer, data))
        else:
            self._lump_up(data)

    def _come_late(self) -> None:
        self._lump_up(self._late.popleft()[1])

    def _lump_up(self, data: bytes) -> None:
        if self.lump is None:
            self._crumble(data)
            return
        count, seconds = self.lump
        self._lump.append(data)
        if len(self._lump) >= count:
            self._let_lump_go()
        elif self._lump_timer is None:
            self._lump_timer = self._link.clock.callLater(seconds, self._let_lump_go)

    def _let_lump_go(self) -> None:
        timer, self._lump_timer = self._lump_timer, None
        if timer is not None and timer.active():
            timer.cancel()
        lump, self._lump = self._lump, []
        if lump:
            self._crumble(b"".join(lump))

    def _crumble(self, data: bytes) -> None:
        if self.crumbs is None:
            self._outbound.write(data)
            return
        size = self.crumbs[1]
        self._crumbs.extend(data[start : start + size] for start in range(0, len(data), size))
        if self._crumb_timer is None:
            self._let_crumb_go()

    def _let_crumb_go(self) -> None:
        self._crumb_timer = None
        if self._crumbs and not self._is_lost:
            self._outbound.write(self._crumbs.popleft())
            self._outbound.flush()
            assert self.crumbs is not None
            if self._crumbs:
                self._crumb_timer = self._link.clock.callLater(self.crumbs[0], self._let_crumb_go)

    # -- the end

    def _hand_over(self) -> None:
        """Let everything go that is held back, in its sequence."""
        while self._late:
            timer, data = self._late.popleft()
            timer.cancel()
            self._lump_up(data)
        self._let_lump_go()
        if self._crumbs:
            self._outbound.write(b"".join(self._crumbs))
            self._crumbs.clear()
        self._outbound.flush()

    def close(self) -> None:
        """Send what is held back, then close; a mute one ends without a word."""
        if not self.is_mute:
            self._hand_over()
        self._outbound.close()

    def lost(self) -> None:
        """Forget everything: the connection is gone."""
        self._is_lost = True
        for timer in (self._crumb_timer, self._lump_timer, *(timer for timer, _ in self._late)):
            if timer is not None and timer.active():
                timer.cancel()
        self._crumbs.clear()
        self._lump.clear()
        self._late.clear()
        self._link.thaw_no_more()
        self._outbound.lost()


class Link:
    """One connection of an endpoint, for faults below its messages."""

    def __init__(self, face: Face, connection: Any) -> None:
        self.face = face
        self.clock = face.clock
        self.connection = connection
        self._bent: BentOutbound | None = None
        self._thaw: IDelayedCall | None = None

    @property
    def bent(self) -> BentOutbound:
        """What the connection's bytes go through, from now on."""
        if self._bent is None:
            self._bent = BentOutbound(self, self.connection.pump.outbound)
            self.face.put_outbound(self.connection, self._bent)
        return self._bent

    # -- what policies do

    def drop(self, how: str, after_messages: int | None, after_bytes: int | None, mid_message: bool) -> None:
        """End the connection now, or once so much more has left."""
        if after_messages is None and after_bytes is None and not mid_message:
            self.end(how)
            return
        self.connection.pump.push()  # what was said before is not among what is counted
        bent = self.bent

        def count() -> None:
            bent.how = how
            bent.is_cut_in_the_middle = mid_message
            bent.messages_left = 1 if mid_message and after_messages is None and after_bytes is None else after_messages
            bent.bytes_left = after_bytes

        self.connection.pump.behind(count)

    def end(self, how: str) -> None:
        """End the connection after what was said: with a reset, in order, or only our direction of it."""
        self.connection.pump.push()
        outbound = self.connection.pump.outbound
        if outbound is not None:
            outbound.flush()
        if how == "fin":
            self.connection.pump.close()
        else:
            self.connection.pump.behind(partial(self.cut, how))

    def cut(self, how: str) -> None:
        """End the connection here and now."""
        if how == "rst":
            self.connection.drop()
        elif how == "fin":
            self.bent.close()
        else:
            self.bent.is_mute = True
            self.face.half_close(self.connection)

    def half_open(self) -> None:
        """Say and hear nothing any more, as a peer that has vanished."""
        self.bent.is_mute = True
        self.connection.pump.pause(keeps_time=True)

    def freeze(self, seconds: float) -> None:
        """Read nothing, for a while or for ever (0)."""
        self.bent  # noqa: B018  it hears when the connection is gone
        self.connection.pump.pause(keeps_time=True)
        self.thaw_no_more()
        if seconds:
            self._thaw = self.clock.callLater(seconds, self.connection.pump.resume)

    def thaw_no_more(self) -> None:
        """Forget that a frozen connection was to be read again."""
        if self._thaw is not None and self._thaw.active():
            self._thaw.cancel()
        self._thaw = None

    def trickle(self, every: float, size: int) -> None:
        """Let everything leave in pieces of `size` bytes."""
        self.bent.crumbs = (every, size)

    def merge(self, count: int, seconds: float) -> None:
        """Let messages leave together."""
        self.bent.lump = (count, seconds)

    def delay(self, seconds: float) -> None:
        """Let everything leave later."""
        self.bent.lag = seconds

    def garbage(self, data: bytes, count: int) -> None:
        """Say nonsense before each of the next messages."""
        self.bent.nonsense.extend([data] * count)
