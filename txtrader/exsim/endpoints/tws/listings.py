"""Contracts on the wire and listings of the venue, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from txtrader.dialects.tws.words import ORDER_TYPES, SPECIAL_TYPES, TIFS, right_from_wire
from txtrader.exsim.endpoints.tws.service import RequestFailed
from txtrader.exsim.endpoints.tws.times import SECOND, date_of, moment
from txtrader.exsim.records import Listing
from txtrader.model.instrument import SecType
from txtrader.model.numbers import plain, plain_text

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.endpoint import TwsEndpoint

__all__ = ["Listings"]

_SMART_TYPES = frozenset({SecType.STOCK, SecType.OPTION})
_EXCHANGE_ALIASES = {"ISLAND": "NASDAQ"}
_CONTINUOUS = "CONTFUT"
_HOURS_DAYS = 6


class Listings:
    """Finds what a contract on the wire means, and writes listings as contracts and contract details."""

    def __init__(self, endpoint: TwsEndpoint) -> None:
        self._endpoint = endpoint
        self._contracts: dict[tuple[int, str], dict[str, Any]] = {}

    # -- from the wire

    def find(self, fields: Mapping[str, Any]) -> list[Listing]:
        """Return every listing that fits a contract; raises RequestFailed (200, 321) for one that means nothing."""
        master = self._endpoint.venue.instruments
        con_id = fields.get("conId") or 0
        if con_id:
            listing = master.get(con_id)
            return [listing] if listing is not None and self._agrees(listing, fields) else []
        word = fields.get("secType") or ""
        if not word and not fields.get("secId") and not fields.get("localSymbol"):
            raise RequestFailed(321, "Error validating request.-'bN' : cause - Please enter a valid security type")
        if word == SecType.COMBO.value:
            raise RequestFailed(200, "No security definition has been found for the request")
        sectype = _sectype(word)
        if sectype is None and word:
            raise RequestFailed(321, f"Error validating request.-'bN' : cause - Invalid security type {word}")
        exchange = _EXCHANGE_ALIASES.get(fields.get("exchange") or "", fields.get("exchange") or "")
        primary = fields.get("primaryExchange") or ""
        strike = fields.get("strike")
        found = master.find(
            symbol=fields.get("symbol") or "",
            sectype=sectype,
            exchange=exchange,
            primary_exchange=_EXCHANGE_ALIASES.get(primary, primary),
            currency=fields.get("currency") or "",
            expiry=(fields.get("lastTradeDateOrContractMonth") or "").split(" ")[0],
            strike=plain(strike) if strike else None,
            right=right_from_wire(fields.get("right")) or "",
            multiplier=_multiplier(fields.get("multiplier")),
            local_symbol=fields.get("localSymbol") or "",
            trading_class=fields.get("tradingClass") or "",
            isin=(fields.get("secId") or "") if fields.get("secIdType") == "ISIN" else "",
        )
        if not (fields.get("symbol") or fields.get("localSymbol") or fields.get("secId")):
            return []
        if not fields.get("includeExpired"):
            today = date_of(self._endpoint.venue.now_ns(), self._endpoint.zone.info)
            found = [listing for listing in found if not listing.expiry or listing.expiry >= today]
        if word == _CONTINUOUS:
            found = sorted(found, key=lambda listing: listing.expiry)[:1]
        return found

    def resolve(self, fields: Mapping[str, Any]) -> Listing:
        """Return the one listing that a contract means; raises RequestFailed (200) if there is none or more."""
        found = self.find(fields)
        if not found:
            raise RequestFailed(200, "No security definition has been found for the request")
        if len(found) > 1:
            name = fields.get("symbol") or fields.get("localSymbol") or ""
            raise RequestFailed(200, f"The contract description specified for {name} is ambiguous.")
        return found[0]

    def _agrees(self, listing: Listing, fields: Mapping[str, Any]) -> bool:
        """Tell whether what is said beside the id does not contradict it."""
        exchange = fields.get("exchange") or ""
        exchange = _EXCHANGE_ALIASES.get(exchange, exchange)
        sectype = _sectype(fields.get("secType") or "")
        return (
            (sectype is None or sectype is listing.sectype)
            and (not fields.get("symbol") or fields["symbol"] == listing.symbol)
            and (not fields.get("currency") or fields["currency"] == listing.currency)
            and (not exchange or exchange in listing.valid_exchanges or exchange == listing.exchange)
        )

    # -- to the wire

    def contract(self, listing: Listing, exchange: str = "") -> dict[str, Any]:
        """Write the contract fields that most messages carry; do not change the dict, it is kept."""
        place = exchange or self.default_exchange(listing)
        made = self._contracts.get((listing.id, place))
        if made is None:
            made = self._contracts[(listing.id, place)] = {
                "conId": listing.id,
                "symbol": listing.symbol,
                "secType": listing.sectype.value,
                "lastTradeDateOrContractMonth": listing.expiry,
                "strike": listing.strike if listing.strike is not None else Decimal(0),
                "right": listing.right,
                "multiplier": plain_text(listing.multiplier) if listing.under_id is not None else "",
                "exchange": place,
                "currency": listing.currency,
                "localSymbol": listing.local_symbol,
                "tradingClass": listing.trading_class,
            }
        return made

    @staticmethod
    def default_exchange(listing: Listing) -> str:
        """Return where an order for a listing goes that names no place."""
        if listing.sectype in _SMART_TYPES and "SMART" in listing.valid_exchanges:
            return "SMART"
        return listing.exchange

    def details(self, listing: Listing, exchange: str, version: int) -> dict[str, Any]:
        """Write the fields of contractDetails, without the request id."""
        words = [ORDER_TYPES[kind] for kind in listing.order_types if kind in ORDER_TYPES]
        words += [word for word, special in SPECIAL_TYPES.items() if special.type in listing.order_types]
        return {
            **self.contract(listing, exchange),
            "lastTradeDate": listing.expiry,
            "marketName": listing.trading_class,
            "minTick": plain(listing.tick),
            "mdSizeMultiplier": 1,
            "orderTypes": ",".join([*words, "HID", "AON", *TIFS]),
            "validExchanges": ",".join(listing.valid_exchanges),
            "priceMagnifier": 1,
            "underConId": listing.under_id or 0,
            "longName": listing.long_name,
            "primaryExchange": listing.primary_exchange if listing.sectype is SecType.STOCK else "",
            "contractMonth": listing.contract_month,
            "industry": listing.industry,
            "category": listing.category,
            "subcategory": listing.subcategory,
            "timeZoneId": listing.time_zone,
            "tradingHours": self.hours(listing, is_regular=False),
            "liquidHours": self.hours(listing, is_regular=True),
            "evMultiplier": 0,
            "secIdList": [{"tag": "ISIN", "value": listing.isin}] if listing.isin else [],
            "aggGroup": 1 if listing.sectype is SecType.STOCK else 2147483647,
            "underSymbol": listing.under_symbol,
            "underSecType": listing.under_sectype.value if listing.under_sectype is not None else "",
            "marketRuleIds": ",".join(str(listing.rule_id) for _ in listing.valid_exchanges),
            "realExpirationDate": listing.expiry,
            "stockType": listing.stock_type,
            "sizeMinTick": plain(listing.step),
            "minSize": plain(listing.min_quantity),
            "sizeIncrement": plain(listing.step),
            "suggestedSizeIncrement": plain(listing.suggested_step),
        }

    def hours(self, listing: Listing, *, is_regular: bool) -> str:
        """Write the sessions of the next days: `20260105:0400-20260105:2000;20260106:CLOSED`, in the listing's zone."""
        venue = self._endpoint.venue
        zone = ZoneInfo(listing.time_zone)
        now = venue.now_ns()
        today = moment(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        start = int(today.timestamp()) * SECOND
        end = int((today + timedelta(days=_HOURS_DAYS)).timestamp()) * SECOND
        by_date = {
            times.date: times
            for times in venue.sessions(listing.id, start, end, regular=is_regular)
            if times.end > start
        }
        shown = []
        for offset in range(_HOURS_DAYS):
            date = (today + timedelta(days=offset)).strftime("%Y%m%d")
            times = by_date.get(date)
            if times is None:
                shown.append(f"{date}:CLOSED")
            else:
                opens, closes = moment(times.start, zone), moment(times.end, zone)
                shown.append(f"{opens:%Y%m%d}:{opens:%H%M}-{closes:%Y%m%d}:{closes:%H%M}")
        return ";".join(shown)


def _sectype(word: str) -> SecType | None:
    if word == _CONTINUOUS:
        return SecType.FUTURE
    try:
        return SecType(word)
    except ValueError:
        return None


def _multiplier(text: str | None) -> Decimal | None:
    if not text or not text.replace(".", "", 1).isdigit() or not text.isascii():
        return None
    return Decimal(text)
