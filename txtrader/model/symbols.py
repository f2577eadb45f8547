"""The symbol grammar: one compact word for any instrument, read and written.

IBM   IBM@NYSE   SAP@IBIS$EUR      stock; `@` the (primary) exchange, `$` the currency, both optional everywhere
ES:202612@CME   ES:0@CME           future by month or day; `:0` the front contract, `:1` the next
SPY:20261218:C500                  option, or option on a future
EUR/USD   BTC/USD@PAXOS            currency pair, or crypto
^SPX@CBOE                          index
#265598   !ESZ6                    instrument id; the broker's own symbol, uninterpreted
"""

from __future__ import annotations

import re
from decimal import Decimal

from txtrader.errors import InvalidArgument
from txtrader.model.instrument import Instrument, InstrumentQuery, SecType
from txtrader.model.numbers import parse_decimal, plain_text

__all__ = ["canonical_symbol", "parse_symbol", "symbol_of"]

_ALLOWED = re.compile(r"[A-Za-z0-9._\-/:+^#@&$!]+( [A-Za-z0-9._\-/:+^#@&$!]+)*", re.ASCII)
_MAX_LENGTH = 63
_NAME = r"[A-Z0-9._\-+& ]+"
_PLACE = r"(?:@(?P<exchange>[A-Z0-9._\-]+))?(?:\$(?P<currency>[A-Z]{3,5}))?"
_STOCK = re.compile(rf"(?P<symbol>{_NAME}){_PLACE}", re.ASCII)
_INDEX = re.compile(rf"\^(?P<symbol>{_NAME}){_PLACE}", re.ASCII)
_PAIR = re.compile(rf"(?P<symbol>[A-Z0-9]{{2,10}})/(?P<quote>[A-Z0-9]{{2,10}}){_PLACE}", re.ASCII)
_DATED = re.compile(
    rf"(?P<symbol>{_NAME}):(?P<expiry>[0-9]{{6}}|[0-9]{{8}}|[0-9]{{1,2}})"
    rf"(?::(?P<right>[CP])(?P<strike>-?[0-9.]+))?{_PLACE}",
    re.ASCII,
)
_ID = re.compile(r"#([0-9A-Z._\-]{1,32})", re.ASCII)

# Currencies that trade against each other as money; any other pair is taken as crypto.
_FIAT = frozenset(
    "AED AUD BGN BRL CAD CHF CLP CNH CNY COP CZK DKK EUR GBP HKD HUF IDR ILS INR ISK JPY KRW KWD MXN MYR NOK NZD PHP "
    "PLN RON RUB SAR SEK SGD THB TRY TWD USD ZAR XAU XAG".split()
)
_CRYPTO_PLACES = frozenset({"PAXOS", "ZEROHASH"})


def parse_symbol(text: object, path: str = "symbol") -> InstrumentQuery:
    """Parse a symbol; case does not matter.  Raises InvalidArgument with `path`."""
    if not isinstance(text, str) or not 1 <= len(text) <= _MAX_LENGTH or not _ALLOWED.fullmatch(text):
        raise InvalidArgument("not a symbol", path=path)
    if text.startswith("!") and len(text) > 1:
        return InstrumentQuery(text=text, raw_symbol=text[1:])
    word = text.upper()
    if found := _ID.fullmatch(word):
        return InstrumentQuery(text=word, instrument_id=found[1])
    if found := _INDEX.fullmatch(word):
        return InstrumentQuery(
            text=word,
            sectype=SecType.INDEX,
            symbol=found["symbol"],
            exchange=found["exchange"],
            currency=found["currency"],
        )
    if found := _PAIR.fullmatch(word):
        return _pair(word, found, path)
    if found := _DATED.fullmatch(word):
        return _dated(word, found, path)
    if found := _STOCK.fullmatch(word):
        return InstrumentQuery(
            text=word,
            sectype=SecType.STOCK,
            symbol=found["symbol"],
            primary_exchange=found["exchange"],
            currency=found["currency"],
        )
    raise InvalidArgument("not a symbol", path=path)


