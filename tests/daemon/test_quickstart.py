"""`make run`: settings of one's own, a password made once, nothing that others can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from txtrader.daemon.quickstart import prepare, tell
from txtrader.gateway.journal_files import JournalLock
from txtrader.settings import SettingsError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, and an environment that a test may change."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("TXTRADER_")]:
        del os.environ[name]
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "run"
    os.environ.clear()
    os.environ.update(before)


def test_the_password_is_random_made_once_and_shown_once(folder: Path) -> None:
    settings, fresh = prepare(folder)
    assert fresh is not None and len(fresh) == 16
    assert settings.password == fresh and settings.username == "admin" and settings.user_role == "admin"
    assert fresh in tell(settings, fresh, folder)
    again, made = prepare(folder)
    assert made is None and again.password == fresh
    assert fresh not in tell(again, made, folder)
    assert prepare(folder.parent / "other")[1] != fresh


def test_only_the_owner_can_read_it(folder: Path) -> None:
    settings, _ = prepare(folder)
    for path in (folder, folder / "env", Path(settings.data_dir)):
        assert path.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (folder / "env").iterdir())


def test_nothing_outside_the_folder_is_used(folder: Path) -> None:
    settings, _ = prepare(folder)
    for path in (settings.data_dir, settings.journal_path, settings.users_file):
        assert path.startswith(str(folder))


def test_a_data_folder_that_somebody_names_is_taken(folder: Path, tmp_path: Path) -> None:
    prepare(folder)
    os.environ["TXTRADER_DATA_DIR"] = str(tmp_path / "mine")
    settings, _ = prepare(folder)
    assert settings.data_dir == str(tmp_path / "mine")


def test_ports_of_the_environment_are_written_down_for_the_clients(folder: Path) -> None:
    os.environ["TXTRADER_TCP_PORT"] = "6000"
    settings, fresh = prepare(folder)
    assert (folder / "env/TXTRADER_TCP_PORT").read_text() == "6000\n"
    assert f"telnet 127.0.0.1 6000\n    auth admin {fresh}\n" in tell(settings, fresh, folder)


def test_a_second_gateway_in_the_clone_leaves_the_ports_of_the_first_alone(folder: Path) -> None:
    os.environ["TXTRADER_TCP_PORT"] = "6000"
    settings, _ = prepare(folder)
    lock = JournalLock(f"{settings.journal_path}.lock")
    os.environ["TXTRADER_TCP_PORT"] = "7000"
    with pytest.raises(SettingsError, match=f"process {os.getpid()}"):
        prepare(folder)
    assert (folder / "env/TXTRADER_TCP_PORT").read_text() == "6000\n"
    lock.release()
    assert prepare(folder)[0].tcp_port == 7000


def test_each_mode_has_books_of_its_own_and_is_not_remembered(folder: Path) -> None:
    os.environ["TXTRADER_MODE"] = "tws"
    settings, _ = prepare(folder)
    assert settings.mode == ("tws",) and settings.data_dir == str(folder / "tws")
    del os.environ["TXTRADER_MODE"]
    settings, _ = prepare(folder)
    assert settings.mode == ("demo",) and settings.data_dir == str(folder / "demo")


def test_a_dotenv_file_in_the_folder_is_heard(folder: Path) -> None:
    Path(".env").write_text("TXTRADER_HTTP_PORT=off\n")
    settings, fresh = prepare(folder)
    assert settings.http_port is None
    assert "XMLRPC" not in tell(settings, fresh, folder)
