"""The journal when the process dies, the disk fills up or lies, and the file is not what it was (F17 to F20)."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journaling import NOW, Opened, event, execution, key, order, outcome

from txtrader.errors import ConfigError, JournalUnavailable
from txtrader.gateway.journal import JournalItem
from txtrader.gateway.journal_errors import WriteFailed

CHILD = [sys.executable, str(Path(__file__).with_name("journal_child.py"))]


def start(*words: str, wrap: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen([*wrap, *CHILD, *words], stdout=subprocess.PIPE, text=True)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def reopen(folder: Path) -> dict[str, Any]:
    done = subprocess.run([*CHILD, "open", str(folder)], stdout=subprocess.PIPE, text=True, timeout=60)
    return lines(done.stdout)[0]


def copy(folder: Path, target: Path) -> None:
    """Copy the files of a journal, log included, as a backup of a dead machine would."""
    target.mkdir()
    for name in ("journal.db", "journal.db-wal", "journal.db.high"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, target / name)


def abandoned(folder: Path, count: int) -> Opened:
    """Write `count` events and leave without closing: the log stays."""
    opened = Opened(folder)
    for number in range(count):
        opened.append(events=(event(number),), orders=(order(f"TX-{number}"),))
    opened.journal._store._lock.release()
    opened.journal._worker.stop()
    return opened


@pytest.mark.parametrize("seed", range(6))
def test_whatever_was_said_to_be_durable_survives_kill_minus_nine(tmp_path: Path, seed: int) -> None:
    """F01, I2 for the journal alone: kill it again and again, each time after some lines of output."""
    rng = random.Random(seed)
    durable: set[str] = set()
    told: dict[int, str] = {}
    epoch = None
    for _ in range(4):
        child = start("write", str(tmp_path))
        assert child.stdout is not None
        text = "".join(child.stdout.readline() for _ in range(rng.randint(1, 120)))
        child.send_signal(signal.SIGKILL)
        text += child.communicate(timeout=30)[0]
        first, *rest = lines(text)
        epoch = epoch or first["opened"]
        assert first["opened"] == epoch
        assert first["recovered"] is None
        assert durable <= set(first["orders"])
        assert first["seq"] >= max(told, default=0)
        assert len(first["orders"]) == first["keys"] == first["executions"] == first["seq"], "all or nothing"
        for line in rest:
            if "durable" in line:
                assert line["durable"] not in durable, "an id was given out twice"
                durable.add(line["durable"])
            if "told" in line:
                assert told.setdefault(line["told"], line["tag"]) == line["tag"]
    last = reopen(tmp_path)
    assert durable <= set(last["orders"])
    assert last["recovered"] is None


def test_the_second_process_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    """F19."""
    child = start("write", str(tmp_path))
    try:
        assert child.stdout is not None
        child.stdout.readline()
        second = subprocess.run([*CHILD, "open", str(tmp_path)], stdout=subprocess.PIPE, text=True, timeout=60)
        assert second.returncode == 2
        assert f"process {child.pid} holds the lock {tmp_path}/journal.db.lock" in lines(second.stdout)[0]["refused"]
    finally:
        child.kill()
        child.communicate(timeout=30)
    assert "opened" in reopen(tmp_path), "the lock of a dead process locks nobody out"


# -- a damaged log (F18)


def test_a_log_that_lost_its_tail_begins_a_new_epoch(tmp_path: Path) -> None:
    opened = abandoned(tmp_path / "a", 20)
    for cut in (1, 5_000, 30_000, 100_000):
        target = tmp_path / f"cut{cut}"
        copy(tmp_path / "a", target)
        # The log was made long at the start and is written from its beginning: find the last frame in use.
        end = used_bytes(target / "journal.db-wal")
        os.truncate(target / "journal.db-wal", end - cut)
        with Opened(target) as again:
            assert again.journal.epoch != opened.journal.epoch
            assert "it had reached 20" in (again.journal.recovered or "")
            assert again.journal.heads["order"].seq == 0
            assert again.append(events=(event(),)) == [None]
            epoch = again.journal.epoch
            ids = {again.journal.next_order_id() for _ in range(5)}
        with Opened(target) as third:
            assert third.journal.epoch == epoch, "the new lineage is whole"
            assert third.journal.heads["order"].seq == 1
            assert third.journal.next_order_id() not in ids


def used_bytes(log: Path) -> int:
    """The end of the last valid frame: those of the present turn carry the salts of the header."""
    data = log.read_bytes()
    salts, size, end = data[16:24], 24 + 4096, 32
    while data[end + 8 : end + 16] == salts:
        end += size
    return end


def test_a_log_that_is_gone_begins_a_new_epoch(tmp_path: Path) -> None:
    opened = abandoned(tmp_path / "a", 3)
    copy(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "journal.db-wal").unlink()
    with Opened(tmp_path / "b") as again:
        assert again.journal.recovered is not None
        assert again.journal.epoch != opened.journal.epoch


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_byte_in_the_log_never_goes_unnoticed(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    opened = abandoned(tmp_path / "a", 12)
    copy(tmp_path / "a", tmp_path / "b")
    log = tmp_path / "b" / "journal.db-wal"
    with log.open("r+b") as file:
        at = rng.randrange(32, used_bytes(log))
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ (1 << rng.randrange(8))]))
    try:
        again = Opened(tmp_path / "b")
    except ConfigError as error:
        assert "damaged" in error.message or "malformed" in error.message
        return
    assert again.journal.epoch != opened.journal.epoch
    assert again.journal.recovered is not None
    again.close()


def test_an_older_copy_of_the_file_begins_a_new_epoch(tmp_path: Path) -> None:
    with Opened(tmp_path / "a") as opened:
        opened.append(events=(event(),))
    copy(tmp_path / "a", tmp_path / "backup")
    with Opened(tmp_path / "a") as opened:
        opened.append(events=(event(),))
        ids = {opened.journal.next_order_id()}
    shutil.copyfile(tmp_path / "backup" / "journal.db", tmp_path / "a" / "journal.db")
    with Opened(tmp_path / "a") as again:
        assert again.journal.epoch != opened.journal.epoch
        assert "ends at 1, it had reached 2" in (again.journal.recovered or "")
        assert again.journal.next_order_id() not in ids


def test_a_copy_that_was_restored_whole_tells_other_tags_from_then_on(tmp_path: Path) -> None:
    """Nothing on the disk can show that: the tags do, to every client that was further."""
    now = [NOW]
    with Opened(tmp_path / "a", now_ns=lambda: now[0]) as opened:
        opened.append(events=(event(),))
    copy(tmp_path / "a", tmp_path / "b")
    tags = []
    for folder in ("a", "b"):
        now[0] += 1
        with Opened(tmp_path / folder, now_ns=lambda: now[0]) as opened:
            opened.append(events=(event(),))
            assert opened.told[0].seq == 2
            tags.append(opened.told[0].tag)
    assert tags[0] != tags[1]


def test_a_copy_without_its_high_water_file_begins_a_new_epoch(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        opened.append(events=(event(),))
    (tmp_path / "journal.db.high").unlink()
    with Opened(tmp_path) as again:
        assert again.journal.recovered == "the high-water file is gone"
    with Opened(tmp_path) as third:
        assert third.journal.recovered is None


def test_one_torn_mark_is_no_damage_and_two_are(tmp_path: Path) -> None:
    with Opened(tmp_path) as opened:
        opened.append(events=(event(),))
        opened.append(events=(event(),))
    high = tmp_path / "journal.db.high"
    marks = high.read_bytes()
    high.write_bytes(b"?" * 512 + marks[512:])
    with Opened(tmp_path) as again:
        assert again.journal.recovered is None
    high.write_bytes(b"?" * 1024)
    with Opened(tmp_path) as third:
        assert third.journal.recovered == "the high-water file is damaged"


def edit(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "journal.db")
    for statement in statements:
        assert connection.execute(statement).rowcount == 1
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "UPDATE events SET body = CAST(replace(body, '12.50', '12.51') AS BLOB) WHERE id & 255 = 2",
            "breaks at event 2",
        ),
        ("UPDATE events SET body = 'nonsense' WHERE id & 255 = 2", "breaks at event 2"),
        ("UPDATE events SET digest = zeroblob(32) WHERE id & 255 = 2", "breaks at event 2"),
        ("DELETE FROM events WHERE id & 255 = 2", "has a gap before event 3"),
        ("DELETE FROM events WHERE id & 255 = 3", "ends at 2, it had reached 3"),
    ],
)
def test_an_event_that_was_changed_or_taken_begins_a_new_epoch(tmp_path: Path, statement: str, why: str) -> None:
    with Opened(tmp_path) as opened:
        for number in range(3):
            opened.append(events=(event(number),))
    edit(tmp_path, statement)
    with Opened(tmp_path) as again:
        assert why in (again.journal.recovered or "")
        assert again.journal.heads["order"].seq == 0


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE orders SET record = CAST(replace(record, '12.50', '12.51') AS BLOB)", "order TX-A-000001"),
        ("UPDATE executions SET record = CAST(replace(record, '12.5', '12.6') AS BLOB)", "execution e1"),
        ("UPDATE executions SET record = 'nonsense'", "execution e1"),
        ("UPDATE keys SET order_id = 'TX-B'", "key c1"),
        ("UPDATE keys SET digest = x'ff'", "key c1"),
        ("UPDATE instruments SET record = replace(record, 'IBM', 'IBN')", "instrument 1"),
    ],
)
def test_a_rotten_record_is_refused_by_name(tmp_path: Path, statement: str, what: str) -> None:
    with Opened(tmp_path) as opened:
        opened.append(orders=(order(),), executions=(execution(),), keys=(key(),))
    edit(tmp_path, statement)
    with pytest.raises(ConfigError, match=f"{what} is not as it was written") as caught:
        Opened(tmp_path)
    assert caught.value.reason == "damaged"


# -- a disk that refuses writes (F17)


def test_on_a_full_disk_intents_fail_and_facts_wait(tmp_path: Path) -> None:
    child = start("full", str(tmp_path), str(5 << 20))
    said = lines(child.communicate(timeout=120)[0])
    assert child.returncode == 0
    assert not [line for line in said if "error" in line], said[-1]
    words = {name: value for line in said for name, value in line.items()}
    assert [line["available"] for line in said if "available" in line] == [False, True]
    assert words["failed"] == "journal-unavailable"
    assert words["readable"] == 5
    assert words["still_full"] is True
    assert words["available_now"] is True
    seqs = [line["told"] for line in said if "told" in line]
    assert seqs == list(range(1, len(seqs) + 1)), "no hole, nothing twice"
    facts = [line["key"] for line in said if line.get("key")]
    assert len(facts) == words["facts"]
    assert facts[-1] == "while full"
    assert facts[:-1] == [f"fact {number}" for number in range(1, len(facts))], "in their sequence"
    after = reopen(tmp_path)
    assert after["recovered"] is None
    assert after["seq"] == seqs[-1]
    durable = {line["durable"] for line in said if "durable" in line}
    failed = {line["id"] for line in said if "failed" in line}
    assert durable <= set(after["orders"])
    assert not failed & set(after["orders"])


def limited(folder: Path, size: int) -> subprocess.CompletedProcess[str]:
    """Open the journal in a process that may not make files longer than `size` bytes."""
    words = [*CHILD, "open", str(folder), str(size)]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=60)


def test_a_small_disk_is_enough_to_begin_and_a_full_one_is_named(tmp_path: Path) -> None:
    small = limited(tmp_path / "small", 1 << 20)
    assert small.returncode == 0
    assert lines(small.stdout)[0]["recovered"] is None
    full = limited(tmp_path / "full", 3000)
    assert full.returncode == 2
    assert "the disk does not take writes" in lines(full.stdout)[0]["refused"]


@pytest.mark.parametrize("rounds", [1, 2])
def test_intents_that_wait_fail_at_once_and_facts_go_first_afterwards(
    tmp_path: Path, rounds: int, expected_failures: list[str]
) -> None:
    expected_failures.append("intents are refused")
    with Opened(tmp_path) as opened:
        store, write = opened.journal._store, opened.journal._store.write
        is_full = [True]

        def refuse(batch: Any) -> None:
            if is_full[0]:
                raise WriteFailed("the disk is full")
            write(batch)

        store.write = refuse  # type: ignore[method-assign]
        found = [
            outcome(
                opened.journal.append(JournalItem(events=(event(number, key=str(number)),), is_intent=number % 2 > 0))
            )
            for number in range(6)
        ]
        opened.settle()
        assert [len(each) for each in found] == [0, 1, 0, 1, 0, 1]
        assert all(isinstance(found[number][0], JournalUnavailable) for number in (1, 3, 5))
        assert opened.changes == [False]
        assert isinstance(outcome(opened.journal.append(JournalItem(is_intent=True)))[0], JournalUnavailable)
        for _ in range(rounds):
            opened.clock.advance(1)
            opened.settle()
            assert opened.changes == [False], "the probe went well, the facts did not"
        is_full[0] = False
        opened.clock.advance(1)
        opened.settle()
        assert opened.changes == [False, True]
        assert [(told.seq, told.key) for told in opened.told] == [(1, "0"), (2, "2"), (3, "4")]
        assert opened.append(events=(event(),), is_intent=True) == [None]


def test_a_journal_closes_on_a_full_disk_and_says_what_is_lost(tmp_path: Path, expected_failures: list[str]) -> None:
    expected_failures.append("intents are refused")
    opened = Opened(tmp_path)

    def refuse(batch: Any) -> None:
        raise WriteFailed("the disk is full")

    opened.journal._store.write = refuse  # type: ignore[method-assign]
    fact = outcome(opened.journal.append(JournalItem(events=(event(),))))
    opened.settle()
    assert fact == []
    opened.close()
    assert isinstance(fact[0], JournalUnavailable)
    assert opened.clock.getDelayedCalls() == []


# -- a disk that lies


@pytest.mark.root
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_after_a_failed_sync_nothing_is_tried_again(tmp_path: Path) -> None:
    """F17: the third sync of the log fails; the handle is given up, the process is told to end."""
    Opened(tmp_path).close()
    trace = tmp_path / "trace"
    log = str(tmp_path / "journal.db-wal")
    wrap = ("strace", "-f", "-o", str(trace), "-P", log, "-e", "trace=fdatasync,fsync,pwrite64", "-e")
    # The log's file is made anew at each start; the syncs before the first item belong to the opening.
    child = start("write", str(tmp_path), wrap=(*wrap, "inject=fdatasync:error=EIO:when=8+"))
    said = lines(child.communicate(timeout=60)[0])
    if not trace.read_text().count("fdatasync"):
        pytest.skip("strace may not trace here")
    words = {name: value for line in said for name, value in line.items()}
    assert "SQLITE_IOERR_FSYNC" in words["fatal"]
    assert words["failed"] == "journal-unavailable"
    calls = trace.read_text().splitlines()
    first = next(number for number, line in enumerate(calls) if "EIO" in line)
    assert not [line for line in calls[first + 1 :] if "sync(" in line or "pwrite64(" in line]
    durable = {line["durable"] for line in said if "durable" in line}
    assert durable <= set(reopen(tmp_path)["orders"])


@pytest.mark.root
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_an_item_is_called_durable_only_after_its_sync_has_returned(tmp_path: Path) -> None:
    """F20, G2: between the writing of an order's id to the log and the word that it is durable lies a sync."""
    trace = tmp_path / "trace"
    wrap = ("strace", "-f", "-y", "-s", "4096", "-o", str(trace), "-e", "trace=fdatasync,pwrite64,write")
    child = start("write", str(tmp_path), wrap=wrap)
    assert child.stdout is not None
    pid = json.loads(child.stdout.readline())["pid"]
    ids: list[str] = []
    while len(ids) < 8:
        words = json.loads(child.stdout.readline())
        if "durable" in words:
            ids.append(words["durable"])
    os.kill(pid, signal.SIGKILL)
    child.communicate(timeout=60)
    calls = trace.read_text().splitlines()
    for id_ in ids:
        written = next(at for at, line in enumerate(calls) if "pwrite64" in line and "-wal>" in line and id_ in line)
        said = next(at for at, line in enumerate(calls) if "write(1<" in line and f'durable\\": \\"{id_}' in line)
        synced = [at for at in range(written, said) if "fdatasync" in calls[at] and calls[at].rstrip().endswith("= 0")]
        assert synced, f"{id_} was called durable before the sync returned"
