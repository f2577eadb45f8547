"""The conformance kit: sound engines pass everything, one with a fault fails what names the fault and nothing else."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "net"))
from certificates import make_certificate
from fix_targets import Acceptor, Change, Fault, Initiator, Relay, each_frame, reframed

from txtrader.cli_exsim import _command as exsim
from txtrader.exsim.conformance.case import ACCEPTOR, INITIATOR, VERSIONS, Case
from txtrader.exsim.conformance.cases import ALL_CASES
from txtrader.exsim.conformance.frames import BEGIN_STRINGS, Reader, frame, shown
from txtrader.exsim.conformance.plan import Plan
from txtrader.exsim.conformance.report import case_table
from txtrader.exsim.conformance.runner import Result, choose, run
from txtrader.testing.daemon import ROOT
from txtrader.wire.fix.session import SessionOptions
from txtrader.wire.fix.validation import Switches

SCRIPT = Path(__file__).parent / "clients" / "fix_acceptor_script.py"


@pytest.fixture(scope="module")
def venue_port() -> Iterator[int]:
    """A simulated venue in a process of its own: for C0 to C9, with the password `secret` from 4.4 on."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        env={"PYTHONPATH": str(ROOT)},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate(timeout=10)


def outcomes(results: list[Result]) -> dict[str, str]:
    """Return what was not passed, in words."""
    return {
        result.id: result.reason or f"{result.outcome}: expected {result.expected}; seen: {result.seen}"
        for result in results
        if result.outcome != "pass"
    }


def side_by_side(plan: Plan, senders: list[str]) -> dict[str, str]:
    """Play all cases of a plan, the slow ones beside the others, each part as a client of its own."""
    cases = choose(plan)
    slow = [case for case in cases if case.id.startswith("heartbeat.")]
    parts = [[case] for case in slow] + [[case for case in cases if case not in slow]]
    with ThreadPoolExecutor(len(parts)) as pool:
        plans = [msgspec.structs.replace(plan, sender=sender) for sender in senders]
        found = pool.map(lambda part, own: list(run(own, part)), parts, plans)
    results = [result for part in found for result in part]
    assert len(results) == len(cases)
    return outcomes(results)


def test_the_venue_passes_every_case_orders_too(venue_port):
    def tested(version: str) -> dict[str, str]:
        password = None if version == "4.2" else "secret"
        plan = Plan(port=venue_port, version=version, sender="", target="EXSIM", password=password, symbol="IBM")
        plan = msgspec.structs.replace(plan, heartbeat=1, timeout=2.0)
        return side_by_side(plan, [f"C{number}" for number in range(8)])

    with ThreadPoolExecutor(len(VERSIONS)) as pool:
        found = dict(zip(VERSIONS, pool.map(tested, VERSIONS), strict=True))
    assert found == {
        "4.2": {"logon.wrong-password": "no password is known (--password)"},
        "4.4": {},
        "5.0SP2": {},
    }


def test_our_initiator_passes_every_case():
    def tested(version: str, part: list[Case]) -> list[Result]:
        plan = Plan(port=0, version=version, sender="KIT", target="TESTED", role=INITIATOR, timeout=2.0, patience=5.0)
        initiators: list[Initiator] = []
        came = lambda port: initiators.append(Initiator(port, BEGIN_STRINGS[version], resets=version != "4.2"))  # noqa: E731
        results = list(run(plan, part, on_listening=came))
        initiators[0].join()
        return results

    jobs = []
    for version in VERSIONS:
        cases = choose(Plan(port=0, version=version, sender="KIT", target="TESTED", role=INITIATOR))
        slow = [case for case in cases if case.id.startswith("heartbeat.") or case.id == "initiator.no-answer"]
        jobs += [(version, part) for part in (*([case] for case in slow), [one for one in cases if one not in slow])]
    with ThreadPoolExecutor(len(jobs)) as pool:
        played = list(pool.map(lambda job: tested(*job), jobs))
    found = {version: {} for version in VERSIONS}
    for (version, _), results in zip(jobs, played, strict=True):
        found[version] |= outcomes(results)
    resets = {"initiator.too-high": "it resets by 141=Y: then the answer has number 1"}
    assert found == {"4.2": {}, "4.4": resets, "5.0SP2": resets}


# -- targets with one fault


def _wrong_checksum(data: bytes) -> bytes:
    return data[:-4] + b"%03d\x01" % ((int(data[-4:-1]) + 7) % 256)


