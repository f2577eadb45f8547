"""What the CQG adapter is set to, and what it can do."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from txtrader.adapters.cqg_accounts import AccountChoice
from txtrader.adapters.cqg_history import PERIODS
from txtrader.dialects.cqg.orders import DURATIONS, TYPES
from txtrader.gateway.adapter import Capabilities
from txtrader.model.order import Side
from txtrader.net.dial import Backoff

__all__ = ["CqgOptions", "capabilities_of", "options_from"]

MINUTE = 60_000_000_000


class CqgOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the adapter is set to; durations in seconds.

    `is_tls` off is for a server on this machine.  `ca_file` is a PEM file of own roots, else the system's count.
    `budget_file` keeps the count of today's logons, of which CQG allows `logons_a_day`.
    """

    host: str = "demoapi.cqg.com"
    port: int = 443
    is_tls: bool = True
    ca_file: str | None = None
    user: str = ""
    password: str = ""
    private_label: str = "WebAPITest"
    client_app_id: str = "WebAPITest"
    heartbeat: float = 30.0
    handshake: float = 15.0
    timeout_default: float = 30.0
    timeout_symbol: float = 30.0
    timeout_bars: float = 30.0
    timeout_snapshot: float = 30.0
    time_offset: int = 0  # nanoseconds added to the broker's clock
    reconnect: Backoff = Backoff(minimum=5.0, maximum=300.0)
    budget_file: str | None = None
    logons_a_day: int = 200
    message_rate: float = 90.0
    order_rate: float = 10.0
    accounts: AccountChoice = AccountChoice()
    logs_messages: bool = False

    @property
    def url(self) -> str:
        return f"{'wss' if self.is_tls else 'ws'}://{self.host}:{self.port}/"


def options_from(settings: Any) -> CqgOptions:
    """Take the options out of the settings of one mode."""
    return CqgOptions(
        host=settings.api_host,
        port=settings.api_port,
        is_tls=settings.api_tls,
        ca_file=settings.api_ca_file,
        user=settings.api_username or "",
        password=settings.api_password or "",
        private_label=settings.cqg_private_label,
        client_app_id=settings.cqg_client_app_id,
        heartbeat=settings.heartbeat,
        timeout_default=settings.timeout_default,
        timeout_symbol=settings.timeout_addsymbol,
        timeout_bars=settings.timeout_barchart,
        timeout_snapshot=settings.timeout_position,
        time_offset=int(settings.time_offset * MINUTE),
        reconnect=Backoff(minimum=settings.reconnect_min, maximum=settings.reconnect_max),
        budget_file=os.path.join(settings.data_dir, "cqg-logons"),
        order_rate=settings.cqg_order_rate,
        accounts=AccountChoice.from_words(settings.cqg_accounts or ()),
        logs_messages=settings.log_api_messages,
    )


def capabilities_of(mode: str, options: CqgOptions) -> Capabilities:
    """Say what the adapter offers."""
    return Capabilities(
        mode=mode,
        order_types=tuple(kind.value for kind in TYPES),
        tifs=tuple(tif.value for tif in DURATIONS),
        sides=(Side.BUY.value, Side.SELL.value),
        periods=tuple(str(period) for period in PERIODS),
        routes={},
        features=("replace", "iceberg", "global_cancel", "fractional", "logon", "go_flat"),
        limits={"orders_per_second": int(options.order_rate), "market_data_lines": 200},
    )
