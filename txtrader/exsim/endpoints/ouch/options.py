"""What the OUCH endpoint is set to; what the documents leave open is settled here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from txtrader.dialects.ouch import REJECTIONS
from txtrader.exsim.endpoints.delayed_pump import LatencyOptions
from txtrader.exsim.records import Reason
from txtrader.wire.soupbin import SoupOptions

__all__ = ["NOT_OFFERED", "OuchOptions", "OuchUser"]

NOT_OFFERED: Mapping[str, str] = MappingProxyType(
    {
        "market_maker_peg": "peg",
        "discretion": "other",
        "imbalance_only": "display",
        "retail": "retail",
        "routing": "routing",
    }
)
"""What the venue does not trade, and the word (of `REJECTIONS`) with which it is refused.

This is the one place: a row that goes opens the way into the venue's `Terms`.
"""


class OuchUser(msgspec.Struct, frozen=True, kw_only=True):
    """Who may log in.  `password` None is any; `firms` are those that he may trade for, the first where an order names
    none, each with its account at the venue; without them every firm is the venue's first account."""

    password: str | None = None
    firms: Mapping[str, str] = {}


class OuchOptions(LatencyOptions, frozen=True, kw_only=True):
    """What the endpoint does.

    `version` is 4.2 or 5.0.  `day_file` (a path) keeps the day's streams over a restart of the process.  `users` are
    those who may log in (none: anybody), by name, whatever its case.
    `replaces_login`: a second login of a user ends the first, else it is refused.  `opens_day`: the day begins with
    the endpoint, and the next one at midnight in `time_zone`; else by `start_day` and `end_day` alone.

    `dead` are the venue's refusals that are told as an acceptance of an order that is dead (state D), not as a
    rejection.  `market_orders`: immediate-or-cancel orders may be at the market.  `grows`: a Modify to a larger size
    is taken, with the loss of the place in the queue; else it is ignored.  `has_appendages`: every message that may
    have an appendage has one (5.0's later edition), else only those for requests that named a UserRefIdx.
    `rejections` overrides why orders are refused in the words of the wire, `not_offered` what is.  For latency see
    `LatencyOptions`.
    """

    version: str = "5.0"
    day_file: str | None = None
    users: Mapping[str, OuchUser] = {}
    replaces_login: bool = False
    cancel_on_disconnect: bool = False
    opens_day: bool = True
    time_zone: str = "America/New_York"
    currency: str = "USD"
    dead: frozenset[Reason] = frozenset({Reason.WOULD_TRADE})
    market_orders: bool = True
    grows: bool = False
    has_appendages: bool = False
    not_offered: Mapping[str, str] = NOT_OFFERED
    rejections: Mapping[str, tuple[str, int]] = REJECTIONS
    broken_reason: str = "E"
    aiq_strategy: str = ""
    soup: SoupOptions = SoupOptions()
    max_connections: int = 256
    max_users: int = 1_000
    max_orders: int = 1_000_000
    max_messages: int = 500_000