def _wrong_length(data: bytes) -> bytes:
    data = re.sub(rb"\x019=(\d+)\x01", lambda found: b"\x019=%d\x01" % (int(found[1]) + 1), data, count=1)
    head = data[: data.rindex(b"10=")]
    return head + b"10=%03d\x01" % (sum(head) % 256)


def _deaf_to_questions(data: bytes) -> bytes:
    """Take TestRequests for Heartbeats."""
    return reframed(data.replace(b"\x0135=1\x01", b"\x0135=0\x01")) if reframed(data) == data else data


def _counts_garbled(data: bytes) -> bytes:
    """Take what is garbled for a Heartbeat of its number."""
    if reframed(data) == data or b"\x0149=" not in data:
        return data
    fields = dict(part.partition(b"=")[::2] for part in data.split(b"\x01"))
    body = b"\x01".join(b"%b=%b" % (tag, fields[tag]) for tag in (b"34", b"49", b"52", b"56"))
    return reframed(b"8=FIX.4.4\x019=0\x0135=0\x01" + body + b"\x0110=000\x01")


def _ignores_low_numbers() -> Change:
    """Drop what has a number that was used, unless it is marked as a duplicate or begins anew."""
    highest = 0

    def change(data: bytes) -> bytes:
        nonlocal highest
        found = re.search(rb"\x0135=(.)\x0134=(\d+)\x01", data)
        if found is None or reframed(data) != data:
            return data
        number, new = int(found[2]), re.search(rb"\x0136=(\d+)\x01", data)
        if b"\x01141=Y\x01" in data:
            highest = number
        elif found[1] == b"4" and new is not None:
            highest = max(highest, int(new[1]) - 1)
        elif number > highest:
            highest = number
        elif found[1] in b"015" and b"\x0143=Y\x01" not in data:
            return b""
        return data

    return each_frame(change)()


def _resends_heartbeats(data: bytes) -> bytes:
    """Repeat each message that a gap fill steps over as a Heartbeat."""
    found = re.search(rb"\x0134=(\d+)\x01.*\x0136=(\d+)\x01123=Y\x01", data)
    if found is None:
        return data
    plain = re.sub(rb"\x0136=\d+\x01123=Y\x01", b"\x01", data).replace(b"\x0135=4\x01", b"\x0135=0\x01")
    numbers = range(int(found[1]), int(found[2]))
    return b"".join(reframed(re.sub(rb"\x0134=\d+", b"\x0134=%d" % number, plain)) for number in numbers)


def _takes_lower_resets(data: bytes) -> bytes:
    """Say nothing to a reset to 2: it is dropped."""
    return b"" if b"\x0135=4\x01" in data and b"123=N\x0136=2\x01" in data else data


def _whole_pieces_only() -> Change:
    """Take each piece that TCP brings for whole messages, and drop what is none."""
    return lambda data: data if data.startswith(b"8=") and re.search(rb"\x0110=[^\x01]*\x01$", data) else b""


def _closes_without_word(data: bytes) -> bytes:
    return b"" if b"\x0135=5\x01" in data else data


