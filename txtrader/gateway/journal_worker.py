"""The one thread that owns the journal's file."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

__all__ = ["Done", "JournalReactor", "Worker"]

Done = Callable[[Any, BaseException | None], None]


class JournalReactor(Protocol):
    """What the journal needs of a reactor: timers, and a way in for its thread."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[..., object], *args: object) -> IDelayedCall: ...

    def callFromThread(self, callable: Callable[..., object], *args: object) -> None: ...


class Worker:
    """Does one job at a time, in a thread of its own, and brings the result back to the reactor's."""

    def __init__(self, reactor: JournalReactor) -> None:
        self._reactor = reactor
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Done] | None] = queue.SimpleQueue()
        self.is_busy = False
        # A daemon: if the reactor stops without `close`, the process must still end; the log makes that harmless.
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def give(self, work: Callable[[], Any], done: Done) -> None:
        """Have `work()` done in the thread, then `done(result, error)` on the reactor."""
        assert not self.is_busy, "one job at a time"
        self.is_busy = True
        self._jobs.put((work, done))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = work()
            except BaseException as caught:  # noqa: BLE001  the reactor's side judges and logs it
                error = caught
            self._reactor.callFromThread(self._finished, done, result, error)

    def _finished(self, done: Done, result: Any, error: BaseException | None) -> None:
        self.is_busy = False
        done(result, error)

    def stop(self) -> None:
        """End the thread, which has no job."""
        self._jobs.put(None)
        self._thread.join()
