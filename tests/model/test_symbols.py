"""The symbol grammar."""

from decimal import Decimal

import pytest

from txtrader.errors import InvalidArgument
from txtrader.model.instrument import SecType
from txtrader.model.symbols import canonical_symbol, parse_symbol


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("IBM", {"sectype": SecType.STOCK, "symbol": "IBM"}),
        ("ibm@nyse", {"sectype": SecType.STOCK, "symbol": "IBM", "primary_exchange": "NYSE"}),
        ("SAP@IBIS$EUR", {"symbol": "SAP", "primary_exchange": "IBIS", "currency": "EUR"}),
        ("BRK B", {"symbol": "BRK B"}),
        ("ES:202612@CME", {"sectype": SecType.FUTURE, "symbol": "ES", "expiry": "202612", "exchange": "CME"}),
        ("ES:0@CME", {"sectype": SecType.FUTURE, "roll": 0, "expiry": None}),
        (
            "SPY:20261218:C500",
            {"sectype": SecType.OPTION, "expiry": "20261218", "right": "C", "strike": Decimal(500)},
        ),
        ("ES:20261218:P4500.5@CME", {"right": "P", "strike": Decimal("4500.5"), "exchange": "CME"}),
        ("EUR/USD", {"sectype": SecType.CASH, "symbol": "EUR", "currency": "USD"}),
        ("BTC/USD@PAXOS", {"sectype": SecType.CRYPTO, "symbol": "BTC", "exchange": "PAXOS"}),
        ("^SPX@CBOE", {"sectype": SecType.INDEX, "symbol": "SPX", "exchange": "CBOE"}),
        ("#265598", {"instrument_id": "265598"}),
        ("!ESZ6", {"raw_symbol": "ESZ6"}),
    ],
)
def test_each_form_is_read(text: str, parts: dict[str, object]) -> None:
    query = parse_symbol(text)
    assert {name: getattr(query, name) for name in parts} == parts


@pytest.mark.parametrize(
    "text",
    ["", " IBM", "IBM ", "A  B", "IBM\0", "IBM;", "IBM,VOLUME=9", "Ä", "X\x0138=1", "A" * 64, "#", "!", "ES:202613",
     "ES:20261240", "SPY:1:C500", "SPY:20261218:C1e2", "SPY:20261218:X500", "@NYSE", "EUR/USD$GBP", 5, None, ["IBM"]],
)  # fmt: skip
def test_what_is_no_symbol_is_refused(text: object) -> None:
    with pytest.raises(InvalidArgument):
        parse_symbol(text)


@pytest.mark.parametrize(
    ("parts", "spelling"),
    [
        ({"sectype": SecType.STOCK, "symbol": "IBM", "currency": "USD", "primary_exchange": "NYSE"}, "IBM"),
        ({"sectype": SecType.STOCK, "symbol": "SAP", "currency": "EUR", "primary_exchange": "IBIS"}, "SAP@IBIS$EUR"),
        (
            {"sectype": SecType.FUTURE, "symbol": "ES", "currency": "USD", "exchange": "CME", "expiry": "20261218"},
            "ES:20261218@CME",
        ),
        (
            {"sectype": SecType.OPTION, "symbol": "SPY", "currency": "USD", "exchange": "SMART", "expiry": "20261218",
             "right": "C", "strike": Decimal("500.00")},
            "SPY:20261218:C500",
        ),
        (
            {"sectype": SecType.OPTION, "symbol": "SPX", "currency": "USD", "exchange": "CBOE", "expiry": "20261218",
             "right": "C", "strike": Decimal(5000), "trading_class": "SPXW"},
            "#77",
        ),
        ({"sectype": SecType.CASH, "symbol": "EUR", "currency": "USD", "exchange": "IDEALPRO"}, "EUR/USD"),
        ({"sectype": SecType.CRYPTO, "symbol": "BTC", "currency": "USD", "exchange": "PAXOS"}, "BTC/USD@PAXOS"),
        ({"sectype": SecType.INDEX, "symbol": "SPX", "currency": "USD", "exchange": "CBOE"}, "^SPX@CBOE"),
    ],
)  # fmt: skip
def test_the_canonical_spelling_reads_back_as_the_same_thing(parts: dict[str, object], spelling: str) -> None:
    written = canonical_symbol(instrument_id="77", **parts)  # type: ignore[arg-type]
    assert written == spelling
    query = parse_symbol(written)
    if query.instrument_id is None:
        assert query.symbol == parts["symbol"]
        assert query.sectype is parts["sectype"]
