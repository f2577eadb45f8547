"""What a run is told: whom to speak to, as whom, and how patiently."""

from __future__ import annotations

import msgspec

from txtrader.exsim.conformance.case import ACCEPTOR

__all__ = ["Plan"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """See the module.  `sender` and `target` are as we write them: we are the sender.  Times are seconds.

    `role` is the target's; an acceptor is dialled at `host` and `port`, an initiator is waited for there.  `fields` are
    added: those of the header to every message, the others to our Logon.  `resets`: each case begins at 1 by 141=Y;
    without it the target must do so by itself at every logon.  `symbol` is what orders are for, `price` one at which an
    order to buy rests.  `is_strict`: what only should be must be.  `pause` is
    made between cases.
    """

    host: str = "127.0.0.1"
    port: int
    version: str = "4.4"
    sender: str
    target: str
    role: str = ACCEPTOR
    heartbeat: int = 5
    username: str | None = None
    password: str | None = None
    fields: tuple[tuple[int, str], ...] = ()
    resets: bool = True
    uses_tls: bool = False
    timeout: float = 5.0
    limit: float = 120.0
    patience: float = 60.0
    pause: float = 0.0
    symbol: str | None = None
    price: str = "1.00"
    quantity: str = "100"
    account: str | None = None
    is_strict: bool = False
