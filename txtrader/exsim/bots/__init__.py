"""Bots: seeded activity on one book, made by class name; a package adds its own as `txtrader.exsim.bots`."""

from __future__ import annotations

from txtrader.exsim.bots.answers import AutoCancel, AutoFill, AutoPartial, AutoReject, PartialThenCancel
from txtrader.exsim.bots.base import Bot
from txtrader.exsim.bots.echo import EchoTrader
from txtrader.exsim.bots.maker import Maker
from txtrader.exsim.bots.noise import Noise
from txtrader.exsim.bots.replay import Replay
from txtrader.exsim.registry import Registry

__all__ = ["BOTS", "Bot", "register_bot"]

BOTS: Registry[Bot] = Registry(Bot, "txtrader.exsim.bots", "bot")
"""Every class of bots by name."""

register_bot = BOTS.register

for _name, _class in {
    "auto_fill": AutoFill,
    "auto_partial": AutoPartial,
    "auto_reject": AutoReject,
    "auto_cancel": AutoCancel,
    "partial_then_cancel": PartialThenCancel,
    "noise": Noise,
    "maker": Maker,
    "replay": Replay,
    "echo_trader": EchoTrader,
}.items():
    register_bot(_name, _class)
