"""The exchange simulator: stands alone.  `from txtrader.exsim import API` is all that a test needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from txtrader.exsim.client.api import API
    from txtrader.exsim.client.errors import ExsimError, ExsimTimeout

__all__ = ["API", "ExsimError", "ExsimTimeout"]


def __getattr__(name: str) -> Any:
    """Import the client when it is asked for: the simulator itself does not need it."""
    if name == "API":
        from txtrader.exsim.client.api import API

        return API
    if name in ("ExsimError", "ExsimTimeout"):
        from txtrader.exsim.client import errors

        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