def _pair(word: str, found: re.Match[str], path: str) -> InstrumentQuery:
    if found["currency"] and found["currency"] != found["quote"]:
        raise InvalidArgument("the pair names its currency already", path=path)
    is_money = found["symbol"] in _FIAT and found["quote"] in _FIAT and found["exchange"] not in _CRYPTO_PLACES
    return InstrumentQuery(
        text=word,
        sectype=SecType.CASH if is_money else SecType.CRYPTO,
        symbol=found["symbol"],
        currency=found["quote"],
        exchange=found["exchange"],
    )


def _dated(word: str, found: re.Match[str], path: str) -> InstrumentQuery:
    expiry, right = found["expiry"], found["right"]
    roll: int | None = None
    if len(expiry) <= 2:
        if right:
            raise InvalidArgument("an option needs its expiry as YYYYMMDD", path=path)
        roll, expiry = int(expiry), None
    elif not 1 <= int(expiry[4:6]) <= 12 or (len(expiry) == 8 and not 1 <= int(expiry[6:]) <= 31):
        raise InvalidArgument("the expiry is not a date", path=path)
    strike: Decimal | None = parse_decimal(found["strike"], path) if right else None
    return InstrumentQuery(
        text=word,
        # An option on a future has the same spelling: the adapter tries both.
        sectype=SecType.OPTION if right else SecType.FUTURE,
        symbol=found["symbol"],
        expiry=expiry,
        right=right,
        strike=strike,
        roll=roll,
        exchange=found["exchange"],
        currency=found["currency"],
    )


def canonical_symbol(
    *,
    sectype: SecType,
    symbol: str,
    instrument_id: str,
    exchange: str | None = None,
    primary_exchange: str | None = None,
    currency: str | None = None,
    expiry: str | None = None,
    strike: Decimal | None = None,
    right: str | None = None,
    trading_class: str | None = None,
) -> str:
    """Write the one spelling that answers carry.

    US stocks are their plain name.  Where the grammar cannot tell two contracts apart (an option of a second
    trading class on the same day) it is the instrument id, `#265598`.
    """
    place = f"@{exchange}" if exchange and exchange != "SMART" else ""
    money = f"${currency}" if currency and currency != "USD" else ""
    match sectype:
        case SecType.STOCK | SecType.FUND:
            if not money:
                word = symbol
            else:
                home = primary_exchange or exchange
                word = f"{symbol}{f'@{home}' if home and home != 'SMART' else ''}{money}"
        case SecType.INDEX:
            word = f"^{symbol}{place}{money}"
        case SecType.CASH:
            word = f"{symbol}/{currency}"
        case SecType.CRYPTO:
            word = f"{symbol}/{currency}{place}"
        case SecType.FUTURE if expiry:
            # By the day: the contract month is not always the month of the last trade day (crude oil), and a
            # month may hold several contracts (weekly ones).
            word = f"{symbol}:{expiry}{place}{money}"
        case SecType.OPTION if expiry and strike is not None and right and trading_class in (None, "", symbol):
            word = f"{symbol}:{expiry}:{right[0]}{plain_text(strike)}{money}"
        case SecType.FUTURE_OPTION if expiry and strike is not None and right:
            word = f"{symbol}:{expiry}:{right[0]}{plain_text(strike)}{place}{money}"
        case _:
            word = f"#{instrument_id}"
    return word if len(word) <= _MAX_LENGTH and _ALLOWED.fullmatch(word) else f"#{instrument_id}"


def symbol_of(instrument: Instrument, name: str) -> str:
    """Write the canonical symbol of a record whose broker name is `name`."""
    return canonical_symbol(
        sectype=instrument.sectype,
        symbol=name,
        instrument_id=instrument.instrument_id,
        exchange=instrument.exchange,
        primary_exchange=instrument.primary_exchange,
        currency=instrument.currency,
        expiry=instrument.expiry,
        strike=instrument.strike,
        right=instrument.right,
        trading_class=instrument.trading_class,
    )
