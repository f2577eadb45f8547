"""Whether settings that are each right describe a daemon that can start; for `--check-config` and the start itself."""

from __future__ import annotations

import os
from importlib.util import find_spec

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txtrader.adapters.fix_instruments import read_symbols
from txtrader.errors import ConfigError
from txtrader.gateway.access import Access
from txtrader.settings import Settings
from txtrader.twsapi.codes import Codes

__all__ = ["adapter_name", "check_settings", "describe"]


def adapter_name(mode: str, settings: Settings) -> str:
    """Return the module of a mode's adapter: that of the wire in mode demo."""
    return f"txtrader.adapters.{settings.demo_wire if mode == 'demo' else mode}"


def check_settings(settings: Settings) -> list[str]:
    """Return what is wrong, a line each: no adapter, nobody who could log in, files that cannot be read or made."""
    problems = []
    for mode in settings.mode:
        if not mode.isidentifier() or find_spec(adapter_name(mode, settings)) is None:
            problems.append(f"TXTRADER_MODE: {mode!r} is not offered by this version; there are demo, tws, cqg and fix")
    try:
        # The real thing, with a clock that stands and threads that never run: nothing is hashed.
        Access.open(
            clock=Clock(),
            in_thread=lambda work: Deferred(),
            users_file=settings.users_file,
            username=settings.username,
            password=settings.password,
            role=settings.user_role,
        )
    except ConfigError as error:
        problems.append(describe(error))
    folders = {"DATA_DIR": settings.data_dir, "JOURNAL": os.path.dirname(os.path.abspath(settings.journal_path))}
    for key, folder in folders.items():
        if (reason := _cannot_write(folder)) is not None:
            problems.append(f"TXTRADER_{key}: {reason}")
            break  # the journal is in DATA_DIR unless somebody says otherwise: once is enough
    if "cqg" in settings.mode:
        problems += _check_cqg(settings)
    if "fix" in settings.mode:
        problems += _check_fix(settings)
    for mode in settings.mode:
        if adapter_name(mode, settings).endswith(".tws"):
            try:
                Codes.load(settings.for_mode(mode).tws_codes_file)
            except ConfigError as error:
                problems.append(describe(error))
                break
    return problems


def _check_cqg(settings: Settings) -> list[str]:
    """Return what mode cqg lacks: a login, or encryption where the way leads off this machine."""
    mine = settings.for_mode("cqg")
    problems = [
        f"TXTRADER_{key}: mode cqg needs it"
        for key, value in (("API_USERNAME", mine.api_username), ("API_PASSWORD", mine.api_password))
        if not value
    ]
    if not mine.api_tls and mine.api_host not in ("127.0.0.1", "localhost", "::1"):
        problems.append("TXTRADER_API_TLS: without it the password would cross the network in the clear")
    return problems


def _check_fix(settings: Settings) -> list[str]:
    """Return what mode fix lacks: who we are, who the broker is, whose orders these are, symbols that can be read."""
    mine = settings.for_mode("fix")
    needed = {
        "FIX_SENDER_COMP_ID": mine.fix_sender_comp_id,
        "FIX_TARGET_COMP_ID": mine.fix_target_comp_id,
        "FIX_ACCOUNTS": mine.fix_accounts,
    }
    problems = [f"TXTRADER_{key}: mode fix needs it" for key, value in needed.items() if not value]
    try:
        read_symbols(mine.fix_symbols)
    except ConfigError as error:
        problems.append(describe(error))
    return problems


def _cannot_write(folder: str) -> str | None:
    """Say why no file can be made in a folder, which may have to be made itself; None if it seems to be possible."""
    existing = os.path.abspath(folder)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        return f"{existing} is no folder"
    return None if os.access(existing, os.W_OK | os.X_OK) else f"{existing} may not be written to"


def describe(error: ConfigError) -> str:
    """Return an error's words, the setting by its full name."""
    if error.path is not None and not error.path.startswith("TXTRADER_"):
        return f"TXTRADER_{error.path}: {error.message}"
    return error.text
