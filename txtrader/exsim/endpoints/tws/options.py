"""What a simulated TWS is set to do: its limits, and which of the real one's refusals it emulates."""

from __future__ import annotations

from txtrader.exsim.endpoints.delayed_pump import LatencyOptions
from txtrader.wire.tws.server import DEFAULT_MAX_VERSION

__all__ = ["TwsOptions"]


class TwsOptions(LatencyOptions, frozen=True, kw_only=True):
    """Settings of one endpoint.

    `max_version` (151 to 200) caps the negotiated version.  The client whose id is `master_client_id` hears of every
    client's orders.  `accounts` are those shown to clients, all of the venue by default.  `time_zone` is the login's:
    it writes times and reads those that name no zone.

    Limits: `message_rate` per second and client, more is error 100 (None: no limit); `line_limit` market-data lines
    and `depth_limit` depth requests per client; `max_clients` connected at once; `historical_limit` ticks a request.

    `rejects_etrade_only`: refuse orders with eTradeOnly or firmQuoteOnly set (10268), as TWS does since 2022.
    `limits_old_clients`: refuse fractional instruments to clients below version 163 (10285) and warn of trimmed sizes
    (2176).  `has_live_data` false: only delayed data, for clients that ask for it (10167), nothing for others (354).
    `downloads_open_orders`: send a client its open orders when it starts.  `has_fa` offers advisor configurations.

    For latency see `LatencyOptions`.
    """

    max_version: int = DEFAULT_MAX_VERSION
    master_client_id: int | None = None
    accounts: tuple[str, ...] | None = None
    time_zone: str = "US/Eastern"
    message_rate: int | None = None
    line_limit: int = 100
    depth_limit: int = 3
    max_clients: int = 32
    historical_limit: int = 1000
    rejects_etrade_only: bool = True
    limits_old_clients: bool = False
    has_live_data: bool = True
    downloads_open_orders: bool = True
    handshake_timeout: float | None = 30.0
