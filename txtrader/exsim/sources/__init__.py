"""Sources of prices for a book, made by class name; a package adds its own as `txtrader.exsim.pricing`."""

from __future__ import annotations

from txtrader.exsim.registry import Registry
from txtrader.exsim.sources.base import OutsideSource, PriceRow, Source
from txtrader.exsim.sources.columns import Bars, Quotes, Trades
from txtrader.exsim.sources.recorded import Itch, Lobster
from txtrader.exsim.sources.walks import Path, Walk

__all__ = ["SOURCES", "OutsideSource", "PriceRow", "Source", "register_source"]

SOURCES: Registry[Source] = Registry(Source, "txtrader.exsim.pricing", "source")
"""Every class of sources by name."""

register_source = SOURCES.register

for _name, _class in {
    "bars": Bars,
    "quotes": Quotes,
    "trades": Trades,
    "lobster": Lobster,
    "itch": Itch,
    "path": Path,
    "walk": Walk,
}.items():
    register_source(_name, _class)
