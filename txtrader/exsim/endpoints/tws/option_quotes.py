"""Greeks on option lines, and the two calculations that clients may ask for; the venue's model computes both.

Floating point is fine here: these are estimates, and they are rounded before they become Decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from txtrader.dialects.tws.words import TickType
from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.pricing import Greeks, implied_volatility, model
from txtrader.exsim.records import Listing, Top
from txtrader.model.numbers import plain
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection

__all__ = ["OptionCalculations", "send_option_ticks"]

_LOWEST, _HIGHEST = 0.001, 5.0
_HOUR = 1.0 / (365.0 * 24.0)


def send_option_ticks(connection: TwsConnection, req_id: int, listing: Listing, top: Top) -> None:
    """Send the computed figures for an option's bid, ask and model price."""
    venue = connection.endpoint.venue
    own = venue.greeks(listing.id)
    if own is None or listing.strike is None:
        return
    years = max(venue.years_to_expiry(listing.id), _HOUR)
    for tick, price in ((TickType.BID_OPTION, top.bid), (TickType.ASK_OPTION, top.ask)):
        if price is None or price <= 0:
            continue
        volatility = implied_volatility(float(price), own.under_price, float(listing.strike), years, listing.right)
        figures = (
            model(own.under_price, float(listing.strike), years, listing.right, volatility)
            if volatility is not None
            else None
        )
        _send(connection, req_id, tick, price, volatility, figures, own.under_price)
    _send(connection, req_id, TickType.MODEL_OPTION, _rounded(own.price), own.volatility, own, own.under_price)


def _send(
    connection: TwsConnection,
    req_id: int,
    tick: TickType,
    price: Decimal,
    volatility: float | None,
    figures: Greeks | None,
    under: float,
) -> None:
    """Send one computation; the wire has vega per percent and theta per day."""
    connection.send(
        "tickOptionComputation",
        reqId=req_id,
        tickType=int(tick),
        tickAttrib=1,
        impliedVol=_rounded(volatility) if volatility is not None else None,
        delta=_rounded(figures.delta) if figures is not None else None,
        optPrice=plain(price),
        pvDividend=Decimal(0),
        gamma=_rounded(figures.gamma) if figures is not None else None,
        vega=_rounded(figures.vega / 100) if figures is not None else None,
        theta=_rounded(figures.theta / 365) if figures is not None else None,
        undPrice=_rounded(under),
    )


def _rounded(value: float) -> Decimal:
    return Decimal(f"{value:.6f}")


class OptionCalculations(Service):
    """calculateImpliedVolatility and calculateOptionPrice, each answered once."""

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {
            "calculateImpliedVolatility": self.volatility,
            "calculateOptionPrice": self.price,
            "cancelCalculateImpliedVolatility": self.cancel,
            "cancelCalculateOptionPrice": self.cancel,
        }

    def volatility(self, message: Message) -> None:
        """Answer the volatility at which an option has a price."""
        listing, strike, under, years = self._option(message)
        price = message["optionPrice"]
        if price is None or price <= 0:
            raise RequestFailed(321, "Error validating request.-'cB' : cause - Invalid option price")
        found = implied_volatility(float(price), under, strike, years, listing.right)
        figures = model(under, strike, years, listing.right, found) if found is not None else None
        _send(self.connection, message["reqId"], TickType.CUSTOM_OPTION, price, found, figures, under)

    def price(self, message: Message) -> None:
        """Answer the price of an option at a volatility."""
        listing, strike, under, years = self._option(message)
        given = message["volatility"]
        if given is None or not _LOWEST <= given <= _HIGHEST:
            raise RequestFailed(321, "Error validating request.-'cC' : cause - Invalid volatility")
        figures = model(under, strike, years, listing.right, float(given))
        _send(
            self.connection,
            message["reqId"],
            TickType.CUSTOM_OPTION,
            _rounded(figures.price),
            float(given),
            figures,
            under,
        )

    def cancel(self, message: Message) -> None:
        """Take a cancel: the answer was complete, nothing runs on."""

    def _option(self, message: Message) -> tuple[Listing, float, float, float]:
        """Return listing, strike, underlying price and years to expiry; raises RequestFailed."""
        listing = self.endpoint.listings.resolve(message.fields)
        under = message["underPrice"]
        if not listing.right or listing.strike is None:
            raise RequestFailed(321, "Error validating request.-'cB' : cause - Not an option")
        if under is None or under <= 0:
            raise RequestFailed(321, "Error validating request.-'cB' : cause - Invalid underlying price")
        years = max(self.venue.years_to_expiry(listing.id), _HOUR)
        return listing, float(listing.strike), float(under), years
