"""Market data messages of CQG, made ready once: the same bytes for both sides."""

from __future__ import annotations

from random import Random

from txtrader.wire.cqg.schema import ServerMsg

__all__ = ["SENTINEL", "market_data"]

SENTINEL = 777_77
"""The scaled bid that ends a burst; no other message has it."""


def market_data(contract_ids: list[int], count: int, quotes: int) -> list[bytes]:
    """Make `count` messages of `quotes` quotes each: bids, asks and trades with sizes, a time on the first."""
    chooser = Random(1)
    bodies = []
    for number in range(count):
        message = ServerMsg()
        data = message.real_time_market_data.add(contract_id=contract_ids[number % len(contract_ids)])
        for place in range(quotes):
            quote = data.quotes.add(type=chooser.choice((0, 1, 2)), scaled_price=26_000 + chooser.randrange(-40, 40))
            quote.volume.significand = chooser.randrange(1, 300)
            if place == 0:
                quote.quote_utc_time = 1000 * number
        bodies.append(message.SerializeToString())
    return bodies
