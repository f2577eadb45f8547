"""A small venue for tests: two stocks, a future and a currency pair, no house, a clock that only the test moves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from twisted.internet.task import Clock

from txtrader.exsim.accounts import Rates
from txtrader.exsim.daily import Recipe
from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.listeners import MarketListener, OrderListener
from txtrader.exsim.records import Listing, Terms
from txtrader.exsim.venue import Venue
from txtrader.model.instrument import PriceIncrement, SecType
from txtrader.model.order import OrderType, Side

SECOND = 1_000_000_000
MONDAY_NOON = int(datetime(2026, 1, 5, 12, tzinfo=ZoneInfo("America/New_York")).timestamp()) * SECOND
A, B = "A1", "B2"


def listing(number=1, symbol="ACME", sectype=SecType.STOCK, tick="0.01", **more):
    given = {
        "id": number,
        "symbol": symbol,
        "sectype": sectype,
        "currency": "USD",
        "exchange": "SMART",
        "primary_exchange": "NYSE",
        "valid_exchanges": ("SMART", "NYSE"),
        "local_symbol": symbol,
        "trading_class": symbol,
        "long_name": f"{symbol} CORP",
        "tick": Decimal(tick),
        "increments": (PriceIncrement(low_edge=Decimal(0), increment=Decimal(tick)),),
        "rule_id": number,
        "schedule": "us-stock",
        "time_zone": "America/New_York",
    }
    return Listing(**{**given, **more})


ACME = listing()
BETA = listing(2, "BETA")
FUTURE = listing(
    3, "ES", SecType.FUTURE, "0.25", multiplier=Decimal(50), schedule="us-future", expiry="20260320",
    contract_month="202603",
)  # fmt: skip
PAIR = listing(4, "EUR", SecType.CASH, "0.00005", step=Decimal("0.01"), schedule="fx")


class Ear(OrderListener):
    """Hear everything, as (name, order id, more) in order."""

    def __init__(self):
        self.heard = []

    def names(self, *wanted):
        return [fact[0] for fact in self.heard if not wanted or fact[0] in wanted]


def _hear(name):
    def method(self, *facts):
        first = facts[0]
        self.heard.append((name, getattr(first, "id", first), *facts[1:]))

    return method


for _name in [name for name in vars(OrderListener) if not name.startswith("_")]:
    setattr(Ear, _name, _hear(_name))


class Eye(MarketListener):
    """See everything of a market, in order."""

    def __init__(self):
        self.seen = []

    def top_changed(self, top):
        self.seen.append(("top", top))

    def printed(self, trade):
        self.seen.append(("print", trade))

    def stats_changed(self, stats):
        self.seen.append(("stats", stats))

    def phase_changed(self, listing_id, phase):
        self.seen.append(("phase", phase))

    def indicative_changed(self, figures):
        self.seen.append(("indicative", figures))

    def depth_changed(self, listing_id, changes):
        self.seen.append(("depth", changes))

    def of(self, kind):
        return [fact for name, fact in self.seen if name == kind]


class Stage:
    """A venue on a clock of the test's own, with what a test needs to speak briefly."""

    def __init__(self, *, cash=10**7, at=MONDAY_NOON, clock=None, **options):
        self.clock = Clock() if clock is None else clock
        self.start = at
        listings = (ACME, BETA, FUTURE, PAIR)
        self.venue = Venue(
            self.clock,
            self.now,
            instruments=InstrumentMaster(listings),
            recipes={one.id: Recipe(level=100.0) for one in listings},
            cash={name: {"USD": Decimal(cash)} for name in (A, B)},
            rates=Rates("USD", {"EUR": Decimal("1.10")}),
            **{"seed": 7, "has_house": False, **options},
        )
        self.ear = Ear()
        self.venue.add_observer(self.ear)
        self.venue.start()

    def now(self):
        return self.start + round(self.clock.seconds() * SECOND)

    def terms(self, side, quantity, price=None, *, account=A, on=ACME, **more):
        given = {
            "listing_id": on.id,
            "account": account,
            "side": Side(side),
            "quantity": Decimal(quantity),
            "type": OrderType.MARKET if price is None else OrderType.LIMIT,
            "limit_price": None if price is None else Decimal(price),
        }
        return Terms(**{**given, **more})

    def order(self, side, quantity, price=None, *, owner="a", **more):
        return self.venue.submit(owner, self.terms(side, quantity, price, **more))

    def buy(self, quantity, price=None, **more):
        return self.order("BUY", quantity, price, **more)

    def sell(self, quantity, price=None, **more):
        return self.order("SELL", quantity, price, **{"account": B, "owner": "b", **more})

    def book(self, on=ACME):
        bids, asks = self.venue.depth(on.id)
        return (
            [(str(row.price), int(row.size), row.count) for row in bids],
            [(str(row.price), int(row.size), row.count) for row in asks],
        )

    def trade_at(self, price, on=ACME):
        """Let a trade of one unit happen at a price."""
        self.sell(1, price, on=on)
        self.buy(1, price, on=on)
        self.ear.heard.clear()
