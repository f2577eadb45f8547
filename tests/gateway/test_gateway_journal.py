"""The journal on a sound disk."""

from __future__ import annotations

import os
import re
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journaling import IBM, NOW, Opened, event, execution, key, order, outcome

from txtrader.errors import ConfigError, IdempotencyKeyReuse, InternalError, JournalUnavailable
from txtrader.gateway.journal import Journal, JournalItem, Retention
from txtrader.gateway.journal_codec import decode_event, decode_order, encode_event, encode_order
from txtrader.gateway.journal_records import DAY
from txtrader.gateway.journal_schema import VERSION
from txtrader.gateway.journal_stamp import make_stamp
from txtrader.gateway.journal_store import JournalStore
from txtrader.model.event import StatusEvent
from txtrader.model.order import OrderStatus

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


def exactly(value: Any) -> Any:
    """Spell a value with its types, so that 1, True and Decimal(1) differ, and so do 1.0 and 1.00."""
    if isinstance(value, dict):
        return {name: exactly(part) for name, part in value.items()}
    if isinstance(value, list):
        return [exactly(part) for part in value]
    return repr(value)


@given(data=st.dictionaries(st.text("abc"), values, max_size=5))
def test_an_event_reads_back_as_the_very_values_that_were_written(data: dict[str, Any]) -> None:
    body = encode_event(StatusEvent("t", "order", "tws", data, key="k", account="a", symbol="s"), 5)
    read = decode_event("order", "e", 7, body, bytes(32))
    assert exactly(read.data) == exactly(data)
    assert (read.type, read.mode, read.key, read.account, read.symbol) == ("t", "tws", "k", "a", "s")
    assert (read.epoch, read.seq, read.tag) == ("e", 7, "0" * 16)


@given(raw=st.dictionaries(st.text("abc"), values, max_size=5))
def test_an_order_reads_back_with_its_free_form_parts(raw: dict[str, Any]) -> None:
    written = order(raw=raw, pending_changes={"limit_price": Decimal("13.0")}, route_params={"x": 1})
    read = decode_order(encode_order(written), IBM)
    assert read == written
    assert exactly(read.raw) == exactly(raw)
    assert exactly(read.pending_changes) == exactly(written.pending_changes)


@pytest.mark.parametrize("bad", [1.5, Decimal("NaN"), Decimal("Infinity"), object(), {1}, 2**64])
def test_what_no_journal_can_hold_is_refused_and_leaves_no_hole(
    tmp_path: Path, bad: Any, expected_failures: list[str]
) -> None:
    expected_failures.append("an item cannot be journaled")
    with Opened(tmp_path) as opened:
        failed = opened.append(events=(StatusEvent("t", "order", "tws", {"x": bad}),))
        assert isinstance(failed[0], InternalError)
        opened.append(events=(event(),))
        assert [told.seq for told in opened.told] == [1]