LOOSE = Switches(has_order=False, has_values=False, checks_unknown=False, checks_user_defined=False)
AFTER_RETURN = {"logon.continues", "logout.after-cut", "logout.half-message", "logout.missed", "resend.after-return"}
LOW = {"number.too-low", "number.too-low-text"}
FAULTS: dict[str, tuple[Fault, set[str]]] = {
    "none": (Fault(), set()),
    "a wrong checksum on everything": (Fault(outgoing=each_frame(_wrong_checksum)), {"sent.checksum"}),
    "a wrong length on everything": (Fault(outgoing=each_frame(_wrong_length)), {"sent.length"}),
    "no answer to a TestRequest": (
        # What needs that answer only as a proof is skipped.
        Fault(incoming=each_frame(_deaf_to_questions)),
        {
            "heartbeat.test-request",
            "heartbeat.long-test-request",
            "number.duplicate",
            "number.gap-queue",
            "number.new-duplicate",
            "number.possible-resend",
            "garbled.length-long",
            "garbled.no-length",
            "field.any-order",
            "field.missing",
            "field.missing-in-gap",
            "field.several",
            "message.routing",
            "stream.after-logon",
            "stream.big",
            "stream.garbled-among-sound",
            "stream.bytewise",
            "stream.many",
            "stream.odd-pieces",
        },
    ),
    "garbled messages count": (
        Fault(incoming=each_frame(_counts_garbled)),
        {
            "garbled.checksum",
            "garbled.impossible-checksum",
            "garbled.length-long",
            "garbled.length-short",
            "garbled.no-length",
            "garbled.then-gap",
            "stream.garbled-among-sound",
            "stream.separators",  # it ends a message at the first 10=, and that is garbled, too
        },
    ),
    "low numbers are ignored": (
        Fault(incoming=_ignores_low_numbers),
        LOW | {"garbled.letters-in-tag"},  # whose number it remembers
    ),
    "Heartbeats are sent again": (Fault(outgoing=each_frame(_resends_heartbeats)), {"resend.session-messages"}),
    "a reset may go back": (Fault(incoming=each_frame(_takes_lower_resets)), {"reset.backwards"}),
    "no Logout is ever sent": (
        Fault(outgoing=each_frame(_closes_without_word)),
        LOW
        | {"logout.answered", "logout.closed", "logout.with-gap", "logout.with-text"}
        | {"message.of-the-future", "message.old", "message.wrong-sender", "message.wrong-target"}
        | {"message.wrong-version", "number.duplicate-of-the-future", "reset.gap-fill-too-low"},
    ),
    "141=Y is not repeated": (
        Fault(outgoing=each_frame(lambda data: reframed(data.replace(b"\x01141=Y\x01", b"\x01")))),
        {"logon.reset-answered", "number.reset-in-session"},
    ),
    "the time is not looked at": (
        Fault(options=SessionOptions(checks_time=False)),
        {"message.old", "message.of-the-future"},
    ),
    "CompIDs are not looked at": (
        Fault(options=SessionOptions(checks_identity=False)),
        {"message.wrong-sender", "message.wrong-target"},
    ),
    "fields are hardly looked at": (
        Fault(options=SessionOptions(switches=LOOSE)),
        {"field.elsewhere", "field.empty", "field.empty-header", "field.order", "field.several"}
        | {"field.unknown", "field.zero"},
    ),
    "fields are not looked at at all": (
        Fault(options=SessionOptions(switches=Switches(validates=False))),
        {"field.elsewhere", "field.empty-header", "field.order", "field.several", "field.time", "field.twice"}
        | {"field.unknown", "field.value", "field.zero"},
    ),
    "numbers are forgotten": (Fault(has_memory=False), AFTER_RETURN | {"logon.too-high", "logon.too-low"}),
    "one identity twice": (Fault(shares=True), {"logon.second"}),
    "no clock": (
        Fault(has_clock=False),
        {f"heartbeat.{name}" for name in ("answered", "any-message", "asks", "sent", "unanswered")},
    ),
}
_PARTS = 12


def play_against(fault: Fault) -> dict[str, str]:
    """Play the cases against an acceptor with a fault; those of timers only where the fault is one of time."""
    acceptor = Acceptor(fault)
    heartbeat = 30 if fault.has_clock else 1
    plan = Plan(port=acceptor.port, sender="", target="TESTED", heartbeat=heartbeat, timeout=1.2)
    timed = {case.id for case in ALL_CASES if case.id.startswith("heartbeat.")} - {"heartbeat.long-test-request"}
    cases = [case for case in choose(plan) if not (case.is_basis or (fault.has_clock and case.id in timed))]
    basis = [case for case in choose(plan) if case.is_basis]

    def part(number: int) -> list[Result]:
        own = msgspec.structs.replace(plan, sender=f"KIT{number}")
        return list(run(own, [*basis, *cases[number::_PARTS]]))

    with ThreadPoolExecutor(_PARTS) as pool:
        results = [result for found in pool.map(part, range(_PARTS)) for result in found]
    acceptor.close()
    return {one.id: f"{one.expected}; {one.seen}" for one in results if one.outcome in ("FAIL", "warn")}


def test_each_fault_fails_the_cases_that_name_it_and_no_others():
    with ThreadPoolExecutor(len(FAULTS)) as pool:
        found = dict(zip(FAULTS, pool.map(play_against, [fault for fault, _ in FAULTS.values()]), strict=True))
    for name, (_, expected) in FAULTS.items():
        assert set(found[name]) == expected, (name, found[name])


def test_an_acceptor_that_takes_a_piece_of_tcp_for_a_message_is_found_out():
    acceptor = Acceptor(Fault(incoming=_whole_pieces_only))
    plan = Plan(port=acceptor.port, sender="KIT", target="TESTED", timeout=0.3)
    cases = choose(plan, ["logon.accepted", "stream.bytewise", "stream.odd-pieces", "stream.many"])
    assert set(outcomes(list(run(plan, cases)))) == {"stream.bytewise", "stream.odd-pieces"}
    acceptor.close()


