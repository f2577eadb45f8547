"""The log: one line for one event, nothing hostile in it, and no reader that could hold up the writer (F26, F47)."""

from __future__ import annotations

import json
import logging
import os
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from txtrader.daemon.logging import (
    JsonFormatter,
    LogObserver,
    LogWriter,
    TextFormatter,
    escape,
    open_log,
    take_over_stdlib,
)


def event(text: str, level: LogLevel = LogLevel.info, **details: object) -> LogEvent:
    return {
        "log_time": 1_795_000_000.1239,
        "log_level": level,
        "log_namespace": "txtrader.gateway.api",
        "log_format": text,
        **details,
    }


def test_an_event_is_one_line_of_text() -> None:
    line = TextFormatter().format(event("order {id}", id="TX-1"))
    assert line == "2026-11-18T11:06:40.123Z info  [gateway.api] order TX-1"


def test_an_event_is_one_object_of_json() -> None:
    line = JsonFormatter().format(event("order {id}", id='"TX"'))
    assert json.loads(line) == {
        "time": "2026-11-18T11:06:40.123Z",
        "level": "info",
        "logger": "gateway.api",
        "message": 'order "TX"',
    }


@given(st.text())
def test_no_text_breaks_the_line_or_reaches_the_terminal_as_a_control(hostile: str) -> None:
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(event("said {words}", words=hostile))
        assert len(line.splitlines()) == 1
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in line)
        line.encode()


def test_an_escape_shows_what_it_hides() -> None:
    assert escape("a\nb\x1b[2J\u202e\ud800é") == "a\\nb\\x1b[2J\\u202e\\ud800é"


def test_a_traceback_stays_in_the_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        failure = Failure()
    line = TextFormatter().format(event("while testing", LogLevel.critical, log_failure=failure))
    assert "\n" not in line and "ValueError" in line and "two\\nlines" in line
    assert "ValueError" in json.loads(JsonFormatter().format(event("x", log_failure=failure)))["traceback"]


def test_an_endless_message_is_cut() -> None:
    assert len(TextFormatter().format(event("{words}", words="x" * 100_000))) < 9000


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            pass  # the test closed it


def test_a_stuck_reader_holds_nobody_up_and_what_is_lost_is_counted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LogWriter(writing, limit=100)
    began = time.monotonic()
    for number in range(20_000):  # far more than a pipe and the queue take
        writer.write(f"line {number} " + "x" * 100)
    assert time.monotonic() - began < 2
    assert writer.dropped > 10_000
    began = time.monotonic()
    writer.close(timeout=0.2)
    assert time.monotonic() - began < 1
    said = b""
    while sum(map(int, re.findall(rb"^(\d+) lines of the log were dropped", said, re.M))) < writer.dropped:
        said += os.read(reading, 65536)
    writer.close()


def test_all_lines_are_written_before_the_end(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LogWriter(writing)
    for number in range(100):
        writer.write(f"line {number}")
    writer.close()
    os.close(writing)
    with os.fdopen(os.dup(reading)) as stream:
        assert stream.read().splitlines() == [f"line {number}" for number in range(100)]


def test_a_vanished_reader_is_no_error(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    writer = LogWriter(writing)
    writer.write("into the void")
    writer.close()
    assert not writer._thread.is_alive()


def test_a_rotated_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LogWriter(open_log(str(path)))
    writer.write("one")
    while path.read_text() != "one\n":
        pass
    path.rename(tmp_path / "log.1")
    writer.reopen(str(path))
    writer.write("two")
    writer.close()
    assert (path.read_text(), (tmp_path / "log.1").read_text()) == ("two\n", "one\n")
    assert path.stat().st_mode & 0o137 == 0


def test_what_is_below_the_level_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LogWriter(open_log(str(path)))
    observer = LogObserver(writer, TextFormatter(), LogLevel.warn)
    observer(event("quiet"))
    observer(event("loud", LogLevel.warn))
    writer.close()
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["loud"]


def test_libraries_speak_through_our_log() -> None:
    seen: list[LogEvent] = []
    root = logging.getLogger()
    before = root.handlers[:], root.level
    globalLogPublisher.addObserver(seen.append)
    try:
        take_over_stdlib()
        logging.getLogger("ibapi.client").warning("tick %s", "{odd}")
        logging.getLogger("ibapi.client").info("not this")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old ways", stacklevel=1)
    finally:
        globalLogPublisher.removeObserver(seen.append)
        root.handlers[:], root.level = before
        logging.captureWarnings(False)
    said = [TextFormatter().format(each) for each in seen if each["log_namespace"] in ("ibapi.client", "py.warnings")]
    assert len(said) == 2 and said[0].endswith("warn  [ibapi.client] tick {odd}") and "old ways" in said[1]
