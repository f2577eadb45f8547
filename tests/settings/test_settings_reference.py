"""What is written about settings says what the code does."""

from __future__ import annotations

from pathlib import Path

from txtrader.settings import Settings
from txtrader.settings.reference import envdir_files, reference_page

ROOT = Path(__file__).parent.parent.parent


def test_the_reference_page_is_in_step() -> None:
    assert (ROOT / "docs/settings.md").read_text() == reference_page(), "run `make docs`"


def test_the_shipped_envdir_is_in_step_and_sets_nothing() -> None:
    shipped = {path.name: path.read_text() for path in (ROOT / "etc/txtrader").iterdir()}
    assert shipped == envdir_files(), "run `make docs`"
    assert all(content.startswith("\n") for content in shipped.values())


def test_the_shipped_envdir_can_be_read(tmp_path: Path) -> None:
    for name, content in envdir_files().items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o640)
    assert repr(Settings.load({}, envdir=str(tmp_path), strict=True)) == repr(Settings.load({}))
