"""What a request about bots, sources and their like may be refused with, beside the errors of the house."""

from __future__ import annotations

from txtrader.errors import RequestError, TxTraderError

__all__ = ["AlreadyExists", "PluginError", "Unsupported", "WrongState"]


class AlreadyExists(RequestError):
    """There is one of that name."""

    code, http = "already-exists", 409


class WrongState(RequestError):
    """Not now: it runs, or it does not, or it was fixed when it was made."""

    code, http = "wrong-state", 409


class Unsupported(RequestError):
    """It is not offered here, or was not allowed by who started the simulator."""

    code, http = "unsupported", 422


class PluginError(TxTraderError):
    """Third-party code failed; its own words are in the message."""

    code, http = "plugin-error", 500
