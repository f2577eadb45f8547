"""Status words as programs of 2015 knew them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ORDER_WORDS_2015", "STATE_WORDS_2015"]

ORDER_WORDS_2015: Mapping[str, str] = {
    "PendingNew": "PendingSubmit",
    "New": "Submitted",
    "PartiallyFilled": "Submitted",
    "Filled": "Filled",
    "PendingCancel": "PendingCancel",
    "PendingReplace": "Submitted",
    "Canceled": "Cancelled",
    "Rejected": "Error",
    "Expired": "Cancelled",
    "Unknown": "Unknown",
    "Lost": "Lost",
    "Staged": "Staged",
}
"""Our order status words, as 2015 had them."""

STATE_WORDS_2015: Mapping[str, str] = {
    "Startup": "Initializing",
    "Connecting": "Connecting",
    "Initializing": "Initializing",
    "ReconcileFailed": "Initializing",
    "Up": "Up",
    "Stale": "Disconnected",
    "Disconnected": "Disconnected",
    "Shutdown": "Disconnected",
}
"""Our words for the gateway's state, as 2015 had them."""
