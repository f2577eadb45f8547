"""Whatever callers, broker, link, disk and restarts do to each other: at rest the gateway has what the broker has.

The model is the memory broker itself: its orders, its executions and its tape share no code with the books.  Steps
are taken by hand, so that everything may happen between any two of them: an intent on its way to the disk, a word of
the broker on its way to us, a cancel beside a change.  Checked are I1 to I5 and, when all is quiet, I6 and G6.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from desk_room import IBM, SAP_NYSE
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from journaling import NOW, ThreadedClock, outcome

from txtrader.errors import TxTraderError
from txtrader.gateway import blotter_rules as rules
from txtrader.gateway.api import Gateway, GatewayOptions
from txtrader.gateway.commands import bind
from txtrader.gateway.journal import Journal
from txtrader.gateway.journal_errors import WriteFailed
from txtrader.gateway.link import LinkOptions
from txtrader.gateway.market import MarketOptions
from txtrader.gateway.session import User
from txtrader.gateway.stream import EventStream, StreamOptions
from txtrader.model.event import StatusEvent
from txtrader.model.execution import ExecType
from txtrader.model.order import Order, OrderStatus, OrderUpdate, Provenance, Side
from txtrader.testing.adapter import MemoryAdapter
from txtrader.testing.broker import MemoryBroker
from txtrader.testing.broker_records import BrokerOrder

S = OrderStatus
KEYS = ("a", "b", "c")
PRICES = ("12.50", "12.60")
USERS = (User(name="alice", role="admin"), User(name="bob", role="trade", accounts=frozenset({"DU2"})))
EVIDENCED = (S.NEW, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED)


class Listener:
    """One client, who folds the events of orders and executions into what it knows."""

    def __init__(self, gateway: Gateway, stream: EventStream, user: User) -> None:
        self.user = user
        self.known = {
            channel: dict(gateway.queries.state(channel, user)[f"{channel}s"]) for channel in ("order", "execution")
        }
        session = gateway.open_session(user, frontend="t", peer="p")
        stream.subscribe(session, StreamOptions(), self.take)

    def take(self, event: StatusEvent, prev: int | None) -> None:
        if event.type in ("order", "ticket", "execution"):
            self.known[event.channel][event.key or ""] = dict(event.data)


def lose_the_bytes(machine: Trading) -> None:
    """What is submitted from now on leaves, and never arrives."""
    machine.adapter.submit = lambda order: None  # type: ignore[method-assign]


TROUBLES: dict[str, Callable[[Trading], object]] = {
    "acknowledgements are late": lambda machine: machine.broker.withheld.add("submit"),
    "cancels are late": lambda machine: machine.broker.withheld.add("cancel"),
    "changes are late": lambda machine: machine.broker.withheld.add("replace"),
    "late answers come": lambda machine: machine.broker.release(),
    "orders are refused": lambda machine: setattr(machine.broker, "rejects", lambda order: True),
    "orders are lost": lose_the_bytes,
    "the disk is full": lambda machine: setattr(machine, "refuses", True),
    "the link is lost": lambda machine: machine.adapter.lose_link(),
    "the link is silent": lambda machine: machine.adapter.go_stale(),
    "the link is back": lambda machine: machine.adapter.restore_link(),
}


ACTIONS = (
    *("submit", "cancel", "replace", "fill", "trouble") * 2,
    *("approve", "cancel_all", "expire", "amend", "place_external", "all_is_well", "restart"),
)


class Trading(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ThreadedClock()
        self.ticks = 0
        self.broker = MemoryBroker([IBM, SAP_NYSE], now_ns=self.now_ns, accounts=("DU1", "DU2"), fills_at_quotes=False)
        self.runs = 0
        self.refuses = False
        self.answers: dict[tuple[str, str], set[str]] = {}  # (user, key): the order ids that were answered
        self.acknowledged: set[str] = set()
        self.problems: list[str] = []
        self.said: dict[str, set[OrderStatus]] = {}  # all that the broker has ever said of our orders
        self.left: set[str] = set()  # what may have left: handed to the adapter, or found after a restart
        self.ended: dict[str, OrderStatus] = {}
        self.broker.attach(self.hear_the_broker)
        self.open()

    def now_ns(self) -> int:
        self.ticks += 1  # no two facts at one instant: clocks of nanoseconds are not that coarse
        return NOW + int(self.clock.seconds() * 1_000_000_000) + self.ticks

    # --- the gateway's life -------------------------------------------------------------------------------------------

    def open(self) -> None:
        self.runs += 1
        path = str(Path(self.folder.name) / "journal.sqlite")
        self.journal = Journal.open(path, now_ns=self.now_ns, random_bytes=lambda count: bytes(count))
        state = self.journal.load()
        self.write = self.journal._store.write

        def maybe(batch: Any) -> None:
            if self.refuses:
                raise WriteFailed("the disk is full")
            self.write(batch)

        self.journal._store.write = maybe  # type: ignore[method-assign]
        self.stream = EventStream(self.journal, clock=self.clock)
        self.gateway = Gateway(
            ("memory",),
            clock=self.clock,
            now_ns=self.now_ns,
            stream=self.stream,
            access=None,  # type: ignore[arg-type]  # nobody logs in here
            state=state,
            options=GatewayOptions(
                order_timeout=1.0,
                market=MarketOptions(timezone=ZoneInfo("America/New_York")),
                link=LinkOptions(unknown_quiet=0.5, reconcile_interval=2.0, reconcile_retry=0.5),
            ),
            on_shutdown=lambda why: None,
        )
        self.link = self.gateway.links["memory"]
        self.adapter = MemoryAdapter(self.broker, self.link, self.clock, latency=0.02)
        self.adapter._sessions = 1000 * self.runs  # a session's name is never given twice
        self.gateway.attach("memory", self.adapter)
        self.left |= set(self.gateway.blotter.orders)
        hand_over = self.link.submit

        def submit(order: Order) -> bool:
            self.left.add(order.id)
            return hand_over(order)

        self.link.submit = submit  # type: ignore[method-assign]
        self.alice, self.bob = (self.gateway.open_session(user, frontend="t", peer="p") for user in USERS)
        self.journal.start(self.clock)
        self.gateway.start()
        self.listeners = [Listener(self.gateway, self.stream, user) for user in USERS]

    def settle(self) -> None:
        self.clock.settle(self.journal)

    def run_for(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.settle()

    def hear_the_broker(self, fact: Any) -> None:
        if isinstance(fact, OrderUpdate) and fact.order_ref is not None and fact.status is not None:
            self.said.setdefault(fact.order_ref, set()).add(fact.status)

    # --- callers ------------------------------------------------------------------------------------------------------

    def call(self, name: str, *positional: Any, who: int = 0, key: str | None = None, **options: Any) -> None:
        """Call; what is answered of a key, and what was promised, is remembered."""
        session = (self.alice, self.bob)[who]
        found = outcome(self.gateway.execute(session, bind(name, positional, options)))

        def judge() -> None:
            if not found:
                self.clock.callLater(0.1, judge)
            elif isinstance(found[0], Exception):
                if not isinstance(found[0], TxTraderError) or found[0].code == "internal":
                    self.problems.append(f"{name} {positional}: {found[0]!r}")
            elif isinstance(found[0], dict) and "id" in found[0]:
                self.acknowledged.add(found[0]["id"])
                if key is not None:
                    self.answers.setdefault((session.user.name, key), set()).add(found[0]["id"])

        judge()

    def submit(self, dice: random.Random) -> None:
        key, who = dice.choice((None, None, *KEYS)), dice.randint(0, 1)
        order = {
            "symbol": "IBM",
            "side": dice.choice(("BUY", "SELL")),
            "quantity": dice.choice((1, 10)),
            "type": "Limit",
            "limit_price": dice.choice(PRICES),
            "account": "DU2",
            "client_order_id": key,
        }
        if key is not None:  # mostly the very same order again
            order |= {"side": "BUY", "quantity": dice.choice((1, 1, 1, 10)), "limit_price": PRICES[0]}
        if dice.random() < 0.25:
            order |= {"stage": True, "tag": "t"}
        self.call("submit_order", order, who=who, key=key)

    def some_order(self, dice: random.Random, *, is_open: bool = True, is_ticket: bool | None = None) -> str | None:
        """Choose an order, one of the latest more often than not."""
        ids = [
            order.id
            for order in self.gateway.blotter.orders.values()
            if (order.is_open or not is_open) and (is_ticket is None or (order.status is S.STAGED) is is_ticket)
        ]
        return dice.choice(ids[-3:] if dice.random() < 0.6 else ids) if ids else None

    def cancel(self, dice: random.Random) -> None:
        if (order_id := self.some_order(dice, is_open=dice.random() < 0.8)) is not None:
            self.call("cancel_order", order_id, who=dice.randint(0, 1))

    def replace(self, dice: random.Random) -> None:
        if (order_id := self.some_order(dice)) is not None:
            price, quantity = dice.choice(("12.70", "12.80")), dice.choice((7, 20))
            changes = dice.choice(({"limit_price": price}, {"quantity": quantity}))
            self.call("modify_order", order_id, changes)

    def approve(self, dice: random.Random) -> None:
        if (order_id := self.some_order(dice, is_ticket=True)) is not None:
            self.call("approve_ticket", order_id)

    def cancel_all(self, dice: random.Random) -> None:
        if dice.random() < 0.3:
            name = dice.choice(("global_cancel", "cancel_all_for_account"))
            self.call(name, *(["DU2"] if name != "global_cancel" else []), who=dice.randint(0, 1))

    # --- the broker ---------------------------------------------------------------------------------------------------

    def at_broker(self, dice: random.Random) -> BrokerOrder | None:
        found = [order for order in self.broker.orders.values() if order.is_open and order.status is not S.PENDING_NEW]
        return dice.choice(found) if found else None

    def fill(self, dice: random.Random) -> None:
        if (order := self.at_broker(dice)) is not None and order.remaining > 0:
            part = dice.choice((None, Decimal(1), order.remaining - 1 or None, min(Decimal(7), order.remaining)))
            self.broker.fill(order.permid, part, "12.50")

    def expire(self, dice: random.Random) -> None:
        if dice.random() < 0.3 and (order := self.at_broker(dice)) is not None:
            self.broker.expire(order.permid)

    def amend(self, dice: random.Random) -> None:
        standing = [e for e in self.broker.executions.values() if e.exec_type is not ExecType.BUST]
        if not standing:
            return
        execution = dice.choice(standing)
        how = dice.choice(("repeat", "bust", "correct", "correct twice"))
        if how == "repeat":
            self.broker.repeat(execution.exec_id)
        elif how == "bust":
            self.broker.bust(execution.exec_id)
        elif execution.shares > 2:
            again = self.broker.correct(execution.exec_id, execution.shares - 1, "12.45")
            if how == "correct twice":
                self.broker.correct(again, execution.shares - 2, "12.40")

    def place_external(self, dice: random.Random) -> None:
        if len(self.broker.orders) < 12:
            self.broker.place_external("SAP", dice.choice((Side.BUY, Side.SELL)), 5, limit_price="11", account="DU1")

    # --- link, disk, time, process ------------------------------------------------------------------------------------

    def trouble(self, dice: random.Random) -> None:
        """Begin a fault; most last until `all_is_well`."""
        TROUBLES[dice.choice(sorted(TROUBLES))](self)

    def all_is_well(self, dice: random.Random) -> None:
        """End every fault but those that have happened."""
        self.refuses = False
        self.broker.rejects = None
        self.broker.release()
        vars(self.adapter).pop("submit", None)
        if not self.link.is_connected:
            self.adapter.restore_link()
        self.run_for(dice.choice((0.2, 1.5)))

    def restart(self, dice: random.Random) -> None:
        if dice.random() < 0.3:
            self.refuses = False
            self.close()
            if dice.random() < 0.5:
                self.fill(dice)
            self.open()

    def let_time_go_by(self, dice: random.Random) -> None:
        """Between two steps nothing happens, or some of what is due, or all of it."""
        how = dice.random()
        if how < 0.2:
            self.run_for(0.1)
        elif how < 0.23:
            self.run_for(1.5)
        elif how < 0.5:
            self.clock.advance(dice.choice((0, 0.02, 0.05, 0.3)))
        elif how < 0.7 and self.journal.is_busy:
            self.clock.step()
        self.check_evidence()

    @initialize()
    def begin(self) -> None:
        self.run_for(0.3)
        for price in PRICES:
            self.call("limit_order", "IBM", price, 10, {"account": "DU2"})
        self.run_for(0.1)

    @rule(name=st.sampled_from(ACTIONS), seed=st.integers(0, 1 << 32))
    def act(self, name: str, seed: int) -> None:
        dice = random.Random(seed)
        getattr(self, name)(dice)
        self.let_time_go_by(dice)

    @rule(seed=st.integers(0, 1 << 32), count=st.integers(4, 20))
    def act_often(self, seed: int, count: int) -> None:
        dice = random.Random(seed)
        for _ in range(count):
            getattr(self, dice.choice(ACTIONS))(dice)
            self.let_time_go_by(dice)

    def close(self) -> None:
        self.run_for(1.5)  # a disk that was full is tried again
        done = outcome(self.gateway.stop())
        while not done:
            self.clock.advance(0.1)
            self.settle()
        closed = outcome(self.journal.close())
        self.settle()
        assert closed == [None]
        self.broker._listeners[:] = [self.hear_the_broker]

    # --- what must hold -----------------------------------------------------------------------------------------------

    def tape_of(self, order: Order) -> list[str]:
        return [entry.kind for entry in self.broker.tape if entry.order_ref == order.id]

    def check_evidence(self) -> None:
        """I1, I3: one order at the broker at most, and no status without the broker's word."""
        assert not self.problems, self.problems
        for order in self.gateway.blotter.orders.values():
            if order.origin == "external":
                continue
            tape, said = self.tape_of(order), self.said.get(order.id, set())
            assert tape.count("submit") <= 1, order
            if order.status in EVIDENCED:
                assert order.status in said, (order, said)
            elif order.status is S.REJECTED and order.provenance is not Provenance.LOCAL_DENY:
                assert S.REJECTED in said, (order, said)
            elif order.status in (S.REJECTED, S.LOST):
                assert "submit" not in tape, (order, tape)
            elif order.status in (S.UNKNOWN, S.PENDING_CANCEL, S.PENDING_REPLACE):
                assert order.id in self.left, order
            assert order.filled <= rules.whole_quantity(order), order
            self.check_regress(order)

    def check_regress(self, order: Order) -> None:
        """I3: what has ended stays ended, but for a fill that is taken back."""
        was = self.ended.get(order.id)
        if was in (S.CANCELED, S.EXPIRED) and order.is_open:
            theirs = self.broker._by_ref[order.id]
            assert theirs.is_open, (was, order, vars(theirs))
        if not order.is_open:
            self.ended[order.id] = order.status

    def teardown(self) -> None:
        try:
            self.come_to_rest()
            self.check_evidence()
            self.check_orders()
            self.check_positions()
            self.check_what_was_told()
        finally:
            self.refuses = False
            self.close()
            self.folder.cleanup()

    def come_to_rest(self) -> None:
        self.refuses = False
        self.broker.rejects = None
        self.broker.release()
        for order in list(self.broker.orders.values()):
            if order.status is S.PENDING_NEW:
                self.broker.acknowledge(order.permid)
        self.run_for(2)
        for _ in range(2):  # the second session settles what the first could not know
            self.adapter.lose_link()
            self.adapter.restore_link()
            self.run_for(8)
        assert self.link.is_up, (self.link.word, self.link.reason, self.link.reconciler.report)

    def check_orders(self) -> None:
        """I2, I6: every promised order is there, and each is as the broker has it."""
        books = self.gateway.blotter
        assert self.acknowledged <= set(books.orders)
        for ids in self.answers.values():
            assert len(ids) == 1
        for order in books.orders.values():
            if order.origin == "external":
                continue
            if "submit" not in self.tape_of(order):
                assert order.status in (S.REJECTED, S.LOST, S.STAGED), order
        for theirs in self.broker.orders.values():
            ours = books.locate("memory", theirs.order_ref, theirs.permid, theirs.clientid, theirs.broker_order_id)
            assert ours is not None
            assert ours.permid == theirs.permid
            assert (ours.status, ours.filled) == (theirs.status, theirs.filled), (ours, vars(theirs))
            if ours.is_open:
                assert (ours.quantity, ours.limit_price) == (theirs.quantity, theirs.limit_price), ours
            assert ours.pending_changes is None

    def check_positions(self) -> None:
        """I4, G6: the executions that stand are the broker's, and so are the positions and the ledger."""
        books = self.gateway.blotter
        ours = {e.exec_id: (e.shares, e.price) for o in books.orders for e in books.executions_of(o)}
        assert ours == {e.exec_id: (e.shares, e.price) for e in self.broker.executions.values()}
        for (account, symbol), quantity in self.broker.positions.items():
            held = {p.symbol: p.quantity for p in self.gateway.books.held("memory", account)}
            assert held.get(symbol, 0) == quantity
            assert not self.gateway.books.differences("memory", account)

    def check_what_was_told(self) -> None:
        """I5: the seqs are dense, each execution is told once and once with its cost, and the fold is the state."""
        for listener in self.listeners:
            for channel in ("order", "execution"):
                state = self.gateway.queries.state(channel, listener.user)[f"{channel}s"]
                assert listener.known[channel] == state
        for channel in ("order", "execution"):
            page = outcome(self.journal.read_events(channel, 0, 1000))
            self.settle()
            assert [event.seq for event in page[0]] == list(range(1, len(page[0]) + 1))
            told = Counter((event.key, event.data["commission"]) for event in page[0] if event.type == "execution")
            assert not [once for once, count in told.items() if count > 1]


@pytest.fixture(autouse=True)
def faults_are_logged(expected_failures: list[str]) -> None:
    expected_failures += ["intents are refused", "did not come whole"]


def case_of(machine: type[Trading], examples: int, steps: int, *marks: Any) -> Any:
    case: Any = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=not marks,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    case.pytestmark = [pytest.mark.usefixtures("faults_are_logged"), *marks]
    return case


class LongTrading(Trading):
    """The same for longer, and with other dice each time."""


TestTrading = case_of(Trading, 60, 12)
TestLongTrading = case_of(LongTrading, 400, 20, pytest.mark.soak)
