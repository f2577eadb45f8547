"""What the TWS adapter is set to, and what it can do."""

from __future__ import annotations

from typing import Any

import msgspec

from txtrader.adapters.tws_history import PERIODS
from txtrader.adapters.tws_orders import ALGORITHMS, EXCHANGES
from txtrader.gateway.adapter import Capabilities
from txtrader.model.market import DataType
from txtrader.model.order import OrderType, Side, TimeInForce
from txtrader.net.dial import Backoff

__all__ = ["TwsOptions", "capabilities_of", "options_from"]

MINUTE = 60_000_000_000


class TwsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the adapter is set to; durations in seconds."""

    host: str = "127.0.0.1"
    port: int = 7497
    client_id: int = 0
    max_version: int | None = None
    message_rate: float = 45.0
    heartbeat: float = 10.0
    handshake: float = 15.0
    liveness: float = 60.0
    data_type: DataType = DataType.LIVE
    time_offset: int = 0  # nanoseconds added to the broker's clock
    timeout_default: float = 30.0
    timeout_symbol: float = 30.0
    timeout_bars: float = 30.0
    timeout_snapshot: float = 30.0
    reconnect: Backoff = Backoff()
    codes_file: str | None = None
    logs_messages: bool = False
    logs_bytes: bool = False


def options_from(settings: Any) -> TwsOptions:
    """Take the options out of the settings of one mode."""
    return TwsOptions(
        host=settings.api_host,
        port=settings.api_port,
        client_id=settings.api_client_id,
        max_version=settings.tws_max_version,
        message_rate=settings.tws_message_rate,
        heartbeat=settings.heartbeat,
        data_type=DataType(settings.market_data_type),
        time_offset=int(settings.time_offset * MINUTE),
        timeout_default=settings.timeout_default,
        timeout_symbol=settings.timeout_addsymbol,
        timeout_bars=settings.timeout_barchart,
        timeout_snapshot=settings.timeout_position,
        reconnect=Backoff(minimum=settings.reconnect_min, maximum=settings.reconnect_max),
        codes_file=settings.tws_codes_file,
        logs_messages=settings.log_api_messages,
        logs_bytes=settings.debug_api_messages,
    )


def capabilities_of(mode: str, options: TwsOptions, *, is_old: bool) -> Capabilities:
    """Say what the adapter offers; with the older API package no fractions."""
    features = ["replace", "what_if", "oco", "iceberg", "extended_hours", "global_cancel"]
    if not is_old:
        features.append("fractional")
    return Capabilities(
        mode=mode,
        order_types=tuple(kind.value for kind in OrderType),
        tifs=tuple(tif.value for tif in TimeInForce),
        sides=tuple(side.value for side in Side),
        periods=tuple(str(period) for period in PERIODS),
        routes={
            **{name: {} for name in EXCHANGES},
            **{name: list(parameters) for name, parameters in ALGORITHMS.items()},
        },
        features=tuple(features),
        limits={"messages_per_second": int(options.message_rate), "market_data_lines": 100},
    )
