"""The journal: what is in it has happened, and survives.

One thread owns the file once the journal is started.  What the reactor appends waits in a queue; while the thread
writes one group, the next one gathers, so that one sync serves all who wait for it.  Events get their seq and tag
when their group is formed, and are told to the listener in that sequence, after the commit.

Three things may go wrong.  The disk refuses writes: intents fail, facts are kept and written again each second, in
their sequence.  A sync fails: nobody knows what is on the disk, so the handle is given up and the process must end
(`on_fatal`).  The file is not what it was: see `journal_store`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import IdempotencyKeyReuse, InternalError, JournalUnavailable, TxTraderError
from txtrader.gateway.journal_codec import decode_event
from txtrader.gateway.journal_entry import Entry, form_batch
from txtrader.gateway.journal_errors import KeyBound, SyncFailed, WriteFailed
from txtrader.gateway.journal_records import Head, JournalItem, JournalState, KeyRecord, Retention
from txtrader.gateway.journal_rows import Batch
from txtrader.gateway.journal_schema import SEQ_BITS
from txtrader.gateway.journal_stamp import OrderIds
from txtrader.gateway.journal_store import JournalStore
from txtrader.gateway.journal_worker import Done, JournalReactor, Worker
from txtrader.model.event import StatusEvent

__all__ = ["Head", "Journal", "JournalItem", "JournalReactor", "JournalState", "KeyRecord", "Retention"]

_RETRY = 1.0  # seconds between attempts while the disk refuses writes
_PRUNE = 600.0  # seconds between rounds of forgetting
_QUIET = 1.0  # seconds without a write in which a checkpoint disturbs nobody
_GROUP = 512  # the most items of one transaction, so that the first of them does not wait for ever
_PAGE = 1_000  # the most events of one read
_LAST_SEQ = (1 << SEQ_BITS) - 1


class Journal:
    """The gateway's journal.  Every method is called on the reactor's thread.

    `on_change(is_available)` is called when the journal becomes unable to write, and when it can again;
    `on_fatal(reason)` once, when the process must end.
    """

    _log = Logger()

    def __init__(
        self,
        store: JournalStore,
        *,
        now_ns: Callable[[], int],
        retention: Retention,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._now_ns = now_ns
        self._retention = retention
        self._reactor: JournalReactor | None = None
        self._worker: Worker | None = None
        self._queue: deque[Entry] = deque()
        self._reads: deque[tuple[str, int, int, Deferred[list[StatusEvent]]]] = deque()
        self._is_telling = False  # a commit is being told: what is appended meanwhile goes as one group
        self._reads_next = False  # readers and writers take turns
        self._solo = 0  # how many entries go one by one, to find the one that cannot be written
        self._prune_due = False
        self._retry_due = False
        self._is_trusted = False  # a probe went well: the facts that wait may be written
        self._holds = 0
        self._retry_call: IDelayedCall | None = None
        self._prune_call: IDelayedCall | None = None
        self._quiet_call: IDelayedCall | None = None
        self._written_at = 0.0
        self._closing: list[Deferred[None]] | None = None
        self._is_closed = False
        self._fatal: str | None = None
        self._listener: Callable[[StatusEvent], None] | None = None
        self._ids = OrderIds(store.stamp, now_ns=now_ns, random_bytes=random_bytes)
        self.is_available = True
        self.on_change: Callable[[bool], None] | None = None
        self.on_fatal: Callable[[str], None] | None = None
        self.heads: dict[str, Head] = dict(store.heads)
        self._digests: dict[str, bytes] = dict(store.digests)

    @classmethod
    def open(
        cls,
        path: str,
        *,
        now_ns: Callable[[], int],
        retention: Retention | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> Journal:
        """Open or make the journal `path`, prove it and take its lock.

        Raises ConfigError: it is in use (the holder is named), of a newer version, damaged beyond the log's end, or
        cannot be written.
        """
        store = JournalStore(path, now_ns=now_ns, random_bytes=random_bytes)
        return cls(store, now_ns=now_ns, retention=retention or Retention(), random_bytes=random_bytes)

    # -- what it knows

    @property
    def path(self) -> str:
        return self._store.path

    @property
    def epoch(self) -> str:
        """The lineage of the events: a new one begins when a journal turns out to have lost some."""
        return self._store.epoch

    @property
    def recovered(self) -> str | None:
        """Why opening began a new epoch, None if it did not: an operator should hear of it."""
        return self._store.recovered

    def base(self, channel: str) -> Head:
        """The oldest point from which the channel can be read on."""
        return self._store.bases[channel]

    def load(self) -> JournalState:
        """Read everything, blocking, before `start`; raises ConfigError for a damaged record."""
        assert self._worker is None, "load comes before start"
        return self._store.load()

    def next_order_id(self) -> str:
        """Give out an order id, `TX-<stamp>-<6 digits>`, that was never given out and never will be again."""
        return self._ids.next()

    def set_listener(self, listener: Callable[[StatusEvent], None]) -> None:
        """Tell every event to `listener` when it is durable, in seq order, before its Deferred fires."""
        self._listener = listener

    # -- starting and ending

    def start(self, reactor: JournalReactor) -> None:
        """Hand the file to its thread."""
        assert self._worker is None, "a journal is started once"
        self._reactor = reactor
        self._worker = Worker(reactor)
        self._prune_call = reactor.callLater(0, self._prune_later)
        self._next_job()

    def close(self) -> Deferred[None]:
        """Write what waits, fold the log in, close the file, give the lock back."""
        done: Deferred[None] = Deferred()
        if self._is_closed or self._fatal is not None:
            return succeed(None)
        if self._closing is not None:
            self._closing.append(done)
            return done
        self._closing = [done]
        if self._worker is None:
            self._finish_closing(None, self._try(self._store.close))
            return done
        if self._retry_call is not None:  # one last time
            self._retry_call.cancel()
            self._retry()
        else:
            self._next_job()
        return done

    @staticmethod
    def _try(job: Callable[[], None]) -> BaseException | None:
        try:
            job()
        except (WriteFailed, SyncFailed) as error:
            return error
        return None

    def _finish_closing(self, _: None, error: BaseException | None) -> None:
        self._is_closed = True
        if error is not None:
            self._log.error("journal {path} was not closed cleanly: {error}", path=self.path, error=str(error))
        if self._worker is not None:
            self._worker.stop()
        self._cancel_calls()
        self._fail_all(JournalUnavailable("the journal is closed"))
        waiting, self._closing = self._closing or [], None
        for done in waiting:
            done.callback(None)

    def _cancel_calls(self) -> None:
        for call in (self._retry_call, self._prune_call, self._quiet_call):
            if call is not None and call.active():
                call.cancel()
        self._retry_call = self._prune_call = self._quiet_call = None

    # -- asking

    def append(self, item: JournalItem) -> Deferred[None]:
        """Make an item durable, after those appended before it.

        The Deferred fires after the commit, when the listener has been told the item's events.  It fails with
        JournalUnavailable (an intent while the disk refuses writes; anything once the journal is closed or lost),
        with IdempotencyKeyReuse when a key is bound to another order, with InternalError when the item cannot be
        encoded: nothing of the item is durable then.
        """
        refused = self._refusal(item.is_intent)
        if refused is not None:
            return fail(refused)
        try:
            entry = Entry(item, self._now_ns())
        except (TypeError, ValueError, OverflowError) as error:  # a bug of ours: say so once, and refuse the item
            self._log.failure("an item cannot be journaled")
            return fail(InternalError(f"cannot be journaled: {error}"))
        self._queue.append(entry)
        self._next_job()
        return entry.deferred

    def barrier(self) -> Deferred[None]:
        """Fire when everything appended so far is durable and told."""
        return self.append(JournalItem())

    def read_events(self, channel: str, after: int, limit: int) -> Deferred[list[StatusEvent]]:
        """Read up to `limit` (at most 1000) events of the present epoch that follow seq `after`, in seq order.

        Older ones than `base(channel)` are gone.  Fails with JournalUnavailable.
        """
        if self._fatal is not None or self._is_closed:
            return fail(JournalUnavailable(self._fatal or "the journal is closed"))
        done: Deferred[list[StatusEvent]] = Deferred()
        self._reads.append((channel, min(max(after, 0), _LAST_SEQ), min(max(limit, 0), _PAGE), done))
        self._next_job()
        return done

    def hold_events(self) -> Callable[[], None]:
        """Keep the journal from forgetting events while somebody reads through them; call the result to let go."""
        self._holds += 1
        held = [True]

        def let_go() -> None:
            if held:
                held.pop()
                self._holds -= 1

        return let_go

    def _refusal(self, is_intent: bool) -> JournalUnavailable | None:
        if self._fatal is not None:
            return JournalUnavailable(f"the journal is lost: {self._fatal}")
        if self._closing is not None or self._is_closed:
            return JournalUnavailable("the journal is closed")
        if is_intent and not self.is_available:
            return JournalUnavailable("the journal cannot be written", retry_after=_RETRY)
        return None

    # -- one job at a time

    @property
    def is_busy(self) -> bool:
        """Tell whether the thread has a job whose result has not come back yet."""
        return self._worker is not None and self._worker.is_busy

    def _give(self, work: Callable[[], Any], done: Done) -> None:
        assert self._worker is not None, "it is started"
        self._worker.give(work, lambda result, error: self._job_done(done, result, error))

    def _job_done(self, done: Done, result: Any, error: BaseException | None) -> None:
        if isinstance(error, SyncFailed):
            self._die(str(error))
            return
        done(result, error)
        self._next_job()

    def _next_job(self) -> None:
        """Give the thread its next job, if it is free and there is one."""
        if self._worker is None or self.is_busy or self._is_telling or self._fatal or self._is_closed:
            return
        if self._is_trusted and not self._queue:
            self._become_available()
        has_writes = bool(self._queue) and (self.is_available or self._is_trusted)
        if self._retry_due:
            self._retry_due = False
            self._give(self._store.probe, self._probed)
        elif self._reads and (self._reads_next or not has_writes):
            self._reads_next = False
            self._read()
        elif self._wants_checkpoint():
            self._give(self._store.checkpoint, self._upkeep_done)
        elif has_writes:
            self._reads_next = True
            self._write()
        elif self._closing is not None:
            self._give(self._store.close, self._finish_closing)
        elif self._prune_due and self.is_available and not self._holds:
            self._prune_due = False
            self._give(lambda: self._store.prune(self._retention), self._upkeep_done)

    # -- writing

    def _write(self) -> None:
        count = min(1 if self._solo else _GROUP, len(self._queue))
        self._solo = max(self._solo - 1, 0)
        group = [self._queue.popleft() for _ in range(count)]
        if all(entry.is_empty for entry in group):
            self._tell(group)
            return
        batch = form_batch(group, self.epoch, self._store.epoch_number, self.heads, self._digests)
        self._give(lambda: self._store.write(batch), lambda _, error: self._written(group, batch, error))

    def _written(self, group: list[Entry], batch: Batch, error: BaseException | None) -> None:
        if error is None:
            self.heads.update(batch.heads)
            self._digests.update(batch.digests)
            self._written_at = self._reactor.seconds() if self._reactor is not None else 0.0
            self._become_available()
            while self._queue and self._queue[0].is_empty:  # they wait for this group alone
                group.append(self._queue.popleft())
            self._next_job()  # the thread writes the next group while this one is told
            self._tell(group)
        elif isinstance(error, WriteFailed):
            self._refused(group, str(error))
        elif isinstance(error, KeyBound):
            bound = [entry for entry in group if error.key in entry.keys]
            self._queue.extendleft(reversed([entry for entry in group if entry not in bound]))
            self._fail(bound, IdempotencyKeyReuse(str(error), order={"id": error.order_id}))
        elif len(group) > 1:  # one of them cannot be written: find out which, the others must not suffer
            self._queue.extendleft(reversed(group))
            self._solo = len(group)
        else:
            self._log.failure("an item cannot be journaled", Failure(error))
            self._fail(group, InternalError(f"cannot be journaled: {error}"))

    def _tell(self, group: list[Entry]) -> None:
        """Tell the events of a durable group, and those who wait for it; what they append goes as one group."""
        self._is_telling = True
        for entry in group:
            if self._listener is not None:
                for event in entry.events:
                    try:
                        self._listener(event)
                    except Exception:  # noqa: BLE001  a bug in one listener must not silence the journal
                        self._log.failure("the journal's listener failed at {event}", event=event)
            entry.deferred.callback(None)
        self._is_telling = False
        self._next_job()

    @staticmethod
    def _fail(entries: list[Entry], error: TxTraderError) -> None:
        for entry in entries:
            for event in entry.events:
                event.epoch = event.seq = event.tag = None
            entry.deferred.errback(Failure(error))

    # -- a disk that refuses writes

    def _refused(self, group: list[Entry], why: str) -> None:
        """Fail the intents, keep the facts in their sequence, and try again later."""
        waiting = [*group, *self._queue]
        self._queue = deque(entry for entry in waiting if not entry.is_intent)
        self._is_trusted = False
        self._retry_later()
        if self.is_available:
            self.is_available = False
            self._log.error(
                "journal {path}: {why}; intents are refused until it can be written", path=self.path, why=why
            )
            if self.on_change is not None:
                self.on_change(False)
        intents = [entry for entry in waiting if entry.is_intent]
        self._fail(intents, JournalUnavailable("the journal cannot be written", retry_after=_RETRY))

    def _retry_later(self) -> None:
        assert self._reactor is not None
        if self._closing is None:
            self._retry_call = self._reactor.callLater(_RETRY, self._retry)

    def _retry(self) -> None:
        self._retry_call = None
        self._retry_due = True
        self._next_job()

    def _probed(self, _: None, error: BaseException | None) -> None:
        if error is not None:
            if not isinstance(error, WriteFailed):
                self._log.failure("the journal cannot be probed", Failure(error))
            self._retry_later()
        else:
            self._is_trusted = True  # the facts that wait decide, if there are any

    def _become_available(self) -> None:
        self._is_trusted = False
        if not self.is_available:
            self.is_available = True
            self._log.info("journal {path}: it can be written again", path=self.path)
            if self.on_change is not None:
                self.on_change(True)

    def _die(self, why: str) -> None:
        """Give the file up: nobody knows what is on the disk."""
        self._fatal = why
        self.is_available = False
        self._log.critical("journal {path} is lost: {why}", path=self.path, why=why)
        self._store.abandon()
        if self._worker is not None:
            self._worker.stop()
        self._cancel_calls()
        waiting, self._closing = self._closing or [], None
        if self.on_change is not None:
            self.on_change(False)
        if self.on_fatal is not None:
            self.on_fatal(why)
        self._fail_all(JournalUnavailable(f"the journal is lost: {why}"))
        for done in waiting:
            done.callback(None)

    def _fail_all(self, error: JournalUnavailable) -> None:
        entries, self._queue = list(self._queue), deque()
        reads, self._reads = list(self._reads), deque()
        self._fail(entries, error)
        for *_, done in reads:
            done.errback(Failure(error))

    # -- reading and upkeep

    def _wants_checkpoint(self) -> bool:
        """Tell whether a checkpoint is due; where only a quiet moment is needed, come back when it is quiet."""
        reactor = self._reactor
        assert reactor is not None
        if not self.is_available:
            return False
        is_quiet = not self._queue and reactor.seconds() - self._written_at >= _QUIET
        if self._store.wants_checkpoint(is_quiet):
            return True
        if self._quiet_call is None and not is_quiet and self._store.wants_checkpoint(True):
            self._quiet_call = reactor.callLater(_QUIET, self._look_again)
        return False

    def _look_again(self) -> None:
        self._quiet_call = None
        self._next_job()

    def _read(self) -> None:
        channel, after, limit, done = self._reads.popleft()
        epoch, store = self.epoch, self._store

        def work() -> list[StatusEvent]:
            rows = store.read_events(channel, after, limit)
            return [decode_event(channel, epoch, seq, body, digest) for seq, body, digest in rows]

        def answer(events: list[StatusEvent], error: BaseException | None) -> None:
            if error is None:
                done.callback(events)
            else:
                self._log.failure("the journal cannot be read", Failure(error))
                done.errback(Failure(JournalUnavailable(f"the journal cannot be read: {error}")))

        self._give(work, answer)

    def _upkeep_done(self, has_more: bool | None, error: BaseException | None) -> None:
        if isinstance(error, WriteFailed):
            self._log.warn("journal {path}: {error}", path=self.path, error=str(error))
        elif error is not None:
            self._log.failure("the journal's upkeep failed", Failure(error))
        elif has_more:
            self._prune_due = True

    def _prune_later(self) -> None:
        assert self._reactor is not None
        self._prune_call = self._reactor.callLater(_PRUNE, self._prune_later)
        self._prune_due = True
        self._next_job()
