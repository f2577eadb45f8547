"""The examples run as they are written, in interpreters of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "exsim"


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "unittest", "discover", str(EXAMPLES)],
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLES), "-c", "/dev/null", str(EXAMPLES)],
    ],
    ids=["unittest", "pytest"],
)
def test_an_example_is_green(command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK" in done.stderr or "6 passed" in done.stdout or "passed" in done.stdout
