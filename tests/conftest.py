"""What every test gets: a running reactor where it asks for one, and no unexpected failure in the log."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher


def pytest_configure() -> None:
    """Let Ctrl-C reach the commands that tests run: a shell ignores it in its background, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Set aside what importing made, so that the collection after each test has little to look at."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def expected_failures() -> list[str]:
    """Texts of logged errors that the test provokes on purpose; a test appends what it expects."""
    return []


@pytest.fixture(autouse=True)
def no_unexpected_failures(expected_failures: list[str]) -> Iterator[None]:
    """Fail a test that logs an error which it did not announce; a dead Deferred's error is seen, too."""
    seen: list[str] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            failure = event.get("log_failure")
            seen.append(formatEvent(event) + (f"\n{failure.getTraceback()}" if failure is not None else ""))

    globalLogPublisher.addObserver(observe)
    try:
        yield
        gc.collect()
        gc.freeze()  # what lives on now is not looked at again after each of the tests to come
    finally:
        globalLogPublisher.removeObserver(observe)
    unexpected = [text for text in seen if not any(part in text for part in expected_failures)]
    assert not unexpected, "unexpected errors in the log:\n" + "\n".join(unexpected)
