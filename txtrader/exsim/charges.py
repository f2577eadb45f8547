"""What trading costs and what holding requires: commissions and margin by kind of listing.

The figures are a plausible retail broker's, round on purpose; they are fixed so that a test can say what it expects.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from txtrader.exsim.records import Listing
from txtrader.model.instrument import SecType

__all__ = ["Charge", "charge_of", "commission", "margin"]

ZERO = Decimal(0)
CENT = Decimal("0.01")


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """Rates of one kind of listing.

    Commission: `per_unit` and `of_value` (a fraction) are summed, at least `minimum` an order, at most `most` of the
    value where that is given.  Margin: `initial` and `maintenance` are fractions of the held value; `is_settled`
    listings are paid in cash in full when traded, others settle their profit only.
    """

    per_unit: Decimal = ZERO
    of_value: Decimal = ZERO
    minimum: Decimal = ZERO
    most: Decimal | None = None
    initial: Decimal = Decimal(1)
    maintenance: Decimal = Decimal(1)
    is_settled: bool = True


_CHARGES: dict[SecType, Charge] = {
    SecType.STOCK: Charge(
        per_unit=Decimal("0.005"),
        minimum=Decimal(1),
        most=Decimal("0.01"),
        initial=Decimal("0.5"),
        maintenance=Decimal("0.25"),
    ),
    SecType.FUTURE: Charge(
        per_unit=Decimal("2.25"), initial=Decimal("0.066"), maintenance=Decimal("0.06"), is_settled=False
    ),
    SecType.OPTION: Charge(per_unit=Decimal("0.65"), minimum=Decimal(1)),
    SecType.FUTURE_OPTION: Charge(per_unit=Decimal("1.42"), minimum=Decimal("1.42")),
    SecType.CASH: Charge(
        of_value=Decimal("0.00002"), minimum=Decimal(2), initial=Decimal("0.03"), maintenance=Decimal("0.025")
    ),
    SecType.CRYPTO: Charge(of_value=Decimal("0.0018"), minimum=Decimal("1.75"), most=Decimal("0.01")),
}


def charge_of(listing: Listing) -> Charge:
    """Return the rates of a listing; a kind without any of its own costs nothing and is paid in full."""
    return _CHARGES.get(listing.sectype, Charge())


def commission(listing: Listing, quantity: Decimal, value: Decimal) -> Decimal:
    """Return the whole commission of an order that traded `quantity` for `value` (both positive) so far."""
    rates = charge_of(listing)
    amount = max(rates.per_unit * quantity + rates.of_value * value, rates.minimum)
    if rates.most is not None:
        amount = min(amount, max(rates.most * value, CENT))
    return amount.quantize(Decimal("0.0001"))


def margin(listing: Listing, quantity: Decimal, mark: Decimal, under_mark: Decimal) -> tuple[Decimal, Decimal]:
    """Return initial and maintenance margin of a holding, in the listing's currency.

    A short option requires its value and a fifth of the underlying's; a long one its value.
    """
    rates = charge_of(listing)
    value = abs(quantity * mark * listing.multiplier)
    if quantity < 0 and listing.sectype in (SecType.OPTION, SecType.FUTURE_OPTION):
        short = value + abs(quantity) * listing.multiplier * under_mark / 5
        return short, short
    return value * rates.initial, value * rates.maintenance
