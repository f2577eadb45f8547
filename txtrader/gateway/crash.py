"""Named points at which a test may kill the process.

`TXTRADER_CRASH_AT=after-send:3` in the environment of a start kills that process with SIGKILL at the third pass of
the point `after-send`; without a number, at the first.  Nobody gets to clean up: that is what is tested.  A point
that is not armed costs one call of an empty function.

The points of a submit, in the sequence of the promise "journal before send": `before-journal`, `after-journal`
(the intent is durable), `after-send` (bytes were handed to the socket), `after-broker-ack`, `after-execution`,
`before-reply` (to the caller).
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Mapping

from txtrader.errors import ConfigError

__all__ = ["CRASH_POINTS", "VARIABLE", "arm", "crash_point"]

VARIABLE = "TXTRADER_CRASH_AT"

CRASH_POINTS: tuple[str, ...] = (
    "before-journal",
    "after-journal",
    "after-send",
    "after-broker-ack",
    "after-execution",
    "before-reply",
)


def _pass_by(name: str) -> None:
    """Go on."""


def arm(environ: Mapping[str, str]) -> Callable[[str], None]:
    """Make the function that stands at the crash points; raises ConfigError for a point that does not exist."""
    wanted = environ.get(VARIABLE)
    if not wanted:
        return _pass_by
    point, _, number = wanted.partition(":")
    if point not in CRASH_POINTS or not (number or "1").isdecimal() or int(number or "1") < 1:
        raise ConfigError(f"not NAME or NAME:N with a name of {', '.join(CRASH_POINTS)}: {wanted}", path=VARIABLE)
    passes = itertools.count(1)
    last = int(number or "1")

    def kill_at(name: str) -> None:
        if name == point and next(passes) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill_at


crash_point: Callable[[str], None] = arm(os.environ)
"""Stand at a crash point, by its name."""
