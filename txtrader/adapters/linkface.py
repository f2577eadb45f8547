"""What an adapter says of its link: one status, told to the gateway whenever it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from txtrader.gateway.adapter import AdapterSink, LinkState, LinkStatus
from txtrader.net.dial import Dialer

__all__ = ["LinkFace"]

_SECOND = 1_000_000_000


class LinkFace:
    """Keeps the status of a link and of the parts that the broker tells apart (`farms`), and tells it.

    `dialer` says how many attempts there were and when the next one is due; `seconds` is its clock.
    """

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        now_ns: Callable[[], int],
        seconds: Callable[[], float],
        dialer: Callable[[], Dialer],
    ) -> None:
        self._mode = mode
        self._sink = sink
        self._now_ns = now_ns
        self._seconds = seconds
        self._dialer = dialer
        self._farms: dict[str, tuple[str, str]] = {}
        self.status = LinkStatus(mode=mode, state=LinkState.STARTUP, since=now_ns())

    @property
    def why(self) -> str:
        """Why the link is as it is, for an error's text."""
        return self.status.reason or self.status.state.value

    def tell(self, state: LinkState, reason: str, **facts: Any) -> None:
        """Tell where the link stands; `session` and `login` stay what they were unless they are among the facts."""
        old = self.status
        dialer = self._dialer()
        due = dialer.next_attempt
        self.status = LinkStatus(
            mode=self._mode,
            state=state,
            session=facts.pop("session", old.session if state in (LinkState.CONNECTED, LinkState.STALE) else None),
            reason=reason,
            since=self._now_ns() if state is not old.state else old.since,
            attempts=dialer.attempts,
            next_attempt=None if due is None else self._now_ns() + int((due - self._seconds()) * _SECOND),
            login=facts.pop("login", old.login),
            farms=self._rows(),
            **facts,
        )
        self._sink.link_changed(self.status)

    def forget_farms(self) -> None:
        """Begin anew with the parts of the broker's side; nothing is told."""
        self._farms.clear()

    def note_farm(self, name: str, kind: str, state: str, *, unless: tuple[str, str] | None = None) -> bool:
        """Note the state of one part; tells whether it is news.  `unless` is what an unknown one counts as."""
        if self._farms.get(name, unless) == (kind, state):
            return False
        self._farms[name] = (kind, state)
        self.status = msgspec.structs.replace(self.status, farms=self._rows())
        return True

    def tell_again(self, *, resync: bool = False) -> None:
        """Tell the status as it is, with its farms; `resync` asks the gateway to reconcile."""
        self._sink.link_changed(msgspec.structs.replace(self.status, resync=resync, data_lost=False))

    def _rows(self) -> tuple[dict[str, str], ...]:
        return tuple({"name": name, "kind": kind, "state": state} for name, (kind, state) in self._farms.items())
