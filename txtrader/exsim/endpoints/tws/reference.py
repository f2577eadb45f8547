"""Reference data: contracts, symbols, option chains, price rules, exchanges; and the server's own facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.records import Listing
from txtrader.model.instrument import SecType
from txtrader.model.numbers import plain, plain_text
from txtrader.wire.tws.message import Message

__all__ = ["Reference"]

_MAX_SAMPLES = 16
_OPTION_KINDS = frozenset({SecType.OPTION, SecType.FUTURE_OPTION})
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Reference(Service):
    """Questions that any client may ask at any time."""

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {
            "reqCurrentTime": self.time,
            "reqCurrentTimeInMillis": self.time_in_millis,
            "reqManagedAccts": self.accounts,
            "setServerLogLevel": self.log_level,
            "reqUserInfo": self.user_info,
            "reqContractDetails": self.details,
            "reqMatchingSymbols": self.matching,
            "reqSecDefOptParams": self.option_chain,
            "reqMarketRule": self.rule,
            "reqSmartComponents": self.components,
            "reqFamilyCodes": self.families,
            "reqSoftDollarTiers": self.tiers,
        }

    # -- the server

    def time(self, message: Message) -> None:
        """Answer the venue's clock."""
        self.send("currentTime", time=self.venue.now_ns() // 1_000_000_000)

    def time_in_millis(self, message: Message) -> None:
        """Answer the venue's clock in milliseconds."""
        self.send("currentTimeInMillis", time=self.venue.now_ns() // 1_000_000)

    def accounts(self, message: Message) -> None:
        """Answer the accounts."""
        self.send("managedAccounts", accountsList=",".join(self.endpoint.accounts))

    def log_level(self, message: Message) -> None:
        """Take a log level; this server's log is not the client's."""
        if message["logLevel"] not in (1, 2, 3, 4, 5):
            raise RequestFailed(321, "Error validating request.-'bA' : cause - Invalid log level")

    def user_info(self, message: Message) -> None:
        """Answer that there is no white branding."""
        self.send("userInfo", reqId=message["reqId"], whiteBrandingId="")

    def families(self, message: Message) -> None:
        """Answer the accounts, which belong to no family."""
        codes = [{"accountID": account, "familyCodeStr": ""} for account in self.endpoint.accounts]
        self.send("familyCodes", familyCodes=codes)

    def tiers(self, message: Message) -> None:
        """Answer that there are no soft dollar tiers."""
        self.send("softDollarTiers", reqId=message["reqId"], tiers=[])

    # -- contracts

    def details(self, message: Message) -> None:
        """Answer every contract that fits, or error 200."""
        fields = message.fields
        req_id = fields["reqId"]
        found = self.endpoint.listings.find(fields)
        if not found:
            raise RequestFailed(200, "No security definition has been found for the request")
        for listing in found:
            details = self.endpoint.listings.details(listing, fields["exchange"], self.connection.version)
            self.send("contractDetails", reqId=req_id, **details)
        self.send("contractDetailsEnd", reqId=req_id)

    def matching(self, message: Message) -> None:
        """Answer underlyings whose symbol or name holds the pattern."""
        samples = []
        for listing in self.venue.instruments.match(message["pattern"] or "", _MAX_SAMPLES):
            derived = {child.sectype.value for child in self.venue.instruments.derivatives(listing.id)}
            samples.append(
                {
                    "conId": listing.id,
                    "symbol": listing.symbol,
                    "secType": listing.sectype.value,
                    "primaryExchange": listing.primary_exchange or listing.exchange,
                    "currency": listing.currency,
                    "derivativeSecTypes": sorted(derived),
                    "description": listing.long_name,
                    "issuerId": "",
                }
            )
        self.send("symbolSamples", reqId=message["reqId"], contractDescriptions=samples)

    def option_chain(self, message: Message) -> None:
        """Answer expirations and strikes of the options on an underlying, per exchange and trading class."""
        req_id, under_id = message["reqId"], message["underlyingConId"]
        under = self.venue.instruments.get(under_id) if under_id else None
        if under is None or (message["underlyingSymbol"] and message["underlyingSymbol"] != under.symbol):
            raise RequestFailed(321, "Error validating request.-'cO' : cause - Invalid contract id")
        chains: dict[tuple[str, str, str], list[Listing]] = defaultdict(list)
        for option in self.venue.instruments.derivatives(under.id):
            if option.sectype in _OPTION_KINDS:
                for exchange in option.valid_exchanges:
                    if not message["futFopExchange"] or message["futFopExchange"] == exchange:
                        chains[(exchange, option.trading_class, plain_text(option.multiplier))].append(option)
        for (exchange, trading_class, multiplier), options in chains.items():
            self.send(
                "securityDefinitionOptionParameter",
                reqId=req_id,
                exchange=exchange,
                underlyingConId=under.id,
                tradingClass=trading_class,
                multiplier=multiplier,
                expirations=sorted({option.expiry for option in options}),
                strikes=sorted({plain(option.strike) for option in options if option.strike is not None}),
            )
        self.send("securityDefinitionOptionParameterEnd", reqId=req_id)

    def rule(self, message: Message) -> None:
        """Answer the price steps of a market rule."""
        rule_id = message["marketRuleId"]
        steps = self.venue.instruments.rule(rule_id) if rule_id is not None else None
        if steps is None:
            raise RequestFailed(321, "Error validating request.-'cT' : cause - Invalid market rule id")
        rows: list[dict[str, Any]] = [{"lowEdge": step.low_edge, "increment": step.increment} for step in steps]
        if not rows:
            tick = next(listing.tick for listing in self.venue.instruments if listing.rule_id == rule_id)
            rows = [{"lowEdge": Decimal(0), "increment": plain(tick)}]
        self.send("marketRule", marketRuleId=rule_id, priceIncrements=rows)

    def components(self, message: Message) -> None:
        """Answer which letter stands for which exchange."""
        places = sorted(
            {
                listing.primary_exchange
                for listing in self.venue.instruments
                if listing.sectype is SecType.STOCK and listing.primary_exchange
            }
        )
        rows = [
            {"bitNumber": number, "exchange": place, "exchangeLetter": letter}
            for number, (place, letter) in enumerate(zip(places, _LETTERS, strict=False))
        ]
        self.send("smartComponents", reqId=message["reqId"], smartComponents=rows)
