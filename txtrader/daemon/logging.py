"""The log: one event is one line, text or JSON, and no reader of it can hold up the reactor.

Lines are queued for a thread that writes them.  When whoever reads the pipe stops, the queue fills to its bound,
further lines are dropped and counted, and when reading goes on the count stands where they are missing.
"""

from __future__ import annotations

import logging
import os
import re
import select
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from typing import Any

import msgspec
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["Formatter", "JsonFormatter", "LogObserver", "LogWriter", "TextFormatter", "escape", "take_over_stdlib"]

QUEUE_LINES = 10_000  # at about 150 bytes a line: 1.5 MB, half a minute of a busy log
LINE_LIMIT = 8192

# Controls (C0, DEL, C1), line and paragraph separators, marks that turn the direction of text, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LEVELS = {level: rank for rank, level in enumerate(LogLevel.iterconstants())}
_STDLIB_LEVELS = (
    (logging.ERROR, LogLevel.error),
    (logging.WARNING, LogLevel.warn),
    (logging.INFO, LogLevel.info),
    (0, LogLevel.debug),
)


def escape(text: str) -> str:
    """Make text safe for a line and a terminal: what is not plain text is shown as `\\xNN` or `\\uNNNN`."""

    def show(match: re.Match[str]) -> str:
        code = ord(match[0])
        return {10: "\\n", 13: "\\r", 9: "\\t"}.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")

    return _UNSAFE.sub(show, text)


class Formatter:
    """Turn an event into one line without its line feed."""

    def format(self, event: LogEvent) -> str:
        """Return the line."""
        raise NotImplementedError


class TextFormatter(Formatter):
    """`2026-11-20T14:30:00.123Z info  [gateway.api] words`, a traceback folded into the same line."""

    def format(self, event: LogEvent) -> str:
        level = event.get("log_level") or LogLevel.info
        line = f"{_instant(event)} {level.name:<5} [{_room(event)}] {escape(_words(event))}"
        trace = _trace(event)
        if trace:
            line += " | " + escape(trace)
        return _cut(line)


class JsonFormatter(Formatter):
    """`{"time", "level", "logger", "message", "traceback"?}`; the message is as the text has it."""

    def format(self, event: LogEvent) -> str:
        level = event.get("log_level") or LogLevel.info
        shown = {"time": _instant(event), "level": level.name, "logger": _room(event)}
        shown["message"] = _cut(escape(_words(event)))
        trace = _trace(event)
        if trace:
            shown["traceback"] = escape(trace)[-LINE_LIMIT:]
        return msgspec.json.encode(shown).decode()


def _instant(event: LogEvent) -> str:
    return datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _room(event: LogEvent) -> str:
    name: str = event.get("log_namespace") or event.get("log_system") or "-"
    return escape(name.removeprefix("txtrader."))


def _words(event: LogEvent) -> str:
    # An event whose arguments cannot be formatted is shown as such by formatEvent itself.
    return formatEvent(event) or ""


def _trace(event: LogEvent) -> str:
    failure = event.get("log_failure")
    if failure is None:
        return ""
    trace: str = failure.getTraceback(elideFrameworkCode=True, detail="brief")
    return trace.strip()


def _cut(line: str) -> str:
    return line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + "..."


class LogWriter:
    """Write lines to a descriptor from a thread of its own.  `dropped` counts lines that found the queue full."""

    def __init__(self, descriptor: int, *, limit: int = QUEUE_LINES) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._lines: deque[str] = deque()
        self._ready = threading.Condition()
        self._is_closing = False
        self.dropped = 0
        self._unreported = 0
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue a line; never waits for a reader."""
        with self._ready:
            if len(self._lines) >= self._limit:
                self.dropped += 1
                self._unreported += 1
                return
            self._lines.append(line)
            self._ready.notify()

    def reopen(self, path: str) -> None:
        """Go on in a file of this name, made anew if it was moved away."""
        descriptor = open_log(path)
        os.dup2(descriptor, self._descriptor, inheritable=False)  # at once, whatever the thread is writing
        os.close(descriptor)

    def close(self, timeout: float = 1.0) -> None:
        """Write what is queued, at most for `timeout` seconds: a stuck reader shall not hold up the end."""
        with self._ready:
            self._is_closing = True
            self._ready.notify()
        self._thread.join(timeout)

    def _write_all(self) -> None:
        while True:
            with self._ready:
                while not self._lines and not self._is_closing:
                    self._ready.wait()
                if not self._lines:
                    return
                lines = list(self._lines)
                self._lines.clear()
                lost, self._unreported = self._unreported, 0
            if lost:
                lines.append(f"{lost} lines of the log were dropped here: nobody read them in time")
            self._write(self._descriptor, ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))

    @staticmethod
    def _write(descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:  # a terminal that somebody else made non-blocking
                select.select([], [descriptor], [], 1.0)
            except OSError:  # the reader is gone, the disk is full: there is nowhere left to say so
                return


def open_log(path: str) -> int:
    """Open a log file for appending, readable by its group; `-` is standard error."""
    if path == "-":
        return sys.stderr.fileno()
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


@implementer(ILogObserver)
class LogObserver:
    """Send events of `level` and above, formatted, to a writer."""

    def __init__(self, writer: LogWriter, formatter: Formatter, level: LogLevel) -> None:
        self._writer = writer
        self._formatter = formatter
        self._least = _LEVELS[level]

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level") or LogLevel.info
        if level is LogLevel.info and event.get("log_namespace") == "log_legacy":
            level = LogLevel.debug  # Twisted's own chatter: ports that open and close
        if _LEVELS[level] < self._least or event.get("log_trace") is not None:
            return
        self._writer.write(self._formatter.format(event))


class _StdlibHandler(logging.Handler):
    """Carry what libraries say to the standard library's log over to ours."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next(ours for least, ours in _STDLIB_LEVELS if record.levelno >= least)
        details: dict[str, Any] = {"words": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            details["log_failure"] = Failure(record.exc_info[1])
        Logger(namespace=record.name).emit(level, "{words}", **details)


def take_over_stdlib(level: int = logging.WARNING) -> None:
    """Let libraries that log by the standard library speak through our log, from `level` on."""
    root = logging.getLogger()
    root.handlers[:] = [_StdlibHandler()]
    root.setLevel(level)
    logging.captureWarnings(True)
