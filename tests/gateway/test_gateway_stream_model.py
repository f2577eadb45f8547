"""Whatever is interleaved, what a client was told is what the journal has (G4, I5).

A machine publishes facts and intents, lets the disk refuse writes, restarts the gateway, and lets clients come, go
and come back; ring and pages are made tiny so that every path is walked.  Each client folds what it is told, and in
the end must know exactly what is durable and for its eyes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from journaling import Opened, outcome

from txtrader.errors import JournalUnavailable
from txtrader.gateway import stream_channel, stream_subscription
from txtrader.gateway.journal_errors import WriteFailed
from txtrader.gateway.journal_rows import Batch
from txtrader.gateway.session import Session, User
from txtrader.gateway.stream import EventStream, Resumed, Snapshot, StreamOptions
from txtrader.model.event import StatusEvent

ACCOUNTS = (None, "A", "B")


class Client:
    """One caller, who remembers the last event and folds all of them into what it knows."""

    def __init__(self, number: int, accounts: frozenset[str] | None) -> None:
        self.user = User(name=f"user{number}", role="view", accounts=accounts)
        self.known: set[int] = set()
        self.last: tuple[str, int, str] | None = None
        self.prev = 0
        self.is_waiting = False
        self.subscription: Any = None
        self.generation = 0
        self.problems: list[AssertionError] = []

    def sees(self, account: str | None) -> bool:
        return self.user.sees(account)

    def deliver(self, generation: int, event: StatusEvent, prev: int | None) -> None:
        try:
            self._take(generation, event, prev)
        except AssertionError as error:  # the stream isolates whoever raises: keep it for the machine
            self.problems.append(error)

    def _take(self, generation: int, event: StatusEvent, prev: int | None) -> None:
        assert generation == self.generation, "nothing is delivered after close"
        assert not self.is_waiting, "the answer to a resume comes before its events"
        assert self.sees(event.account)
        assert event.epoch is not None and event.seq is not None and event.tag is not None
        assert event.seq > self.prev
        assert prev == self.prev
        number = event.data["number"]
        assert number not in self.known, "nothing is told twice"
        self.known.add(number)
        self.prev = event.seq
        self.last = event.epoch, event.seq, event.tag

    def answered(self, generation: int, answer: Resumed | Snapshot) -> None:
        if generation != self.generation:
            return
        self.is_waiting = False
        if isinstance(answer, Resumed):
            assert self.last is not None
            assert answer.first == self.last[1] + 1
            self.prev = self.last[1]
        else:
            self.known = set(answer.data)
            self.prev = answer.as_of.seq
            self.last = answer.as_of.epoch, answer.as_of.seq, answer.as_of.tag


class Streaming(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(stream_channel, "_RING", 4)
        self.patch.setattr(stream_subscription, "_PAGE", 2)
        self.folder = tempfile.TemporaryDirectory()
        self.numbers = 0
        self.books: dict[int, str | None] = {}  # number: account; what the gateway believes
        self.durable: dict[int, str | None] = {}
        self.clients: list[Client] = []
        self.refuses = False
        self.open()

    def open(self) -> None:
        self.opened = Opened(Path(self.folder.name))
        write = self.opened.journal._store.write

        def maybe(batch: Batch) -> None:
            if self.refuses:
                raise WriteFailed("the disk is full")
            write(batch)

        self.opened.journal._store.write = maybe  # type: ignore[method-assign]
        self.stream = EventStream(self.opened.journal, clock=self.opened.clock)
        self.stream.set_snapshot(
            "order", lambda user: [number for number, account in self.books.items() if user.sees(account)]
        )

    @initialize(accounts=st.lists(st.sampled_from([None, frozenset({"A"}), frozenset({"B"})]), min_size=1, max_size=4))
    def make_clients(self, accounts: list[frozenset[str] | None]) -> None:
        self.clients = [Client(number, each) for number, each in enumerate(accounts)]

    @rule(account=st.sampled_from(ACCOUNTS), is_intent=st.booleans())
    def publish(self, account: str | None, is_intent: bool) -> None:
        self.numbers += 1
        number = self.numbers
        self.books[number] = account

        def failed(failure: Any) -> None:
            failure.trap(JournalUnavailable)
            assert is_intent
            del self.books[number]

        def durable(event: StatusEvent) -> None:
            assert event.data["number"] == number
            self.durable[number] = account

        self.stream.publish(
            "order", "order", "tws", {"number": number}, account=account, is_intent=is_intent
        ).addCallbacks(durable, failed)

    @rule(count=st.integers(1, 4), account=st.sampled_from(ACCOUNTS))
    def publish_together(self, count: int, account: str | None) -> None:
        with self.stream.transaction():
            for _ in range(count):
                self.publish(account=account, is_intent=False)

    @rule(data=st.data())
    def subscribe(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.drop(client)
        head = self.stream.heads["order"]
        last = client.last
        generation = client.generation
        client.subscription = self.stream.subscribe(
            Session(client.user, frontend="t", peer="p"),
            StreamOptions(),
            lambda event, prev: client.deliver(generation, event, prev),
        )
        how = data.draw(st.sampled_from(["resume", "resume", "lie", "snapshot"]))
        if last is None or how == "snapshot":
            client.is_waiting = True
            point = ("none", 0, "none")
        elif how == "lie":
            point = data.draw(st.sampled_from([("x", last[1], last[2]), (last[0], head.seq + 1, last[2])]))
        else:
            point = last
        client.is_waiting = True
        client.subscription.resume("order", *point).addCallback(lambda answer: client.answered(generation, answer))

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self.drop(data.draw(st.sampled_from(self.clients)))

    def drop(self, client: Client) -> None:
        client.generation += 1
        client.is_waiting = False
        if client.subscription is not None:
            client.subscription.close()
            client.subscription = None

    @rule()
    def turn(self) -> None:
        self.opened.clock.advance(0)

    @rule()
    @precondition(lambda self: self.opened.journal.is_busy)
    def hear_from_the_thread(self) -> None:
        self.opened.clock.step()

    @rule()
    def settle(self) -> None:
        self.opened.settle()

    @rule(refuses=st.booleans())
    def disk(self, refuses: bool) -> None:
        self.refuses = refuses

    @rule()
    def wait(self) -> None:
        self.opened.clock.advance(1)

    @rule()
    def restart(self) -> None:
        self.recover()
        for client in self.clients:
            self.drop(client)
        self.opened.close()
        self.open()

    def recover(self) -> None:
        self.refuses = False
        for _ in range(4):
            self.opened.settle()
            self.opened.clock.advance(1)
        self.opened.settle()
        assert self.opened.journal.is_available

    @invariant()
    def heads_never_run_ahead_of_the_journal(self) -> None:
        assert self.stream.heads["order"].seq <= self.opened.journal.heads["order"].seq

    @invariant()
    def every_client_is_content(self) -> None:
        for client in self.clients:
            if client.problems:
                raise client.problems[0]

    def teardown(self) -> None:
        try:
            self.recover()
            assert self.books == self.durable
            page = outcome(self.opened.journal.read_events("order", 0, 1000))
            self.opened.settle()
            assert [event.seq for event in page[0]] == list(range(1, len(page[0]) + 1))
            assert [event.data["number"] for event in page[0]] == list(self.durable)
            self.every_client_is_content()
            for client in self.clients:
                assert not client.is_waiting
                if client.subscription is not None:
                    assert client.known == {number for number, account in self.durable.items() if client.sees(account)}
            self.opened.close()
        finally:
            self.patch.undo()
            self.folder.cleanup()


@pytest.fixture(autouse=True)
def refusals_are_logged(expected_failures: list[str]) -> None:
    expected_failures.append("intents are refused")


def case_of(machine: type[Streaming], examples: int, steps: int, *marks: Any) -> Any:
    case: Any = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=not marks,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    case.pytestmark = [pytest.mark.usefixtures("refusals_are_logged"), *marks]
    return case


class LongStreaming(Streaming):
    """The same for longer, and with other dice each time."""


TestStreaming = case_of(Streaming, 25, 40)
TestLongStreaming = case_of(LongStreaming, 300, 80, pytest.mark.soak)
