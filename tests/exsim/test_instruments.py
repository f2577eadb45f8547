"""Finding listings: by id, by parts, by pattern; and what the demonstration lists."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from exsim_venue import ACME, BETA, listing

from txtrader.exsim.demo_listings import demo_listings
from txtrader.exsim.hours import SCHEDULES, third_friday
from txtrader.exsim.instruments import InstrumentMaster, unlisted
from txtrader.model.instrument import PriceIncrement, SecType

TODAY = date(2026, 3, 10)


@pytest.fixture(scope="module")
def master():
    return InstrumentMaster(one for one, _ in demo_listings(TODAY))


def test_an_id_finds_one_and_an_unknown_one_none(master):
    assert master.get(8314).long_name.startswith("INTL BUSINESS")
    assert master.get(1) is None
    assert not unlisted(1).is_tradeable


def test_a_symbol_may_mean_two_things_until_the_currency_or_exchange_is_given(master):
    assert {one.currency for one in master.find(symbol="IBM", sectype=SecType.STOCK)} == {"USD", "EUR"}
    assert [one.id for one in master.find(symbol="IBM", sectype=SecType.STOCK, currency="USD")] == [8314]
    assert [one.currency for one in master.find(symbol="IBM", exchange="IBIS")] == ["EUR"]
    assert len(master.find(symbol="IBM", exchange="SMART")) == 2
    assert [one.id for one in master.find(symbol="IBM", primary_exchange="NYSE")] == [8314]


def test_futures_are_found_by_month_day_and_local_symbol(master):
    futures = master.find(symbol="ES", sectype=SecType.FUTURE)
    assert [one.local_symbol for one in futures] == ["ESH6", "ESM6", "ESU6", "ESZ6"]
    assert master.find(symbol="ES", sectype=SecType.FUTURE, expiry="202606") == [futures[1]]
    assert master.find(symbol="ES", sectype=SecType.FUTURE, expiry="20260619") == [futures[1]]
    assert master.find(local_symbol="ESM6") == [futures[1]]
    front = futures[0]
    assert (front.expiry, front.contract_month) == ("20260320", "202603")
    assert (front.tick, front.multiplier, front.exchange) == (Decimal("0.25"), 50, "CME")
    assert front.under_symbol == "SPX" and master.derivatives(416904, SecType.FUTURE) == futures


def test_oil_takes_negative_prices_and_ends_before_its_month(master):
    oil = master.find(symbol="CL")
    assert len(oil) >= 5 and all(one.allows_negative_prices for one in oil)
    assert all(one.expiry[:6] < one.contract_month for one in oil)
    assert all(one.expiry > "20260310" for one in oil)


def test_options_have_a_right_a_strike_and_an_underlying(master):
    chain = master.derivatives(756733, SecType.OPTION)
    assert len(chain) > 100 and {one.right for one in chain} == {"C", "P"}
    assert len({one.local_symbol for one in chain}) == len(chain)
    some = chain[7]
    assert master.find(
        symbol="SPY", sectype=SecType.OPTION, expiry=some.expiry, strike=some.strike, right=some.right
    ) == [some]  # fmt: skip
    assert all(len(one.local_symbol) == 21 for one in chain)
    on_future = master.find(symbol="ES", sectype=SecType.FUTURE_OPTION)
    assert on_future and all(one.under_symbol == "ESH6" for one in on_future if one.contract_month == "202603")


def test_pairs_and_coins_trade_in_fractions(master):
    (euro,) = master.find(symbol="EUR", sectype=SecType.CASH)
    assert (euro.tick, euro.currency, euro.local_symbol) == (Decimal("0.00005"), "USD", "EUR.USD")
    assert euro.step < 1
    (coin,) = master.find(symbol="BTC", sectype=SecType.CRYPTO)
    assert coin.exchange == "PAXOS" and coin.step == Decimal("0.00000001")


def test_a_pattern_finds_symbols_then_names_never_derivatives(master):
    assert [one.symbol for one in master.match("ibm")][:2] == ["IBM", "IBM"]
    assert master.match("micro")[0].symbol == "MSFT"
    assert all(one.sectype is not SecType.OPTION for one in master.match("S", limit=99))
    assert master.match("es")[0].local_symbol == "ESH6"
    assert [one.symbol for one in master.match("crude")] == ["CL"]
    assert master.match("S")[0].symbol.startswith("S")
    assert master.match("  ") == [] and master.match("zzzz") == []
    assert len(master.match("C", limit=3)) == 3


def test_ids_are_unique_and_the_same_in_every_run(master):
    again = {one.id: one.local_symbol for one, _ in demo_listings(TODAY)}
    assert again == {one.id: one.local_symbol for one in master}
    tomorrow = {one.id: one.local_symbol for one, _ in demo_listings(date(2026, 3, 11))}
    assert all(tomorrow.get(number, name) == name for number, name in again.items())


@pytest.mark.parametrize("today", [date(2025, 12, 31), date(2026, 3, 20), date(2027, 2, 28), date(2030, 6, 1)])
def test_the_demonstration_can_begin_on_any_day(today):
    master = InstrumentMaster(one for one, _ in demo_listings(today))
    for one in master:
        assert not one.expiry or one.expiry > today.strftime("%Y%m%d")
        assert one.increments[0].increment == one.tick
        assert one.schedule in SCHEDULES
        assert master.rule(one.rule_id) == one.increments
    assert len(master.find(symbol="ES", sectype=SecType.FUTURE)) == 4


def test_price_steps_hold_by_band():
    stepped = listing(
        9,
        tick="0.05",
        increments=(
            PriceIncrement(low_edge=Decimal(0), increment=Decimal("0.05")),
            PriceIncrement(low_edge=Decimal(5), increment=Decimal("0.25")),
        ),
    )
    assert [stepped.tick_at(Decimal(price)) for price in ("4.99", "5", "-6")] == [
        Decimal("0.05"),
        Decimal("0.25"),
        Decimal("0.25"),
    ]


def test_an_id_or_a_rule_cannot_be_listed_twice_with_another_meaning():
    master = InstrumentMaster([ACME])
    with pytest.raises(ValueError, match="listed already"):
        master.add(ACME)
    with pytest.raises(ValueError, match="price rule"):
        master.add(listing(5, "X", tick="0.05", rule_id=ACME.rule_id))
    master.add(BETA)
    assert len(master) == 2


def test_third_fridays():
    assert third_friday(2026, 3) == date(2026, 3, 20) and third_friday(2026, 5) == date(2026, 5, 15)
