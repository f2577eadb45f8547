"""Points at which a process can be told to die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from txtrader.errors import ConfigError
from txtrader.gateway import crash

SCRIPT = """
from txtrader.gateway.crash import crash_point
for number in range(5):
    crash_point("before-journal")
    print("journal", number, flush=True)
    crash_point("after-send")
    print("sent", number, flush=True)
"""


def run(value: str | None) -> subprocess.CompletedProcess[str]:
    environ = {name: text for name, text in os.environ.items() if name != crash.VARIABLE}
    if value is not None:
        environ[crash.VARIABLE] = value
    return subprocess.run([sys.executable, "-c", SCRIPT], env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("value", "last"), [("before-journal", None), ("after-send", "journal 0"), ("after-send:3", "journal 2")]
)
def test_an_armed_process_is_killed_at_the_nth_pass_of_its_point(value: str, last: str | None) -> None:
    done = run(value)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.splitlines()[-1:] == ([last] if last else [])


@pytest.mark.parametrize("value", [None, "", "after-send:6", "before-reply"])
def test_others_run_to_their_end(value: str | None) -> None:
    done = run(value)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "sent 4"


@pytest.mark.parametrize("value", ["after-lunch", "after-send:0", "after-send:x", "after-send:-1", ":1"])
def test_a_point_that_does_not_exist_is_refused(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        crash.arm({crash.VARIABLE: value})
    assert caught.value.path == crash.VARIABLE


def test_unarmed_points_share_one_empty_function() -> None:
    assert crash.arm({}) is crash.arm({crash.VARIABLE: ""})
