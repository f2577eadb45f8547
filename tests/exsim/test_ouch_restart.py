"""An OUCH venue that ends and comes back: orders, streams and names, with a file for the day and without."""

from __future__ import annotations

import json
import resource
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from exsim_venue import ACME, A
from ouch_client import OuchClient
from twisted.internet.task import Clock

from txtrader.errors import ConfigError
from txtrader.exsim.accounts import Rates
from txtrader.exsim.daily import Recipe
from txtrader.exsim.endpoints.ouch import OuchEndpoint, OuchOptions
from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.records import Terms
from txtrader.exsim.venue import Venue
from txtrader.model.order import OrderType, Side
from txtrader.testing.network import MemoryNetwork

DAY = 86_400


class Process:
    """A venue with a memory and an OUCH port, for as long as a process would live; `at` is in seconds."""

    def __init__(
        self,
        folder: Path,
        at: float,
        *,
        version: str = "5.0",
        keeps_day: bool = True,
        is_lasting: bool = True,
        **more: Any,
    ) -> None:
        self.version = version
        self.clock = Clock()
        self.clock.advance(at)
        self.network = MemoryNetwork(self.clock)
        self.venue = Venue(
            self.clock, lambda: 1_767_632_400_000_000_000 + round(self.clock.seconds() * 10**9),
            instruments=InstrumentMaster([ACME]), recipes={ACME.id: Recipe(level=100.0)},
            cash={A: {"USD": Decimal(10**6)}}, rates=Rates("USD", {}), has_house=False,
            state_path=str(folder / "state.db") if is_lasting else None,
        )  # fmt: skip
        self.venue.start()
        day_file = str(folder / "day") if keeps_day else None
        options = OuchOptions(version=version, day_file=day_file, **more)
        self.endpoint = OuchEndpoint(self.venue, self.network, options=options)
        self.started = self.endpoint.start()

    def run(self) -> None:
        self.clock.advance(0)

    def sell(self, quantity: int, price: str) -> None:
        terms = Terms(
            listing_id=ACME.id,
            account=A,
            side=Side.SELL,
            quantity=Decimal(quantity),
            type=OrderType.LIMIT,
            limit_price=Decimal(price),
        )
        self.venue.submit("stranger", terms)

    def client(self, **login: Any) -> OuchClient:
        client = OuchClient(self)  # type: ignore[arg-type]  # it has what a client needs of a room
        client.log_in(**login)
        return client

    def stop(self) -> None:
        self.endpoint.stop()
        self.venue.stop()
        self.run()


def test_without_a_file_orders_are_taken_up_again_and_the_stream_is_gone(tmp_path):
    first = Process(tmp_path, 0, keeps_day=False)
    alice = first.client()
    alice.enter(1, "B", 10, "99.00")
    alice.enter(2, "B", 10, "98.00")
    alice.cancel(2)
    first.stop()
    second = Process(tmp_path, 60, keeps_day=False)
    assert second.client(session=alice.session).packets[0][0] == "J", "the stream is gone, and says so"
    back = second.client()
    back.enter(2, "B", 5, "99.00")
    back.cancel(1, 4)
    assert back.briefs() == [("S",), ("C", 1, 6)]
    second.stop()


@pytest.mark.parametrize("version", ["4.2", "5.0"])
def test_with_a_file_a_client_goes_on_where_it_was(tmp_path, version):
    first = Process(tmp_path, 0, version=version)
    alice = first.client()
    alice.enter(1, "B", 10, "99.00")
    alice.enter(2, "B", 10, "98.00")
    assert alice.briefs() == [("S",), ("A", 1, 10), ("A", 2, 10)]
    alice.enter(3, "B", 10, "-1", ticks=0xFFFFFFFF if version == "4.2" else 2**63)
    assert [one.letter for one in alice.take()] == ["J"], "a name that was refused is used as well"
    alice.close()
    first.sell(4, "99.00")
    first.stop()
    second = Process(tmp_path, 60, version=version)
    back = second.client(session=alice.session, sequence=alice.next_number)
    assert back.briefs() == [("E", 1, 4)], "what happened while nobody was there"
    for used in (1, 2, 3):
        back.enter(used, "B", 5, "99.00")
    assert back.take() == []
    back.cancel(1, 0)
    back.enter(4, "B", 5, "99.00")
    assert back.briefs() == [("C", 1, 6), ("A", 4, 5)]
    again = second.client(session=alice.session)
    assert again.packets == [("J", b"S")], "he is there already"
    back.close()
    whole = second.client(session=alice.session)
    assert [one.letter for one in whole.take()] == ["S", "A", "A", "J", "E", "C", "A"]
    second.stop()


