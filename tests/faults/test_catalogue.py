"""The list of promises and the tests that prove them: `docs/testing.md` says which numbers have no test yet."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NUMBERS = {
    "G": range(1, 14),
    "I": range(1, 12),
    "F": range(1, 63),
    "H": range(1, 28),
}
CITED = re.compile(r"\b([GIFH])(\d{1,2})\b")
MISSING = re.compile(r"Without a test so far: ([^.]*)\.")


def cited() -> dict[str, set[str]]:
    """Return, for each number, the test files whose text names it."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path == Path(__file__):
            continue
        for letter, number in CITED.findall(path.read_text()):
            if int(number) in NUMBERS[letter]:
                found.setdefault(f"{letter}{int(number):02d}", set()).add(str(path.relative_to(ROOT)))
    return found


def uncited() -> list[str]:
    """Return the numbers that no test names."""
    known = cited()
    names = [f"{letter}{number:02d}" for letter, numbers in NUMBERS.items() for number in numbers]
    return [name for name in names if name not in known]


def test_every_promise_without_a_test_is_admitted_in_the_documentation():
    """Run this file as a script to see which test names which number, and the line for the documentation."""
    (listed,) = MISSING.findall((ROOT / "docs" / "testing.md").read_text())
    admitted = {name.strip() for name in listed.replace("\n", " ").split(",")}
    assert set(uncited()) <= admitted, "tests have gone: " + ", ".join(sorted(set(uncited()) - admitted))


def test_the_faults_that_every_adapter_must_survive_have_files_of_their_own():
    files = {path.name[:8] for path in Path(__file__).parent.glob("test_f*.py")}
    assert {"test_f01", "test_f05", "test_f07", "test_f08"} <= files


if __name__ == "__main__":
    for name, files in sorted(cited().items()):
        print(name, *sorted(files))
    print(f"Without a test so far: {', '.join(uncited())}.")