def test_an_initiator_with_a_fault_fails_what_names_it():
    def believes_anyone(data: bytes) -> bytes:
        return reframed(data.replace(b"\x0149=SOMEBODY-ELSE\x01", b"\x0149=KIT\x01"))

    def asks_for_no_interval(data: bytes) -> bytes:
        return reframed(re.sub(rb"\x01108=\d+\x01", b"\x01", data))

    plan = Plan(port=0, sender="KIT", target="TESTED", role=INITIATOR, timeout=1.2, patience=5.0)
    found = []
    for fault in (
        Fault(incoming=each_frame(believes_anyone)),
        Fault(outgoing=each_frame(asks_for_no_interval)),
    ):
        initiators: list[Initiator] = []
        came = lambda port: initiators.append(Initiator(port, "FIX.4.4", fault=fault))  # noqa: B023, E731  called at once
        cases = choose(plan, ["initiator.logon", "initiator.wrong-comp-id", "message", "initiator.refused"])
        found.append({one.id for one in run(plan, cases, on_listening=came) if one.outcome == "FAIL"})
        initiators[0].join()
    assert found[0] == {"initiator.wrong-comp-id", "message.wrong-sender"}
    assert found[1] == {"initiator.logon"}


# -- orders


ENDS_CANCELED = {"rests", "duplicate-id", "replace", "old-name", "status", "possible-resend", "resent", "survives"}


@pytest.mark.parametrize(
    ("has", "old", "new", "failing"),
    [
        (b"150=F", rb"\x016=[^\x01]*", b"\x016=1.25", {"fill", "too-late"}),
        (b"150=F", rb"\x01151=0", b"\x01151=5", {"fill", "too-late"}),
        (b"150=F", rb"\x0132=[^\x01]*", b"\x0132=99", {"fill", "too-late"}),
        (b"150=4", rb"\x01151=0", b"\x01151=5", {*ENDS_CANCELED, "mass-cancel", "immediate", "fill-or-kill"}),
        (b"150=I", rb"\x0114=0", b"\x0114=7", {"status", "possible-resend", "survives"}),
        (b"150=I", rb"\x01150=I", b"\x01150=0", {"status", "possible-resend"}),
        (b"150=8", rb"\x01103=[^\x01]*", b"", {"duplicate-id", "unknown-symbol", "no-quantity", "no-price"}),
        (b"150=5", rb"\x0137=[^\x01]*", b"", {"replace", "old-name"}),
    ],
)
def test_a_report_that_lies_fails_the_cases_that_read_it(venue_port, has, old, new, failing):
    def lying(data: bytes) -> bytes:
        is_meant = b"\x0135=8\x01" in data and b"\x01" + has + b"\x01" in data
        return reframed(re.sub(old, new, data)) if is_meant else data

    relay = Relay(venue_port, each_frame(lying))
    plan = Plan(port=relay.port, sender="C9", target="EXSIM", password="secret", timeout=1.0, symbol="IBM")
    found = outcomes(list(run(plan, choose(plan, ["order"]))))
    relay.close()
    assert {name.removeprefix("order.") for name in found} == failing, found


# -- the command


