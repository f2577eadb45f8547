"""What the demonstration venue lists: stocks, indices, futures, options, currency pairs, crypto.

Ids of well-known instruments are those that traders know from their broker; derivatives get one computed from their
name, so that it is the same in every run.  Derivatives are those that are current at the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from zlib import crc32

import msgspec

from txtrader.exsim.daily import DailySource, Recipe
from txtrader.exsim.hours import SCHEDULES, third_friday
from txtrader.exsim.records import Listing
from txtrader.model.instrument import PriceIncrement, SecType

__all__ = ["demo_listings"]

MONTH_CODES = "FGHJKMNQUVXZ"
NEW_YORK = "America/New_York"
CENT = Decimal("0.01")

Listed = tuple[Listing, Recipe]


def _steps(*bands: tuple[str, str]) -> tuple[PriceIncrement, ...]:
    return tuple(PriceIncrement(low_edge=Decimal(edge), increment=Decimal(step)) for edge, step in bands)


RULES: dict[int, tuple[PriceIncrement, ...]] = {
    26: _steps(("0", "0.01")),
    67: _steps(("0", "0.25")),
    32: _steps(("0", "0.01")),
    109: _steps(("0", "0.01")),
    110: _steps(("0", "0.01"), ("3", "0.05")),
    239: _steps(("0", "0.00005")),
    1700: _steps(("0", "0.25")),
    557: _steps(("0", "0.05"), ("5", "0.25")),
    98: _steps(("0", "0.25")),
    1002: _steps(("0", "0.02")),
    2570: _steps(("0", "0.10")),
}

_US = ("SMART", "NYSE", "NASDAQ", "ARCA", "BATS", "IEX", "ISLAND", "EDGEA")

# symbol, id, listed at, name, type, level, beta, shift, volume, industry, category, subcategory, isin
_STOCKS: tuple[tuple[str, int, str, str, str, float, float, int, float, str, str, str, str], ...] = (
    ("IBM", 8314, "NYSE", "INTL BUSINESS MACHINES CORP", "COMMON", 291.5, 0.8, -310, 4.2e6,
     "Technology", "Computers", "Computer Services", "US4592001014"),
    ("AAPL", 265598, "NASDAQ", "APPLE INC", "COMMON", 271.0, 1.2, -122, 5.1e7,
     "Technology", "Computers", "Computers", "US0378331005"),
    ("MSFT", 272093, "NASDAQ", "MICROSOFT CORP", "COMMON", 472.9, 1.0, -57, 2.3e7,
     "Technology", "Software", "Applications Software", "US5949181045"),
    ("AMZN", 3691937, "NASDAQ", "AMAZON.COM INC", "COMMON", 226.5, 1.3, -201, 4.4e7,
     "Communications", "Internet", "E-Commerce/Products", "US0231351067"),
    ("GOOG", 208813720, "NASDAQ", "ALPHABET INC-CL C", "COMMON", 315.3, 1.1, -402, 2.2e7,
     "Communications", "Internet", "Web Portals/ISP", "US02079K1079"),
    ("TSLA", 76792991, "NASDAQ", "TESLA INC", "COMMON", 438.1, 2.1, -533, 9.3e7,
     "Consumer, Cyclical", "Auto Manufacturers", "Auto-Cars/Light Trucks", "US88160R1014"),
    ("NVDA", 4815747, "NASDAQ", "NVIDIA CORP", "COMMON", 188.9, 1.9, -77, 1.9e8,
     "Technology", "Semiconductors", "Electronic Compo-Semicon", "US67066G1040"),
    ("META", 107113386, "NASDAQ", "META PLATFORMS INC-CLASS A", "COMMON", 650.4, 1.3, -264, 1.3e7,
     "Communications", "Internet", "Internet Content-Entmnt", "US30303M1027"),
    ("INTC", 270639, "NASDAQ", "INTEL CORP", "COMMON", 39.4, 1.4, -388, 8.8e7,
     "Technology", "Semiconductors", "Electronic Compo-Semicon", "US4581401001"),
    ("GE", 498843743, "NYSE", "GENERAL ELECTRIC", "COMMON", 316.2, 0.9, -455, 4.9e6,
     "Industrial", "Aerospace/Defense", "Aerospace/Defense", "US3696043013"),
    ("F", 9599491, "NYSE", "FORD MOTOR CO", "COMMON", 13.3, 1.1, -611, 6.1e7,
     "Consumer, Cyclical", "Auto Manufacturers", "Auto-Cars/Light Trucks", "US3453708600"),
    ("T", 37018770, "NYSE", "AT&T INC", "COMMON", 24.7, 0.5, -702, 3.6e7,
     "Communications", "Telecommunications", "Telephone-Integrated", "US00206R1023"),
    ("JPM", 1520593, "NYSE", "JPMORGAN CHASE & CO", "COMMON", 325.5, 1.0, -150, 8.7e6,
     "Financial", "Banks", "Diversified Banking Inst", "US46625H1005"),
)  # fmt: skip

_FUNDS: tuple[tuple[str, int, str, str, float, float], ...] = (
    ("SPY", 756733, "SPDR S&P 500 ETF TRUST", "sp500", 0.1, 7.2e7),
    ("QQQ", 320227571, "INVESCO QQQ TRUST SERIES 1", "nasdaq", 0.026, 5.1e7),
)


def _id_of(*parts: object) -> int:
    """Return a stable id above those that brokers use for the instruments named here."""
    return 900_000_000 + crc32("/".join(str(part) for part in parts).encode()) % 100_000_000


def demo_listings(today: date) -> list[Listed]:
    """Return all listings with their recipes, underlyings first."""
    found: list[Listed] = [*_stocks(), *_indices(), *_pairs(), _bitcoin()]
    known = {listing.symbol: (listing, recipe) for listing, recipe in found if listing.currency == "USD"}
    found += _equity_options(*known["SPY"], today)
    for listing, recipe in _futures(today, known["SPX"][0]):
        found.append((listing, recipe))
        if listing.symbol == "ES":
            found += _future_options(listing, recipe, today)
    return found


def _stocks() -> Iterator[Listed]:
    for symbol, number, listed_at, name, kind, level, beta, shift, volume, *about, isin in _STOCKS:
        series = "nasdaq" if listed_at == "NASDAQ" else "sp500"
        recipe = Recipe(series=series, level=level, beta=beta, shift=shift, volume=volume, half_spread=1, size=300)
        industry, category, subcategory = about
        yield _stock(number, symbol, listed_at, name, kind, isin, industry, category, subcategory), recipe
    for symbol, number, name, series, scale, volume in _FUNDS:
        recipe = Recipe(series=series, scale=scale, volume=volume, half_spread=1, size=800, group=series)
        listed_at = "ARCA" if symbol == "SPY" else "NASDAQ"
        yield _stock(number, symbol, listed_at, name, "ETF", "", "Financial", "Funds", "Equity Fund"), recipe
    # One symbol that means two things: IBM in Frankfurt, in euro.
    german = _stock(
        78550437, "IBM", "IBIS", "INTL BUSINESS MACHINES CORP", "COMMON", "US4592001014",
        "Technology", "Computers", "Computer Services",
    )  # fmt: skip
    recipe = Recipe(level=249.0, beta=0.8, shift=-310, volume=1.2e4, half_spread=5, size=40)
    yield (
        msgspec.structs.replace(
            german,
            currency="EUR",
            exchange="SMART",
            primary_exchange="IBIS",
            valid_exchanges=("SMART", "IBIS", "FWB"),
            trading_class="XETRA",
            tick=Decimal("0.02"),
            rule_id=1002,
            increments=RULES[1002],
            schedule="xetra",
            time_zone="Europe/Berlin",
        ),
        recipe,
    )


def _stock(number: int, symbol: str, listed_at: str, name: str, kind: str, isin: str, *about: str) -> Listing:
    return Listing(
        id=number,
        symbol=symbol,
        sectype=SecType.STOCK,
        currency="USD",
        exchange="SMART",
        primary_exchange=listed_at,
        valid_exchanges=_US,
        local_symbol=symbol,
        trading_class="NMS" if listed_at == "NASDAQ" else symbol,
        long_name=name,
        tick=CENT,
        increments=RULES[26],
        rule_id=26,
        schedule="us-stock",
        time_zone=NEW_YORK,
        suggested_step=Decimal(100),
        stock_type=kind,
        industry=about[0],
        category=about[1],
        subcategory=about[2],
        isin=isin,
    )


def _indices() -> Iterator[Listed]:
    for symbol, number, exchange, name, series in (
        ("SPX", 416904, "CBOE", "S&P 500 Stock Index", "sp500"),
        ("COMP", 28038271, "NASDAQ", "NASDAQ Composite Index", "nasdaq"),
    ):
        yield (
            Listing(
                id=number,
                symbol=symbol,
                sectype=SecType.INDEX,
                currency="USD",
                exchange=exchange,
                primary_exchange=exchange,
                valid_exchanges=(exchange,),
                local_symbol=symbol,
                trading_class=symbol,
                long_name=name,
                tick=CENT,
                increments=RULES[32],
                rule_id=32,
                schedule="us-stock",
                time_zone=NEW_YORK,
                industry="Indices",
                category="Broad Range Equity Index",
                subcategory="*",
                order_types=(),
                is_tradeable=False,
            ),
            Recipe(series=series, scale=1.0, volume=1, group=series),
        )


def _pairs() -> Iterator[Listed]:
    for base, number, level, shift in (("EUR", 12087792, 1.1725, -911), ("GBP", 12087797, 1.3460, -1207)):
        yield (
            Listing(
                id=number,
                symbol=base,
                sectype=SecType.CASH,
                currency="USD",
                exchange="IDEALPRO",
                primary_exchange="IDEALPRO",
                valid_exchanges=("IDEALPRO",),
                local_symbol=f"{base}.USD",
                trading_class=f"{base}.USD",
                long_name={"EUR": "European Monetary Union Euro", "GBP": "British pound"}[base],
                tick=Decimal("0.00005"),
                increments=RULES[239],
                rule_id=239,
                schedule="fx",
                time_zone=NEW_YORK,
                step=CENT,
                min_quantity=Decimal(1),
                suggested_step=Decimal(1000),
            ),
            Recipe(level=level, beta=0.35, shift=shift, volume=9e8, half_spread=1, size=500_000, unit=1_000),
        )


def _bitcoin() -> Listed:
    return (
        Listing(
            id=479624278,
            symbol="BTC",
            sectype=SecType.CRYPTO,
            currency="USD",
            exchange="PAXOS",
            primary_exchange="PAXOS",
            valid_exchanges=("PAXOS",),
            local_symbol="BTC.USD",
            trading_class="BTC",
            long_name="Bitcoin cryptocurrency",
            tick=Decimal("0.25"),
            increments=RULES[98],
            rule_id=98,
            schedule="crypto",
            time_zone=NEW_YORK,
            step=Decimal("0.00000001"),
            min_quantity=Decimal("0.0001"),
            suggested_step=Decimal("0.0001"),
        ),
        Recipe(
            series="nasdaq", level=88_750.0, beta=2.2, shift=-1404, volume=11_000, half_spread=20, size=0.4, unit=0.001
        ),
    )


# -- derivatives


def _months(today: date, every: int, count: int) -> Iterator[tuple[int, int]]:
    """Walk the next contract months that have not expired, of a cycle of every 1 or 3 months."""
    year, month = today.year, today.month
    while count:
        if month % every == 0 and third_friday(year, month) > today:
            yield year, month
            count -= 1
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def _futures(today: date, spx: Listing) -> Iterator[Listed]:
    for year, month in _months(today, 3, 4):
        expiry = third_friday(year, month)
        carry = 1.0 + 0.03 * (expiry - today.replace(day=1)).days / 365
        yield (
            _future("ES", "CME", "E-mini S&P 500", expiry, year, month, "0.25", "50", 67, spx),
            Recipe(scale=carry, volume=1.4e6, half_spread=1, size=25, group="es"),
        )
    for year, month in _months(today, 1, 6):
        expiry = _oil_expiry(year, month)
        if expiry <= today:
            continue
        yield (
            _future("CL", "NYMEX", "Light Sweet Crude Oil", expiry, year, month, "0.01", "1000", 32, None),
            Recipe(level=58.3 + 0.1 * month, beta=1.5, shift=-808, volume=2.6e5, half_spread=1, size=12, group="cl"),
        )


def _oil_expiry(year: int, month: int) -> date:
    """Return the last trading day of crude oil: three trading days before the 25th of the month before delivery."""
    schedule = SCHEDULES["us-future"]
    day = date(year if month > 1 else year - 1, month - 1 if month > 1 else 12, 25)
    for _ in range(3 if schedule.is_trading_date(day) else 4):
        day = schedule.previous_date(day)
    return day


def _future(
    symbol: str,
    exchange: str,
    name: str,
    expiry: date,
    year: int,
    month: int,
    tick: str,
    multiplier: str,
    rule_id: int,
    under: Listing | None,
) -> Listing:
    local = f"{symbol}{MONTH_CODES[month - 1]}{year % 10}"
    return Listing(
        id=_id_of(symbol, year, month),
        symbol=symbol,
        sectype=SecType.FUTURE,
        currency="USD",
        exchange=exchange,
        primary_exchange=exchange,
        valid_exchanges=(exchange,),
        local_symbol=local,
        trading_class=symbol,
        long_name=name,
        tick=Decimal(tick),
        increments=RULES[rule_id],
        rule_id=rule_id,
        schedule="us-future",
        time_zone="US/Central" if exchange == "CME" else NEW_YORK,
        multiplier=Decimal(multiplier),
        expiry=expiry.strftime("%Y%m%d"),
        contract_month=f"{year}{month:02d}",
        under_id=under.id if under is not None else _id_of(symbol, "underlying"),
        under_symbol=under.symbol if under is not None else symbol,
        under_sectype=under.sectype if under is not None else SecType.INDEX,
        industry="Indices" if under is not None else "Energy",
    )


def _level(recipe: Recipe, listing: Listing, today: date) -> float:
    """Return about where a listing trades at the start."""
    schedule = SCHEDULES[listing.schedule]
    daily = DailySource(recipe, listing.schedule, float(listing.tick), float(listing.step))
    return daily.bar(schedule.previous_date(today)).close * float(listing.tick)


def _strikes(level: float, step: int, each_side: int) -> list[int]:
    middle = round(level / step) * step
    return [middle + step * n for n in range(-each_side, each_side + 1) if middle + step * n > 0]


def _equity_options(under: Listing, recipe: Recipe, today: date) -> Iterator[Listed]:
    weekly = today + timedelta(days=(4 - today.weekday()) % 7 or 7)
    expiries = {weekly, *(third_friday(*month) for month in _months(today, 1, 4))}
    strikes = _strikes(_level(recipe, under, today), 5, 12)
    for expiry in sorted(expiries):
        for strike in strikes:
            for right in "CP":
                day = expiry.strftime("%y%m%d")
                yield (
                    _option(
                        under,
                        SecType.OPTION,
                        expiry,
                        strike,
                        right,
                        exchange="SMART",
                        exchanges=("SMART", "CBOE", "AMEX", "ISE", "PHLX"),
                        local=f"{under.symbol:<6}{day}{right}{strike * 1000:08d}",
                        trading_class=under.symbol,
                        tick="0.01",
                        rule_id=109,
                        multiplier="100",
                    ),
                    Recipe(level=1.0, volume=2_500, half_spread=2, size=40),
                )


def _future_options(under: Listing, recipe: Recipe, today: date) -> Iterator[Listed]:
    year, month = int(under.contract_month[:4]), int(under.contract_month[4:])
    if third_friday(year, month) - today > timedelta(days=200):
        return
    for strike in _strikes(_level(recipe, under, today), 50, 8):
        for right in "CP":
            yield (
                _option(
                    under,
                    SecType.FUTURE_OPTION,
                    third_friday(year, month),
                    strike,
                    right,
                    exchange="CME",
                    exchanges=("CME",),
                    local=f"{under.local_symbol} {right}{strike}",
                    trading_class="ES",
                    tick="0.05",
                    rule_id=557,
                    multiplier="50",
                ),
                Recipe(level=1.0, volume=900, half_spread=5, size=15),
            )


def _option(
    under: Listing,
    sectype: SecType,
    expiry: date,
    strike: int,
    right: str,
    *,
    exchange: str,
    exchanges: tuple[str, ...],
    local: str,
    trading_class: str,
    tick: str,
    rule_id: int,
    multiplier: str,
) -> Listing:
    return Listing(
        id=_id_of(sectype, under.id, expiry, strike, right),
        symbol=under.symbol,
        sectype=sectype,
        currency=under.currency,
        exchange=exchange,
        primary_exchange=exchanges[-1] if sectype is SecType.FUTURE_OPTION else "CBOE",
        valid_exchanges=exchanges,
        local_symbol=local,
        trading_class=trading_class,
        long_name=under.long_name,
        tick=Decimal(tick),
        increments=RULES[rule_id],
        rule_id=rule_id,
        schedule="us-option" if sectype is SecType.OPTION else "us-future",
        time_zone=under.time_zone,
        multiplier=Decimal(multiplier),
        expiry=expiry.strftime("%Y%m%d"),
        contract_month=expiry.strftime("%Y%m"),
        strike=Decimal(strike),
        right=right,
        under_id=under.id,
        under_symbol=under.symbol if sectype is SecType.OPTION else under.local_symbol,
        under_sectype=under.sectype,
        industry=under.industry,
    )
