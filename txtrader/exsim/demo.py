"""The demonstration venue: a house full of instruments, three accounts, and prices that move day and night."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from twisted.internet.interfaces import IReactorTime

from txtrader.exsim.accounts import Rates
from txtrader.exsim.demo_listings import demo_listings
from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.tape import Tape
from txtrader.exsim.venue import Venue

__all__ = ["ACCOUNTS", "make_demo_venue"]

ACCOUNTS: dict[str, dict[str, Decimal]] = {
    "DU1000001": {"USD": Decimal(1_000_000)},
    "DU1000002": {"USD": Decimal(250_000), "EUR": Decimal(100_000)},
    "DU1000003": {"USD": Decimal(25_000)},
}
"""Every account and its first cash."""

_RATES = {"EUR": Decimal("1.1725"), "GBP": Decimal("1.3460"), "BTC": Decimal("88750")}


def make_demo_venue(
    clock: IReactorTime,
    now_ns: Callable[[], int],
    seed: int = 1,
    *,
    pace: str | float = "slow",
    has_house: bool = True,
    tape: Tape | None = None,
    state_path: str | None = None,
) -> Venue:
    """Make the venue that a demonstration trades at; `start` it before use.

    `pace` is `none` (prices stand still, the house refills what is taken), `slow`, `fast`, or actions a second in
    each market that somebody looks at.  Without `has_house` the books hold only what participants put there.
    `state_path` names the file in which what participants did outlives the process.
    """
    listings = demo_listings(datetime.fromtimestamp(now_ns() // 1_000_000_000, UTC).date())
    return Venue(
        clock,
        now_ns,
        instruments=InstrumentMaster(listing for listing, _ in listings),
        recipes={listing.id: recipe for listing, recipe in listings},
        cash=ACCOUNTS,
        rates=Rates("USD", _seeded_rates(seed)),
        seed=seed,
        activity=pace,
        market_rests=True,
        has_house=has_house,
        tape=tape,
        state_path=state_path,
    )


def _seeded_rates(seed: int) -> dict[str, Decimal]:
    """Return fixed rates within one percent of the usual, drawn from the seed."""
    random = Random(f"{seed}/rates")
    return {
        currency: (rate * (Decimal(1) + Decimal(random.randrange(-100, 101)) / 10_000)).quantize(Decimal("0.0001"))
        for currency, rate in sorted(_RATES.items())
    }