def test_a_day_that_is_over_and_another_version_are_not_taken_up(tmp_path):
    first = Process(tmp_path, 0)
    session = first.client().session
    first.stop()
    second = Process(tmp_path, 30, version="4.2")
    assert second.client().session != session
    session = second.endpoint.session_name
    second.stop()
    third = Process(tmp_path, DAY, version="4.2")
    assert third.endpoint.session_name != session
    session = third.endpoint.session_name
    third.endpoint.end_day()
    third.stop()
    fourth = Process(tmp_path, DAY + 60, version="4.2")
    assert fourth.endpoint.session_name != session
    fourth.stop()


def test_a_firm_that_was_switched_off_stays_off(tmp_path):
    first = Process(tmp_path, 0)
    alice = first.client()
    alice.raw(b"D" + (1).to_bytes(4, "big") + b"AAAA" + bytes(2))
    first.stop()
    second = Process(tmp_path, 60)
    back = second.client(session=alice.session, sequence=alice.next_number)
    back.enter(2, "B", 5, "99.00", firm="AAAA")
    told = back.take()
    assert [one.letter for one in told] == ["J"]
    second.stop()


def test_orders_that_go_with_their_client_are_told_canceled_when_the_venue_stops(tmp_path):
    first = Process(tmp_path, 0, cancel_on_disconnect=True)
    alice = first.client()
    alice.enter(1, "B", 10, "99.00")
    number = alice.next_number
    first.stop()
    second = Process(tmp_path, 60, cancel_on_disconnect=True)
    back = second.client(session=alice.session, sequence=number)
    assert [one.letter for one in back.take()] == ["C"]
    assert second.venue.live_orders() == []
    second.stop()


def test_the_last_line_may_be_torn_by_a_kill(tmp_path):
    first = Process(tmp_path, 0)
    alice = first.client()
    alice.enter(1, "B", 10, "99.00")
    first.stop()
    path = tmp_path / "day"
    path.write_bytes(path.read_bytes()[:-9])
    second = Process(tmp_path, 60)
    back = second.client(session=alice.session)
    assert [one.letter for one in back.take()] == ["S"]
    second.stop()


@pytest.mark.parametrize(
    "row", ["what", "3", "[]", "{}", '["day"]', '["day", {}]', '["told", "A", 5]', '["name", "A", []]']
)
def test_a_file_that_is_none_of_ours_is_named(tmp_path, row):
    (tmp_path / "day").write_text(f"{row}\n")
    process = Process(tmp_path, 0)
    found: list[Any] = []
    process.started.addErrback(lambda failure: found.append(failure.value))
    assert isinstance(found[0], ConfigError) and "day" in str(found[0])
    process.venue.stop()


def test_when_the_disk_is_full_clients_are_told_all_the_same_and_no_hole_is_ever_served(tmp_path, expected_failures):
    expected_failures.append("not kept any more")
    process = Process(tmp_path, 0, is_lasting=False)
    alice = process.client()
    path = tmp_path / "day"
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
    try:
        alice.enter(1, "B", 10, "99.00")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    alice.enter(2, "B", 10, "98.00")
    assert alice.briefs() == [("S",), ("A", 1, 10), ("A", 2, 10)]
    assert path.read_bytes() == b""
    process.stop()


def test_the_file_is_for_its_user_alone_and_grows_by_what_is_said(tmp_path):
    process = Process(tmp_path, 0)
    process.client().enter(1, "B", 10, "99.00")
    path = tmp_path / "day"
    assert path.stat().st_mode & 0o777 == 0o600
    kinds = [json.loads(line)[0] for line in path.read_text().splitlines()]
    assert kinds == ["day", "told", "name", "told"]
    process.stop()
