"""Recorded conversations of a client on simplefix: sound to the last field, written back as they came, and read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from txtrader.dialects.fix_reports import Report, contract_of, position_of, report_of, status_of
from txtrader.model.order import OrderStatus
from txtrader.wire.fix.dictionary import Dictionary, dictionary
from txtrader.wire.fix.framing import Framer, encode, parse
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.validation import find_fault

FILES = sorted((Path(__file__).parents[1] / "golden" / "fix").glob("*.txt"))
BEGIN = {"fix42": "FIX.4.2", "fix44": "FIX.4.4", "fix50": "FIXT.1.1"}
S = OrderStatus


def frames(path: Path) -> list[tuple[str, bytes]]:
    """Return direction and bytes of each message, in the sequence of the recording."""
    lines = [line for line in path.read_text().splitlines() if line[0] in "<>"]
    return [(line[0], line[2:].replace("|", "\x01").encode("latin-1")) for line in lines]


def messages(path: Path) -> list[tuple[str, Message]]:
    known = dictionary(BEGIN[path.stem])
    return [(way, read(data, known)) for way, data in frames(path)]


def read(data: bytes, known: Dictionary) -> Message:
    framer = Framer()
    framer.feed(data)
    frame = framer.next_frame()
    assert frame is not None and frame[0] is not None, data
    message = parse(frame[0], known)
    assert message is not None, data
    return message


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_the_recordings_are_there():
    assert {path.stem for path in FILES} == set(BEGIN)
    assert all(path.read_text().startswith("# simplefix") for path in FILES), "each says where it comes from"


def test_every_message_is_sound_and_is_written_as_it_came(path):
    known = dictionary(BEGIN[path.stem])
    count = 0
    for _, data in frames(path):
        message = read(data, known)
        assert find_fault(message, known) is None, message
        assert encode(message[8], message.fields[1:]) == data
        count += 1
    assert count > 20


def test_the_reports_say_what_happened(path):
    reports = [report_of(message) for way, message in messages(path) if way == "<" and message.type == "8"]
    said = [(one.event, one.cl_ord_id, one.orig_cl_ord_id, status_of(one, None), one.filled) for one in reports[:6]]
    assert said == [
        ("0", "G1", None, S.NEW, Decimal(0)),
        ("F", "G1", None, S.PARTIALLY_FILLED, Decimal(40)),
        ("5", "G2", "G1", S.PARTIALLY_FILLED, Decimal(40)),
        ("4", "G4", "G2", S.CANCELED, Decimal(40)),
        ("8", "G5", None, S.REJECTED, Decimal(0)),
        ("I", "G4", "G2", S.CANCELED, Decimal(40)),
    ]
    fill, replaced, rejected = reports[1], reports[2], reports[4]
    assert (fill.shares, fill.price, fill.commission, fill.account) == (
        Decimal(40), Decimal("99.5"), Decimal(1), "DU1000001",
    )  # fmt: skip
    assert (replaced.quantity, replaced.limit_price) == (Decimal(120), Decimal("99.25"))
    assert (rejected.quantity, rejected.limit_price) == (None, None), "what a reject repeats is nobody's terms"
    assert "tick" in (rejected.text or "") and rejected.reason is not None
    if path.stem != "fix42":
        assert is_empty(reports[6])


def is_empty(report: Report) -> bool:
    """Tell whether this is the answer of a broker that has no open order."""
    return report.is_of_no_order and report.total == 0 and report.is_last


def test_positions_and_instruments_are_named_alike(path):
    group = dictionary(BEGIN[path.stem]).messages
    if path.stem == "fix42":
        assert "AP" not in group and "y" not in group, "4.2 has no words for either"
        return
    (listed,) = [message for _, message in messages(path) if message.type == "y"]
    (held,) = [message for _, message in messages(path) if message.type == "AP"]
    (entry,) = listed.entries(146, group["y"].groups[146].first, group["y"].groups[146].tags)
    assert contract_of(entry).id == contract_of(held).id == "IBM"
    assert contract_of(entry).tick == (Decimal("0.01") if path.stem == "fix50" else None)
    assert position_of(held, held.entries(702, 703, group["AP"].groups[702].tags)) == Decimal(40)
