"""Accounts: cash by currency, holdings at average cost, profit, margin.

Stocks, options and crypto are paid in full; a currency pair exchanges cash of two currencies; a future settles its
profit when it is closed and is marked to the market in between.  Commissions are part of the average cost.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from txtrader.exsim.charges import charge_of, margin
from txtrader.exsim.records import AccountFigures, Holding, Listing, ProfitAndLoss, Reason, Refusal
from txtrader.model.instrument import SecType

ZERO = Decimal(0)
CENT = Decimal("0.01")
_LEVERAGE = 4


class Rates:
    """Fixed exchange rates: how much of the base currency one unit of another is worth."""

    def __init__(self, base: str, rates: dict[str, Decimal]) -> None:
        self.base = base
        self._rates = {**rates, base: Decimal(1)}

    def add(self, currency: str, rate: Decimal) -> None:
        """Let one more currency be known; of one that is known the rate stays."""
        self._rates.setdefault(currency, rate)

    def to_base(self, amount: Decimal, currency: str) -> Decimal:
        """Convert an amount; an unknown currency is a KeyError."""
        return amount * self._rates[currency]

    def __getitem__(self, currency: str) -> Decimal:
        return self._rates[currency]

    def __contains__(self, currency: str) -> bool:
        return currency in self._rates


class Position:
    """What an account holds of one listing: signed quantity, and what it cost (multiplier and commissions included).

    `day_value` is the value at which the day began, `day_flow` the cash that the day's trades brought.
    """

    __slots__ = ("cost", "day_flow", "day_value", "listing", "open_buy", "open_sell", "quantity", "realized")

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.quantity = ZERO
        self.cost = ZERO
        self.realized = ZERO
        self.day_value = ZERO
        self.day_flow = ZERO
        self.open_buy = ZERO
        self.open_sell = ZERO

    def value(self, mark: Decimal) -> Decimal:
        return self.quantity * mark * self.listing.multiplier

    def unrealized(self, mark: Decimal) -> Decimal:
        return self.value(mark) - self.cost

    def worst(self, more_buy: Decimal = ZERO, more_sell: Decimal = ZERO) -> Decimal:
        """Return the largest holding, signed, that the working orders, and more, may lead to."""
        long = self.quantity + self.open_buy + more_buy
        short = self.quantity - self.open_sell - more_sell
        return long if abs(long) >= abs(short) else short

    def trade(self, quantity: Decimal, price: Decimal, cost: Decimal) -> Decimal | None:
        """Take in an execution of signed `quantity` and its commission; return the profit if it closed any."""
        multiplier = self.listing.multiplier
        self.day_flow -= quantity * price * multiplier + cost
        held = self.quantity
        self.quantity = held + quantity
        if held == 0 or (held > 0) == (quantity > 0):
            self.cost += quantity * price * multiplier + cost
            return None
        closed = -quantity if abs(quantity) <= abs(held) else held  # in the sign of what was held
        part = self.cost * closed / held
        closing_cost = cost * abs(closed / quantity)
        realized = closed * price * multiplier - part - closing_cost
        self.cost -= part
        self.realized += realized
        if self.quantity == 0:
            self.cost = ZERO
        elif (self.quantity > 0) != (held > 0):  # turned round: the rest opens the other side
            self.cost = self.quantity * price * multiplier + cost - closing_cost
        return realized


class Account:
    """One account.  `mark_of(listing)` values a holding; margin of an option also asks for its underlying's."""

    is_public = True
    """Participants may trade for it and see it; not so a bot's."""

    def __init__(
        self,
        name: str,
        rates: Rates,
        cash: dict[str, Decimal],
        mark_of: Callable[[Listing], Decimal],
        under_mark_of: Callable[[Listing], Decimal],
    ) -> None:
        self.name = name
        self.rates = rates
        self.cash = dict(cash)
        self.positions: dict[int, Position] = {}
        self._mark_of = mark_of
        self._under_mark_of = under_mark_of
        self.commissions = ZERO  # in base currency, of all time

    def position(self, listing: Listing) -> Position:
        """Return the position in a listing, empty at first."""
        position = self.positions.get(listing.id)
        if position is None:
            position = self.positions[listing.id] = Position(listing)
        return position

    def trade(self, listing: Listing, quantity: Decimal, price: Decimal, cost: Decimal) -> Decimal | None:
        """Book an execution of signed `quantity` with its commission; return the profit realized, if it closed any."""
        position = self.position(listing)
        realized = position.trade(quantity, price, cost)
        currency = listing.currency
        if charge_of(listing).is_settled:
            self._pay(currency, -quantity * price * listing.multiplier - cost)
            if listing.sectype is SecType.CASH:
                self._pay(listing.symbol, quantity)
        elif realized is None:
            pass  # the commission is in the cost, and settles with the profit
        else:
            self._pay(currency, realized)
        self.commissions += self.rates.to_base(cost, currency)
        return realized

    def _pay(self, currency: str, amount: Decimal) -> None:
        self.cash[currency] = self.cash.get(currency, ZERO) + amount

    def begin_day(self) -> None:
        """Start the day's profit anew, at present marks."""
        for number, position in list(self.positions.items()):
            if not position.quantity and not position.open_buy and not position.open_sell:
                del self.positions[number]
                continue
            position.day_value = position.value(self._mark_of(position.listing))
            position.day_flow = position.realized = ZERO

    def holding(self, position: Position) -> Holding:
        """Return a position as the venue shows it."""
        listing = position.listing
        mark = self._mark_of(listing)
        quantity = position.quantity
        return Holding(
            account=self.name,
            listing_id=listing.id,
            quantity=quantity,
            average_cost=(position.cost / quantity).quantize(Decimal("0.00000001")) if quantity else ZERO,
            mark=mark,
            market_value=position.value(mark),
            unrealized=position.unrealized(mark),
            realized=position.realized,
            currency=listing.currency,
        )

    def profit(self, listing: Listing | None) -> ProfitAndLoss:
        """Return profit of one holding in its own currency, or of all in the base currency."""
        if listing is not None:
            position = self.position(listing)
            value = position.value(self._mark_of(listing))
            return ProfitAndLoss(
                daily=value - position.day_value + position.day_flow,
                unrealized=value - position.cost,
                realized=position.realized,
                quantity=position.quantity,
                market_value=value,
            )
        daily = unrealized = realized = ZERO
        for position in self.positions.values():
            one = self.profit(position.listing)
            currency = position.listing.currency
            daily += self.rates.to_base(one.daily, currency)
            unrealized += self.rates.to_base(one.unrealized, currency)
            realized += self.rates.to_base(one.realized, currency)
        return ProfitAndLoss(daily=daily, unrealized=unrealized, realized=realized)

    def requirements(self, *, with_orders: bool = False) -> tuple[Decimal, Decimal]:
        """Return initial and maintenance margin in base currency, of holdings alone or with the working orders."""
        initial = maintenance = ZERO
        for position in self.positions.values():
            quantity = position.worst() if with_orders else position.quantity
            if quantity:
                both = self.requirement(position.listing, quantity)
                initial += both[0]
                maintenance += both[1]
        return initial, maintenance

    def requirement(self, listing: Listing, quantity: Decimal) -> tuple[Decimal, Decimal]:
        """Return initial and maintenance margin of a holding in base currency."""
        initial, maintenance = margin(listing, quantity, self._mark_of(listing), self._under_mark_of(listing))
        rate = self.rates[listing.currency]
        return initial * rate, maintenance * rate

    def check_margin(self, listing: Listing, lots: int, sign: int) -> Refusal | None:
        """Refuse an order that could not be carried if everything working were filled; closing always may."""
        position = self.position(listing)
        quantity = lots * listing.step
        before = position.worst()
        after = position.worst(quantity if sign > 0 else ZERO, ZERO if sign > 0 else quantity)
        if abs(after) <= abs(before):
            return None
        required = self.requirements(with_orders=True)[0] + self.requirement(listing, after)[0]
        if before:
            required -= self.requirement(listing, before)[0]
        equity = self.equity()
        if required <= equity:
            return None
        base = self.rates.base
        return Refusal(
            Reason.BUYING_POWER,
            f"the equity of {equity:.2f} {base} does not carry the initial margin of {required:.2f} {base}",
        )

    def equity(self) -> Decimal:
        """Return cash and the value of everything held, in base currency."""
        total = self._cash_in_base()
        for position in self.positions.values():
            total += self.rates.to_base(self._worth(position), position.listing.currency)
        return total

    def _cash_in_base(self) -> Decimal:
        return sum((self.rates.to_base(amount, currency) for currency, amount in self.cash.items()), ZERO)

    def _worth(self, position: Position) -> Decimal:
        """Return what a position adds to the cash: its value, its profit (futures), nothing (currency pairs)."""
        listing = position.listing
        if listing.sectype is SecType.CASH or not position.quantity:
            return ZERO
        mark = self._mark_of(listing)
        return position.value(mark) if charge_of(listing).is_settled else position.unrealized(mark)

    def figures(self) -> AccountFigures:
        """Return all figures, rounded to cents, ratios to four places."""
        gross = stock = option = future_option = futures = ZERO
        for position in self.positions.values():
            listing = position.listing
            worth = self.rates.to_base(self._worth(position), listing.currency)
            if listing.sectype is SecType.FUTURE:
                futures += worth
                continue
            gross += abs(worth)
            if listing.sectype is SecType.OPTION:
                option += worth
            elif listing.sectype is SecType.FUTURE_OPTION:
                future_option += worth
            else:
                stock += worth
        cash = self._cash_in_base()
        equity = cash + stock + option + future_option + futures
        initial, maintenance = self.requirements()
        available, excess = equity - initial, equity - maintenance
        profit = self.profit(None)
        money = _to_cents
        return AccountFigures(
            account=self.name,
            account_type="INDIVIDUAL",
            base_currency=self.rates.base,
            net_liquidation=money(equity),
            total_cash_value=money(cash),
            settled_cash=money(cash),
            accrued_cash=money(ZERO),
            buying_power=money(max(ZERO, available * _LEVERAGE)),
            equity_with_loan_value=money(equity),
            previous_day_equity_with_loan_value=money(equity - profit.daily),
            gross_position_value=money(gross),
            reg_t_equity=money(equity),
            reg_t_margin=money(initial),
            sma=money(max(ZERO, available)),
            init_margin_req=money(initial),
            maint_margin_req=money(maintenance),
            available_funds=money(available),
            excess_liquidity=money(excess),
            cushion=_ratio(excess, equity),
            leverage=_ratio(gross, equity),
            stock_market_value=money(stock),
            option_market_value=money(option),
            future_option_value=money(future_option),
            futures_pnl=money(futures),
            unrealized_pnl=money(profit.unrealized),
            realized_pnl=money(profit.realized),
            highest_severity=0,
            day_trades_remaining=-1,
            ledger={currency: money(amount) for currency, amount in sorted(self.cash.items())},
            exchange_rates={currency: self.rates[currency] for currency in sorted(self.cash)},
        )


class BotAccount(Account):
    """The account of a bot: it has no money to begin with, may owe as much as it likes, and is in nobody's list."""

    is_public = False

    def check_margin(self, listing: Listing, lots: int, sign: int) -> Refusal | None:
        """Refuse nothing."""
        return None


def _to_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT)


def _ratio(part: Decimal, whole: Decimal) -> Decimal:
    return (part / whole).quantize(Decimal("0.0001")) if whole > 0 else ZERO
