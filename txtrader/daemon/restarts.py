"""A supervisor restarts a daemon that dies at once, again and again: the broker must not be dialled as often (F27).

Each start is noted in a file of the data folder, and the notes are forgotten once the daemon got what it wanted, or
was ended by a person.  Starts that came to nothing make the next ones wait: 1 s after three of them in five minutes,
then twice as long each time, up to a minute.
"""

from __future__ import annotations

import os

__all__ = ["RestartBrake"]

FREE_STARTS = 3
FORGOTTEN_AFTER = 300.0
LONGEST_WAIT = 60.0


class RestartBrake:
    """The notes of starts that came to nothing, in a file at `path`; times are seconds of the wall clock."""

    def __init__(self, path: str) -> None:
        self._path = path

    def start(self, now: float) -> float:
        """Note a start; return how many seconds to wait before dialling."""
        recent = [time for time in self._read() if 0 <= now - time < FORGOTTEN_AFTER]
        scratch = f"{self._path}.{os.getpid()}"
        with open(scratch, "w") as stream:
            stream.write("".join(f"{time:.3f}\n" for time in [*recent[-20:], now]))
        os.replace(scratch, self._path)
        if len(recent) < FREE_STARTS:
            return 0.0
        return float(min(LONGEST_WAIT, 2.0 ** (len(recent) - FREE_STARTS)))

    def succeeded(self) -> None:
        """Forget all starts: this one came to something."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass  # nothing to forget

    def _read(self) -> list[float]:
        try:
            with open(self._path) as stream:
                return [float(line) for line in stream]
        except (OSError, ValueError):
            return []  # none yet, or a torn file: one start more is no harm
