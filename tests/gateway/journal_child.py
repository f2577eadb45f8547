"""A process of its own with a journal in it, to be killed, starved and lied to.  Talks JSON lines on stdout.

journal_child.py write FOLDER          append one item after another, four in flight, and say which are durable
journal_child.py full FOLDER LIMIT     append until the file system refuses, then make space and go on
journal_child.py open FOLDER           open, say what is there, close
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from journaling import event, execution, key, order
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater

from txtrader.errors import ConfigError, TxTraderError
from txtrader.gateway.journal import Journal, JournalItem


def say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def open_journal(folder: str) -> Journal:
    journal = Journal.open(str(Path(folder) / "journal.db"), now_ns=time.time_ns)
    state = journal.load()
    say(
        opened=journal.epoch,
        pid=os.getpid(),
        recovered=journal.recovered,
        seq=state.heads["order"].seq,
        tag=state.heads["order"].tag,
        orders=[each.id for each in state.orders],
        keys=len(state.keys),
        executions=len(state.executions),
    )
    return journal


def item(journal: Journal) -> tuple[str, JournalItem]:
    id_ = journal.next_order_id()
    return id_, JournalItem(
        orders=(order(id_),),
        keys=(key(id_, id_),),
        executions=(execution(id_, order_id=id_),),
        events=(event(),),
        is_intent=True,
    )


def write(folder: str) -> None:
    signal.alarm(60)  # whoever started this may be gone
    journal = open_journal(folder)
    journal.set_listener(lambda told: say(told=told.seq, tag=told.tag))
    journal.on_fatal = lambda reason: (say(fatal=reason), reactor.stop())

    def more(_: object = None) -> None:
        id_, made = item(journal)
        journal.append(made).addCallbacks(lambda _: say(durable=id_), lambda failure: say(failed=failure.value.code))
        reactor.callLater(0.0005, more)

    journal.start(reactor)
    reactor.callWhenRunning(lambda: [more() for _ in range(4)])
    reactor.run()


async def fill(folder: str, limit: int) -> None:
    journal = open_journal(folder)
    journal.on_change = lambda is_available: say(available=is_available)
    journal.set_listener(lambda told: say(told=told.seq, key=told.key))
    journal.start(reactor)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    facts: list[Deferred[None]] = []
    count = 0
    while journal.is_available:
        count += 1
        facts.append(journal.append(JournalItem(events=(event(key=f"fact {count}"),), meta={"x": "y" * 4000})))
        id_, made = item(journal)
        try:
            await journal.append(made)
            say(durable=id_)
        except TxTraderError as error:
            say(failed=error.code, id=id_)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # not even a log folded in and cut makes room
    facts.append(journal.append(JournalItem(events=(event(key="while full"),))))
    page = await journal.read_events("order", 0, 5)
    say(readable=len(page))
    await deferLater(reactor, 2.5)
    say(still_full=not journal.is_available)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for fact in facts:
        await fact
    say(facts=len(facts), available_now=journal.is_available)
    await journal.append(item(journal)[1])
    await journal.close()


def run(coroutine: Any) -> None:
    def failed(failure: Any) -> None:
        say(error=failure.getTraceback())

    reactor.callWhenRunning(lambda: ensureDeferred(coroutine).addErrback(failed).addCallback(lambda _: reactor.stop()))
    reactor.run()


def main(what: str, folder: str, *more: str) -> None:
    try:
        if what == "write":
            write(folder)
        elif what == "full":
            run(fill(folder, int(more[0])))
        else:
            if more:
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(more[0]), int(more[0])))
            open_journal(folder).close()
    except ConfigError as error:
        say(refused=error.message)
        sys.exit(2)


main(*sys.argv[1:])
