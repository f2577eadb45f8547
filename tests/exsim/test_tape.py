"""The tape: in order, bounded, and the same bytes for the same facts."""

from __future__ import annotations

import hashlib
from decimal import Decimal

from exsim_venue import Stage

from txtrader.exsim.tape import Tape


def test_records_are_numbered_timed_and_bounded():
    times = iter(range(100, 200))
    tape = Tape(lambda: next(times), keep=3)
    for n in range(5):
        tape.write("fact", n, Decimal("1.50"), None)
    assert [record[:4] for record in tape] == [(3, 102, "fact", 2), (4, 103, "fact", 3), (5, 104, "fact", 4)]
    assert [record[0] for record in tape.since(3)] == [4, 5]
    assert tape.since(3, limit=1)[0][0] == 4
    assert tape.of_kind("other") == []
    assert tape.count == 5


def test_the_digest_is_over_all_records_also_those_no_longer_kept():
    written = []
    tape = Tape(lambda: 7, keep=2, on_bytes=written.append)
    for n in range(2_000):
        tape.write("fact", n, "text", Decimal("2.50"))
    digest = tape.digest()
    data = b"".join(written)
    assert hashlib.sha256(data).hexdigest() == digest == tape.digest()
    assert data.count(b"\n") == 2_000
    assert data.startswith(b'[1,7,"fact",0,"text","2.50"]\n')


def test_everything_asked_decided_and_told_is_on_the_tape():
    stage = Stage()
    order = stage.sell(10, "100.00", client_order_id="mine")
    stage.buy(10, "100.00")
    stage.venue.cancel("a", 1)
    kinds = [record[2] for record in stage.venue.tape]
    for kind in ("start", "wake", "new", "ack", "rest", "match", "fill", "commission", "cancel"):
        assert kind in kinds, kind
    new = stage.venue.tape.of_kind("new")[0]
    assert new[3:7] == ("b", order.id, "mine", "B2")
