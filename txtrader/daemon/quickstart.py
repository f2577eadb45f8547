"""`make run`: a gateway of one's own in a folder, no root, no configuration, a password that nobody else knows.

The folder keeps an envdir, which clients read too, and one data folder for each mode.  What the environment or a .env
file says wins, as always; ports are written down, since clients must find them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sys
from pathlib import Path

from txtrader.settings import Settings, SettingsError
from txtrader.settings.table import MODES, SETTINGS

__all__ = ["main", "prepare", "tell"]

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is easily misread
_PASSWORD_LENGTH = 16  # 79 bits


def prepare(folder: Path) -> tuple[Settings, str | None]:
    """Fill the folder with what is missing.  Return the settings, and the password if it was made just now."""
    env = folder / "env"
    for path in (folder, env):
        path.mkdir(mode=0o700, exist_ok=True)
    fresh = None
    if not (env / "TXTRADER_PASSWORD").exists():
        fresh = "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_LENGTH))
        _write(env / "TXTRADER_PASSWORD", fresh)
    defaults = {"USERNAME": "admin", "USER_ROLE": "admin", "USERS_FILE": str(folder / "users")}
    for key, text in defaults.items():
        if not (env / f"TXTRADER_{key}").exists():
            _write(env / f"TXTRADER_{key}", text)
    os.environ["TXTRADER_ENVDIR"] = str(env)
    settings = Settings.of_process()
    # One folder for each mode: the books of a simulated account are not those of a real one.
    if named := os.environ.get("TXTRADER_DATA_DIR"):
        os.environ[f"TXTRADER_{settings.broker.upper()}_DATA_DIR"] = named  # wins over what an earlier run wrote down
        settings = Settings.of_process()
    elif settings.data_dir == SETTINGS["data_dir"].default:
        for mode in MODES:
            _write(env / f"TXTRADER_{mode.upper()}_DATA_DIR", str(folder / mode))
        settings = Settings.of_process()
    Path(settings.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    if (holder := _holder(Path(f"{settings.journal_path}.lock"))) is not None:
        raise SettingsError([f"a gateway runs here already, process {holder}; it keeps {settings.data_dir}"])
    for key, port in (("HTTP_PORT", settings.http_port), ("TCP_PORT", settings.tcp_port)):
        _write(env / f"TXTRADER_{key}", "off" if port is None else str(port))
    return settings, fresh


def _holder(lock: Path) -> str | None:
    """Return the process that holds a journal's lock, None if nobody does: its ports must stay written down."""
    try:
        with lock.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return lock.read_text().strip() or "unknown"
    return None


def tell(settings: Settings, fresh: str | None, folder: Path) -> str:
    """Say how to trade from a second shell."""
    user, kept = settings.username, folder / "env" / "TXTRADER_PASSWORD"
    lines = [f"txTrader, mode {','.join(settings.mode)}; everything it keeps is in {folder}", ""]
    if fresh:
        lines.append(f"  user {user}   password {fresh}   (made just now and not shown again; kept in {kept})")
    else:
        lines.append(f"  user {user}   password in {kept}")
    lines += ["", "From a second shell in this folder:", ""]
    if settings.http_port is not None:
        lines += [
            "  .venv/bin/txtrader add_symbol IBM           the command finds user and password by itself",
            "  .venv/bin/txtrader market_order IBM 100",
            "  .venv/bin/txtrader watch",
            "",
        ]
    if settings.tcp_port is not None:
        lines += [
            f"  telnet {settings.host} {settings.tcp_port}",
            f"    auth {user} {fresh or 'PASSWORD'}",
            "    add IBM",
            "    marketorder IBM 100",
            "",
        ]
    if settings.http_port is not None:
        lines.append(f"  XMLRPC is http://{settings.host}:{settings.http_port}/ with the same user; see examples/")
    lines += ["", "Ctrl-C ends it.", "", ""]
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text + "\n":
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text + "\n")


def main() -> None:
    """Prepare the folder that the command names, say how to use it, and become the daemon."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".run").absolute()
    try:
        settings, fresh = prepare(folder)
    except SettingsError as error:
        sys.stderr.write("".join(f"txtrader: {line}\n" for line in error.problems))
        sys.exit(1)
    sys.stdout.write(tell(settings, fresh, folder))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "txtrader.cli", "daemon"])


if __name__ == "__main__":
    main()
