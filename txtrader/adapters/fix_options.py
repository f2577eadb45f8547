"""What the FIX adapter is set to, and what it can do."""

from __future__ import annotations

import math
import os
from typing import Any

import msgspec

from txtrader.gateway.adapter import Capabilities
from txtrader.model.order import OrderType, Side, TimeInForce
from txtrader.net.dial import Backoff
from txtrader.wire.fix.session import Identity

__all__ = ["BEGIN_STRINGS", "FixOptions", "capabilities_of", "options_from"]

MINUTE = 60_000_000_000
BEGIN_STRINGS = {"4.2": "FIX.4.2", "4.4": "FIX.4.4", "5.0": "FIXT.1.1"}
_TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)
_TYPES_OF_44 = (OrderType.MARKET_IF_TOUCHED, OrderType.TRAILING_STOP)
_TIFS = (
    TimeInForce.DAY,
    TimeInForce.GTC,
    TimeInForce.IOC,
    TimeInForce.FOK,
    TimeInForce.GTD,
    TimeInForce.OPG,
)


class FixOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the adapter is set to; durations in seconds.

    `status` is how open orders are asked for: `mass` (AF), `each` (H for each), or `none`, where the reports alone
    have to do.  `positions` is `ask` (AN) or `none`.  `instruments` is `ask` (x, c) or `none`; `symbols_file` tells
    what the broker does not.  `order_fields` go into each order and change, as the broker wants them.  `resend` is for
    how long after its sending an order is sent again when the broker's session asks for it; 0: never, it is stepped
    over.  `reset_time` (HH:MM UTC) is when the broker's day begins, with number 1.
    """

    host: str = "127.0.0.1"
    port: int = 0
    is_tls: bool = False
    ca_file: str | None = None
    version: str = "4.4"
    sender: str = "TXTRADER"
    target: str = "EXSIM"
    sender_sub: str | None = None
    target_sub: str | None = None
    username: str | None = None
    password: str | None = None
    accounts: tuple[str, ...] = ()
    resets: bool = False
    reset_time: str | None = None
    resend: float = 0.0
    status: str = "mass"
    positions: str = "ask"
    instruments: str = "ask"
    symbols_file: str | None = None
    order_fields: tuple[tuple[int, str], ...] = ()
    cancels_on_disconnect: bool = False
    is_synced: bool = True
    folder: str | None = None
    heartbeat: float = 30.0
    handshake: float = 15.0
    timeout_default: float = 30.0
    timeout_symbol: float = 30.0
    timeout_snapshot: float = 30.0
    time_offset: int = 0  # nanoseconds added to the broker's clock
    reconnect: Backoff = Backoff(minimum=5.0, maximum=300.0)
    logs_messages: bool = False

    @property
    def identity(self) -> Identity:
        return Identity(BEGIN_STRINGS[self.version], self.sender, self.target)

    @property
    def header(self) -> tuple[tuple[int, str], ...]:
        """The fields that each message has in its header."""
        pairs = ((50, self.sender_sub), (57, self.target_sub))
        return tuple((tag, value) for tag, value in pairs if value)

    @property
    def heartbeat_seconds(self) -> int:
        """The interval as the wire takes it: whole seconds."""
        return max(1, math.ceil(self.heartbeat))


def options_from(settings: Any) -> FixOptions:
    """Take the options out of the settings of one mode."""
    return FixOptions(
        host=settings.api_host,
        port=settings.api_port,
        is_tls=settings.api_tls,
        ca_file=settings.api_ca_file,
        version=settings.fix_version,
        sender=settings.fix_sender_comp_id or "",
        target=settings.fix_target_comp_id or "",
        sender_sub=settings.fix_sender_sub_id,
        target_sub=settings.fix_target_sub_id,
        username=settings.api_username,
        password=settings.api_password,
        accounts=settings.fix_accounts or (),
        resets=settings.fix_reset,
        reset_time=settings.fix_reset_time,
        resend=settings.fix_resend,
        status=settings.fix_status,
        positions=settings.fix_positions,
        instruments=settings.fix_instruments,
        symbols_file=settings.fix_symbols,
        order_fields=settings.fix_order_fields or (),
        cancels_on_disconnect=settings.fix_cancel_on_disconnect,
        is_synced=settings.fix_sync,
        folder=os.path.join(settings.data_dir, "fix"),
        heartbeat=settings.heartbeat,
        timeout_default=settings.timeout_default,
        timeout_symbol=settings.timeout_addsymbol,
        timeout_snapshot=settings.timeout_position,
        time_offset=int(settings.time_offset * MINUTE),
        reconnect=Backoff(minimum=settings.reconnect_min, maximum=settings.reconnect_max),
        logs_messages=settings.log_api_messages,
    )


def capabilities_of(mode: str, options: FixOptions) -> Capabilities:
    """Say what the adapter offers; FIX has no request for the past."""
    is_old = options.version == "4.2"
    types = _TYPES if is_old else (*_TYPES, *_TYPES_OF_44)
    if options.version == "5.0":
        types = (*types, OrderType.LIMIT_IF_TOUCHED)
    return Capabilities(
        mode=mode,
        order_types=tuple(kind.value for kind in types),
        tifs=tuple(tif.value for tif in (_TIFS if is_old else (*_TIFS, TimeInForce.CLS))),
        sides=tuple(side.value for side in Side),
        periods=(),
        routes={},
        features=("replace", "iceberg", "global_cancel", "fractional"),
        limits={},
    )