def test_what_was_appended_is_there_after_a_restart(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        assert opened.append(orders=(order(),), keys=(key(),), events=(event(),), is_intent=True) == [None]
        filled = order(status=OrderStatus.FILLED, filled=Decimal(100))
        fill = execution(order_id=filled.id)
        opened.append(orders=(filled,), executions=(fill,), events=(event(2), event(3, "execution")))
        opened.append(executions=(execution("e2", instrument=None),), meta={"a": "b"})
        heads = dict(opened.journal.heads)
    with Opened(tmp_path) as again:
        assert again.state.orders == [filled]
        assert again.state.executions == [fill, execution("e2", instrument=None)]
        assert again.state.keys == [key()]
        assert again.state.meta == {"a": "b"}
        assert again.state.heads == heads
        assert again.journal.recovered is None
        assert heads["order"].seq == 2
        assert heads["execution"].seq == 1


def test_orders_share_one_instrument_in_the_file_and_in_memory(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        for number in range(3):
            opened.append(orders=(order(f"TX-{number}"),))
    with Opened(tmp_path) as again:
        assert len({id(each.instrument) for each in again.state.orders}) == 1
        again.append(orders=(order("TX-9"),))
    connection = sqlite3.connect(tmp_path / "journal.db")
    assert connection.execute("SELECT count(*) FROM instruments").fetchone() == (1,)
    connection.close()


def test_instruments_that_no_record_names_any_more_are_forgotten(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        yesterday = msgspec.structs.replace(IBM, trading_hours="20261120:0930-1600")
        opened.append(orders=(order(instrument=yesterday),))
        opened.append(orders=(order(),))
    with Opened(tmp_path) as again:
        assert again.state.orders == [order()]
    connection = sqlite3.connect(tmp_path / "journal.db")
    assert connection.execute("SELECT count(*) FROM instruments").fetchone() == (1,)
    connection.close()


def test_names_that_are_the_journals_own_are_refused(tmp_path: Path, expected_failures: list[str]) -> None:
    expected_failures.append("an item cannot be journaled")
    with Opened(tmp_path) as opened:
        assert isinstance(opened.append(meta={"journal.space": "x"})[0], InternalError)


def test_events_are_told_after_the_commit_in_the_sequence_of_their_seq(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        done = []
        for number in range(5):
            item = JournalItem(events=(event(number), event(number, "status")))
            opened.journal.append(item).addCallback(lambda _: done.append(len(opened.told)))
        assert opened.told == []
        opened.settle()
        assert [told.seq for told in opened.told if told.channel == "order"] == [1, 2, 3, 4, 5]
        assert [told.seq for told in opened.told if told.channel == "status"] == [1, 2, 3, 4, 5]
        assert done == [2, 4, 6, 8, 10]
        assert {told.epoch for told in opened.told} == {opened.journal.epoch}


def test_what_waits_is_written_as_one_group(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        groups = []
        write = opened.journal._store.write
        opened.journal._store.write = lambda batch: (groups.append(len(batch.events)), write(batch))[1]  # type: ignore
        for number in range(10):
            opened.journal.append(JournalItem(events=(event(number),)))
        opened.settle()
        assert groups == [1, 9]


def test_a_barrier_fires_when_everything_before_it_is_told(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        assert outcome(opened.journal.barrier()) == [None], "nothing to wait for"
        opened.journal.append(JournalItem(events=(event(),)))
        seen: list[int] = []
        opened.journal.barrier().addCallback(lambda _: seen.append(len(opened.told)))
        opened.journal.append(JournalItem(events=(event(),)))
        assert seen == []
        opened.settle()
        assert seen == [1]


def test_a_failing_listener_is_logged_and_does_not_stop_the_journal(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    expected_failures.append("listener failed")
    with Opened(tmp_path) as opened:
        opened.journal.set_listener(lambda told: 1 // 0)
        assert opened.append(events=(event(),)) == [None]
        assert opened.append(events=(event(),)) == [None]


def test_a_cancelled_deferred_does_not_undo_what_is_written(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        waiting = opened.journal.append(JournalItem(events=(event(),)))
        outcome(waiting)
        waiting.cancel()
        opened.settle()
        assert [told.seq for told in opened.told] == [1]


def test_events_are_read_back_page_by_page(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        for number in range(7):
            opened.append(events=(event(number),))
        page = outcome(opened.journal.read_events("order", 2, 3))
        rest = outcome(opened.journal.read_events("order", 5, 100))
        none = outcome(opened.journal.read_events("order", 7, 100))
        opened.settle()
        assert [each.seq for each in page[0]] == [3, 4, 5]
        assert [each.tag for each in rest[0]] == [told.tag for told in opened.told[5:]]
        assert rest[0][0].data == {"id": "TX-5", "price": Decimal("12.50")}
        assert none == [[]]


def test_a_key_is_bound_once(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        first = outcome(opened.journal.append(JournalItem(keys=(key(),), events=(event(),), is_intent=True)))
        other = outcome(opened.journal.append(JournalItem(keys=(key(order_id="TX-B"),), events=(event(),))))
        later = outcome(opened.journal.append(JournalItem(events=(event(),))))
        same = outcome(opened.journal.append(JournalItem(keys=(key(),), events=(event(),))))
        elsewhere = outcome(opened.journal.append(JournalItem(keys=(key(user="bob", order_id="TX-C"),))))
        opened.settle()
        assert first == later == same == elsewhere == [None]
        assert isinstance(other[0], IdempotencyKeyReuse)
        assert other[0].order == {"id": "TX-A-000001"}
        assert [told.seq for told in opened.told] == [1, 2, 3], "the refused one left no hole"


def test_two_keys_of_one_group_collide_as_well(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        opened.journal.append(JournalItem(meta={"group": "gathers behind this"}))
        first = outcome(opened.journal.append(JournalItem(keys=(key(),))))
        second = outcome(opened.journal.append(JournalItem(keys=(key(digest="cd" * 32),))))
        opened.settle()
        assert first == [None]
        assert isinstance(second[0], IdempotencyKeyReuse)


def test_an_item_that_cannot_be_written_does_not_take_its_group_with_it(
    tmp_path: Path, expected_failures: list[str]
) -> None:
    expected_failures.append("an item cannot be journaled")
    with Opened(tmp_path) as opened:
        opened.journal.append(JournalItem(meta={"group": "gathers behind this"}))
        parts = [outcome(opened.journal.append(JournalItem(events=(event(number),)))) for number in range(2)]
        bad = outcome(opened.journal.append(JournalItem(orders=(order(order_id=b"\xff".decode("latin-1")),))))
        opened.journal._queue[-1].orders = [("a", True, 1 << 70, None, b"")]  # what no check has foreseen
        parts += [outcome(opened.journal.append(JournalItem(events=(event(number),)))) for number in range(2)]
        opened.settle()
        assert parts == [[None]] * 4
        assert isinstance(bad[0], InternalError)
        assert [told.seq for told in opened.told] == [1, 2, 3, 4]


def test_nothing_is_taken_after_closing(tmp_path: Path) -> None:
    opened = Opened(tmp_path)
    waiting = outcome(opened.journal.append(JournalItem(events=(event(),))))
    opened.close()
    assert waiting == [None]
    assert isinstance(outcome(opened.journal.append(JournalItem()))[0], JournalUnavailable)
    assert isinstance(outcome(opened.journal.read_events("order", 0, 1))[0], JournalUnavailable)
    assert outcome(opened.journal.close()) == [None]
    assert opened.clock.getDelayedCalls() == []
    assert sorted(os.listdir(tmp_path)) == ["journal.db", "journal.db.high", "journal.db.lock"]


def test_a_journal_that_was_never_started_can_be_closed(tmp_path: Path) -> None:
    journal = Journal.open(str(tmp_path / "journal.db"), now_ns=lambda: NOW)
    assert outcome(journal.close()) == [None]
    Opened(tmp_path).close()


def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    with Opened(tmp_path / "data") as opened:
        opened.append(events=(event(),))
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()} == {0o600}


# -- order ids


def test_order_ids_are_short_and_differ_between_runs(tmp_path: Path) -> None:
    ids = set()
    for _ in range(3):
        with Opened(tmp_path) as opened:
            ids |= {opened.journal.next_order_id() for _ in range(2)}
    assert len(ids) == 6
    assert all(re.fullmatch(r"TX-[0-9A-Z]{9}-00000[12]", each) for each in ids)
    assert all(len(each) <= 20 for each in ids)


def test_order_ids_go_on_after_a_million(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        first = opened.journal.next_order_id()
        opened.journal._ids._count = 999_998
        last, beyond = opened.journal.next_order_id(), opened.journal.next_order_id()
        assert last.endswith("-999999")
        assert beyond.endswith("-000001")
        assert beyond != first
        assert max(len(last), len(beyond)) <= 20


def test_the_same_second_and_the_same_dice_give_another_stamp(tmp_path: Path) -> None:
    dice = iter([b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\2", b"\0\0\0\3"] * 2)
    stamps = []
    for _ in range(2):
        store = JournalStore(str(tmp_path / "j"), now_ns=lambda: NOW, random_bytes=lambda _: next(dice))
        stamps.append(store.stamp)
        store.close()
    assert len(set(stamps)) == 2


def test_a_stamp_fits_until_far_ahead() -> None:
    for now in (0, NOW, 253_402_300_799_000_000_000):
        assert re.fullmatch(r"[0-9A-Z]{9}", make_stamp(now, lambda size: b"\xff" * size))


# -- versions, locks, foreign files


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    Opened(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(ConfigError, match=f"version {VERSION + 1}, made by a newer txTrader") as caught:
        Opened(tmp_path)
    assert caught.value.path == "JOURNAL"


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.execute("CREATE TABLE cats (name)")
    connection.close()
    with pytest.raises(ConfigError, match="something else"):
        Opened(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"Dear diary, " * 100)
    with pytest.raises(ConfigError, match="not a database"):
        Opened(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/data"):
        Opened(tmp_path / "file" / "data")


def test_the_second_opener_is_told_who_has_it(tmp_path: Path) -> None:
    with (
        Opened(tmp_path),
        pytest.raises(ConfigError, match=rf"process {os.getpid()} holds the lock .*journal\.db\.lock"),
    ):
        Opened(tmp_path)
    Opened(tmp_path).close()


def test_a_link_to_the_journal_leads_to_the_same_lock(tmp_path: Path) -> None:
    with Opened(tmp_path):
        (tmp_path / "other.db").symlink_to(tmp_path / "journal.db")
        with pytest.raises(ConfigError, match="holds the lock"):
            Journal.open(str(tmp_path / "other.db"), now_ns=lambda: NOW)


def test_another_program_cannot_open_the_journal_meanwhile(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        opened.append(events=(event(),))
        connection = sqlite3.connect(tmp_path / "journal.db", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            connection.execute("SELECT count(*) FROM events").fetchone()
        connection.close()


def test_a_journal_that_another_program_has_open_is_refused(tmp_path: Path) -> None:
    Opened(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ConfigError, match="another program has it open"):
        Opened(tmp_path)
    connection.close()
    Opened(tmp_path).close()


# -- forgetting


def test_old_orders_go_with_their_keys_and_executions_and_open_ones_stay(tmp_path: Path) -> None:
    old = NOW - int(8 * DAY * 1e9)
    with Opened(tmp_path) as opened:
        ended = {"status": OrderStatus.FILLED, "update_time": old}
        opened.append(
            orders=(order("TX-old", **ended), order("TX-open", update_time=old), order("TX-new")),
            keys=(key("old", "TX-old"), key("open", "TX-open"), key("new", "TX-new")),
            executions=(
                execution("e-old", order_id="TX-old", time=old),
                execution("e-open", order_id="TX-open", time=old),
                execution("e-stray", time=old),
                execution("e-new"),
            ),
        )
        opened.clock.advance(600)
        opened.settle()
    with Opened(tmp_path) as again:
        assert [each.id for each in again.state.orders] == ["TX-open", "TX-new"]
        assert sorted(each.client_order_id for each in again.state.keys) == ["new", "open"]
        assert [each.exec_id for each in again.state.executions] == ["e-open", "e-new"]


def test_old_events_are_forgotten_and_the_chain_still_holds(tmp_path: Path) -> None:
    now = [NOW]
    options: dict[str, Any] = {"now_ns": lambda: now[0], "retention": Retention(events=100.0)}
    with Opened(tmp_path, **options) as opened:
        for number in range(1200):
            opened.journal.append(JournalItem(events=(event(number),)))
        opened.settle()
        now[0] += int(50e9)
        opened.append(events=(event(),))
        tag = opened.told[-2].tag
        now[0] += int(60e9)
        opened.clock.advance(600)
        opened.settle()
        assert opened.journal.base("order").seq == 1200
        assert opened.journal.base("order").tag == tag
        assert opened.journal.base("status").seq == 0
        now[0] += int(1e12)
        opened.clock.advance(600)
        opened.settle()
        assert opened.journal.base("order").seq == 1200, "the head stays"
        page = outcome(opened.journal.read_events("order", 0, 10))
        opened.settle()
        assert [each.seq for each in page[0]] == [1201]
    with Opened(tmp_path, **options) as again:
        assert again.journal.recovered is None
        assert again.journal.base("order").seq == 1200
        assert again.journal.heads["order"].seq == 1201


def test_events_that_somebody_reads_are_not_forgotten_under_him(tmp_path: Path) -> None:
    now = [NOW]
    with Opened(tmp_path, now_ns=lambda: now[0], retention=Retention(events=1.0)) as opened:
        opened.append(events=(event(1), event(2), event(3)))
        let_go = opened.journal.hold_events()
        now[0] += int(10e9)
        opened.clock.advance(600)
        opened.settle()
        assert opened.journal.base("order").seq == 0
        let_go()
        let_go()
        opened.clock.advance(600)
        opened.settle()
        assert opened.journal.base("order").seq == 2


def test_a_long_log_is_folded_in_and_does_not_grow_for_ever(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        for round_ in range(60):
            for number in range(20):
                bulk = {"x": str(round_) * 4000}  # SQLite does not write what has not changed
                opened.journal.append(JournalItem(orders=(order(f"TX-{number}", raw=bulk),)))
            opened.settle()
        assert (tmp_path / "journal.db-wal").stat().st_size < 6 << 20
        assert opened.journal._store._rows < 1000


def test_a_quiet_moment_is_used_for_a_checkpoint(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        for number in range(600):
            opened.journal.append(JournalItem(events=(event(number),)))
        opened.settle()
        assert opened.journal._store._rows == 600
        opened.clock.advance(0.5)
        opened.settle()
        assert opened.journal._store._rows == 600
        opened.clock.advance(0.6)
        opened.settle()
        assert opened.journal._store._rows == 0