def invoke(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(exsim, ["conformance", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.output


def test_the_command_prints_a_line_for_each_case_and_writes_both_files(venue_port, tmp_path):
    to = ["--port", venue_port, "--sender", "C8", "--target", "EXSIM", "--password", "secret"]
    files = ["--json", tmp_path / "found.json", "--junit", tmp_path / "found.xml"]
    code, text = invoke(*to, *files, "--case", "logon.accepted", "--case", "reset.", "--case", "order.rests")
    lines = text.splitlines()
    assert code == 0
    assert [line.split()[:2] for line in lines[:2]] == [["pass", "logon.accepted"], ["pass", "reset.gap-fill"]]
    assert "order.rests" in lines[-2] and lines[-2].endswith("orders are not sent without --orders SYMBOL")
    assert lines[-1].startswith("FIX 4.4 acceptor EXSIM: 11 passed, 0 failed, 1 skipped in ")
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["counts"] == {"pass": 11, "FAIL": 0, "warn": 0, "skip": 1}
    said = [line["text"] for line in found["results"][0]["lines"] if line["who"] == ">"]
    assert "|35=A|" in said[0] and "|554=***|" in said[0] and "secret" not in json.dumps(found)
    suite = ElementTree.parse(tmp_path / "found.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("12", "0", "1")


def test_a_failure_says_what_was_expected_and_shows_the_bytes(venue_port, tmp_path):
    relay = Relay(venue_port, each_frame(lambda data: reframed(data.replace(b"\x01112=", b"\x01112=NOT "))))
    to = ["--port", relay.port, "--sender", "C8", "--target", "EXSIM", "--password", "secret", "--timeout", 0.5]
    code, text = invoke(*to, "--case", "heartbeat.test-request", "-v", "--junit", tmp_path / "found.xml")
    relay.close()
    assert code == 1
    assert "FAIL  heartbeat.test-request" in text
    assert "expected  Heartbeat (35=0) with 112=ARE YOU THERE" in text
    assert re.search(r"seen      8=FIX\.4\.4\|9=\d+\|35=0\|.*\|112=NOT ARE YOU THERE\|10=\d{3}\|", text)
    assert re.search(r"0\.\d{3} > 8=FIX\.4\.4\|.*\|35=1\|", text), "the conversation is shown"
    failure = ElementTree.parse(tmp_path / "found.xml").find("testcase/failure")
    assert failure is not None and "112=NOT ARE YOU THERE" in failure.get("message", "")


def test_what_only_should_be_fails_when_that_is_asked_for(venue_port):
    relay = Relay(venue_port, each_frame(lambda data: reframed(re.sub(rb"\x0158=[^\x01]*", b"", data))))
    to = ["--port", relay.port, "--sender", "C8", "--target", "EXSIM", "--password", "secret"]
    code, text = invoke(*to, "--case", "number.too-low-text")
    strict_code, strict_text = invoke(*to, "--case", "number.too-low-text", "--strict")
    relay.close()
    assert (code, text.split()[0]) == (0, "warn")
    assert (strict_code, strict_text.split()[0]) == (1, "FAIL")


def test_nobody_there_is_exit_code_2():
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    code, text = invoke("--port", port, "--sender", "A", "--target", "B")
    assert (code, f"cannot connect to 127.0.0.1:{port}" in text) == (2, True)
    code, text = invoke("--listen", "--port", 0, "--sender", "A", "--target", "B", "--patience", 0.2)
    assert (code, "no initiator came in 0.2 s" in text) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", 1, "--sender", "A"], "--target is needed"),
        (["--case", "nonsense"], "there is no case nonsense"),
        (["--field", "ABC"], "ABC is not TAG=VALUE"),
        (["--port", 1, "--sender", "A", "--target", "B", "--tls", "--listen"], "do not go together"),
    ],
)
def test_wrong_options_are_named(words, said):
    code, text = invoke(*words)
    assert code == 2
    assert said in text


def test_options_of_the_market_do_not_go_with_the_command():
    result = CliRunner().invoke(exsim, ["--seed", "1", "conformance", "--list"])
    assert (result.exit_code, "do not go with a command" in result.output) == (2, True)


def test_the_list_is_of_the_version_and_the_role():
    for version in VERSIONS:
        for words, role in ((["--version", version], ACCEPTOR), (["--version", version, "--listen"], INITIATOR)):
            code, text = invoke("--list", *words)
            assert code == 0
            names = {line.split()[0] for line in text.splitlines()}
            assert names == {case.id for case in ALL_CASES if version in case.versions and role in case.roles}


def test_extra_fields_go_into_the_logon_or_into_every_message(venue_port, tmp_path, monkeypatch):
    path = tmp_path / "found.json"
    monkeypatch.setenv("EXSIM_CONFORMANCE_PASSWORD", "secret")
    to = ["--port", venue_port, "--sender", "C8", "--target", "EXSIM", "--json", path]
    code, _ = invoke(*to, "--field", "50=DESK", "--field", "464=Y", "--case", "heartbeat.test-request")
    sent = [line["text"] for line in json.loads(path.read_text())["results"][0]["lines"] if line["who"] == ">"]
    assert code == 0
    assert ["|50=DESK|" in text for text in sent] == [True, True, True]
    assert ["|464=Y|" in text for text in sent] == [True, False, False]


def test_it_speaks_tls_and_trusts_no_stranger(venue_port, tmp_path, monkeypatch):
    make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    relay = Relay(venue_port, tls=context)
    to = ["--host", "localhost", "--port", relay.port, "--sender", "C8", "--target", "EXSIM", "--password", "secret"]
    cases = ["--case", "logon.accepted", "--case", "stream", "--case", "resend", "--heartbeat", 1]
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    code, text = invoke(*to, "--tls", *cases)
    assert (code, text.count("pass  ")) == (0, 18), text
    relay.close()
    monkeypatch.delenv("SSL_CERT_FILE")
    stranger = Relay(venue_port, tls=context)
    to[3] = stranger.port
    code, text = invoke(*to, "--tls", *cases)
    stranger.close()
    assert (code, "certificate verify failed" in text) == (2, True), text


class Odd:
    """Takes one connection, says something, and never anything else."""

    def __init__(self, data: bytes, times: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(data, times), daemon=True)
        self._thread.start()

    def _serve(self, data: bytes, times: int) -> None:
        with self._listener, self._listener.accept()[0] as connection, suppress(OSError):
            connection.recv(65536)
            for _ in range(times):
                connection.sendall(data)
            while connection.recv(65536):
                pass

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


HEARTBEAT = frame("FIX.4.4", [(35, "0"), (34, 1), (49, "B"), (56, "A"), (52, "20260101-00:00:00")])


@pytest.mark.parametrize(
    ("data", "times", "seen"),
    [
        (b"", 0, "nothing came in time"),
        (b"8=FIX.4.4\x019=5", 1, "nothing came in time; a part of a message: 8=FIX.4.4|9=5"),
        (HEARTBEAT, 1_000_000, "the case takes longer than 1 s"),
        (b"x" * 65536, 40, "the connection was closed"),
    ],
    ids=["silence", "half a message", "messages without end", "a message without end"],
)
def test_nobody_keeps_the_kit_waiting(data, times, seen):
    odd = Odd(data, times)
    plan = Plan(port=odd.port, sender="A", target="B", timeout=5.0 if times > 1 else 0.3, limit=1.0)
    (result,) = run(plan, choose(plan, ["logon.reset-answered"]))
    odd.join()
    assert (result.outcome, result.seen) == ("FAIL", seen)
    assert result.seconds < 4


def test_an_interval_that_is_too_long_to_wait_for_is_said():
    acceptor = Acceptor(Fault())
    plan = Plan(port=acceptor.port, sender="KIT", target="TESTED", heartbeat=30, limit=20.0, pause=0.05)
    results = list(run(plan, choose(plan, ["heartbeat.asks", "heartbeat.answered"])))
    acceptor.close()
    assert [one.reason for one in results] == ["an interval of 30 s is too long to wait for (--limit)"] * 2


# -- the parts


def test_ids_are_unique_and_there_are_enough_cases():
    assert len({case.id for case in ALL_CASES}) == len(ALL_CASES) > 100
    assert all(case.rule.startswith("FIX") and case.title for case in ALL_CASES)


def test_the_table_of_the_documentation_is_that_of_the_cases():
    text = (ROOT / "docs" / "conformance.md").read_text()
    assert case_table(ALL_CASES) in text


def test_a_frame_can_be_wrong_where_that_is_wanted_and_is_read_all_the_same():
    reader = Reader()
    for wrong, kind in (({}, None), ({"checksum": "000"}, "checksum"), ({"length": -3}, "length")):
        reader.feed(frame("FIX.4.4", [(35, "0"), (34, 7)], **wrong))
        found = reader.next()
        assert found is not None and (found.type, found[34]) == ("0", "7")
        assert [flaw.partition(":")[0] for flaw in found.flaws] == ([kind] if kind else [])
    reader.feed(frame("FIX.4.4", [(35, "0"), (34, 8)], length=5))
    assert reader.next() is None, "by its length there is more to come"
    found = reader.next(is_idle=True)
    assert found is not None and found.flaws[0].startswith("length:")


def test_a_data_field_is_read_by_its_length():
    reader = Reader()
    reader.feed(frame("FIX.4.4", [(35, "3"), (354, 8), (355, "a\x0110=1\x01b"), (45, 2)]))
    found = reader.next()
    assert found is not None and (found[355], found[45], found.flaws) == ("a\x0110=1\x01b", "2", [])


def test_bytes_are_shown_with_bars_and_without_passwords():
    data = frame("FIX.4.4", [(35, "A"), (554, "secret"), (58, "x\x00")])
    assert re.fullmatch(r"8=FIX\.4\.4\|9=\d+\|35=A\|554=\*\*\*\|58=x\\x00\|10=\d{3}\|", shown(data))
