"""FIX: frames out of a buffer to checked messages, and messages to frames, against simplefix doing less."""

from __future__ import annotations

import time

import simplefix

from benchmarks.harness import Result, Target, Void, compare
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.framing import Framer, encode, parse
from txtrader.wire.fix.validation import find_fault

VERSION = "FIX.4.4"
MESSAGES = 20_000
SECOND_OPINION = 5_000  # simplefix is given fewer: a rate is a rate


def fields(number: int) -> list[tuple[int, str]]:
    """Return an order of nineteen fields; its number, id, price and time differ from message to message."""
    stamp = f"20261120-14:{number // 6000 % 60:02d}:{number // 100 % 60:02d}.{number % 100 * 10:03d}"
    return [
        *[(35, "D"), (34, str(number)), (49, "CLIENT1"), (52, stamp), (56, "VENUE"), (1, "ACCT01")],
        *[(11, f"ORDER-{number:08d}"), (21, "1"), (38, "100"), (40, "2"), (44, f"{100 + number % 50}.25")],
        *[(54, "1"), (55, "IBM"), (59, "0"), (60, stamp), (100, "XNYS")],
    ]


def run(rounds: int = 5) -> list[Result]:
    """Decode one buffer of orders message by message; encode the same orders."""
    orders = [fields(number) for number in range(1, MESSAGES + 1)]
    stream = b"".join(encode(VERSION, order) for order in orders)
    few = b"".join(encode(VERSION, order) for order in orders[:SECOND_OPINION])
    known = dictionary(VERSION)

    def decode() -> dict[str, float]:
        framer, count, start = Framer(), 0, time.perf_counter()
        for place in range(0, len(stream), 65536):
            framer.feed(stream[place : place + 65536])
            while (frame := framer.next_frame()) is not None:
                message = None if frame[0] is None else parse(frame[0], known)
                if message is None or find_fault(message, known) is not None:
                    raise Void("an order was not sound")
                count += 1
        took = time.perf_counter() - start
        if count != MESSAGES:
            raise Void(f"{count} of {MESSAGES} orders were read")
        return {"value": count / took}

    def decode_theirs() -> dict[str, float]:
        parser, count, start = simplefix.FixParser(), 0, time.perf_counter()
        for place in range(0, len(few), 65536):
            parser.append_buffer(few[place : place + 65536])
            while parser.get_message() is not None:
                count += 1
        took = time.perf_counter() - start
        if count != SECOND_OPINION:
            raise Void(f"{count} of {SECOND_OPINION} orders were read")
        return {"value": count / took}

    def write() -> dict[str, float]:
        start = time.perf_counter()
        size = sum(len(encode(VERSION, order)) for order in orders)
        took = time.perf_counter() - start
        if size != len(stream):
            raise Void("other bytes")
        return {"value": MESSAGES / took}

    def write_theirs() -> dict[str, float]:
        start = time.perf_counter()
        size = 0
        for order in orders[:SECOND_OPINION]:
            message = simplefix.FixMessage()
            message.append_pair(8, VERSION)
            for tag, value in order:
                message.append_pair(tag, value)
            size += len(message.encode())
        took = time.perf_counter() - start
        if size != len(few):
            raise Void("other bytes")
        return {"value": SECOND_OPINION / took}

    parameters = {"messages": MESSAGES, "fields": len(orders[0]) + 3, "bytes": len(stream) // MESSAGES}
    return [
        *compare(
            "B19 decode",
            "FIX decoding",
            ours=decode,
            theirs=decode_theirs,
            targets={"value": Target(at_least=5.0)},
            unit="messages/s",
            ours_are="frame, checksum, fields, validation by dictionary",
            theirs_are="simplefix: parsing alone, nothing checked",
            parameters=parameters,
            rounds=rounds,
        ),
        *compare(
            "B19 encode",
            "FIX encoding",
            ours=write,
            theirs=write_theirs,
            targets={"value": Target(at_least=2.4)},
            unit="messages/s",
            ours_are="fields to a frame with length and checksum",
            theirs_are="simplefix: the same bytes",
            parameters=parameters,
            rounds=rounds,
        ),
    ]
