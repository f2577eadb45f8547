"""Accounts: cash, average cost, profit, margin, commissions, busts and corrections."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, FUTURE, PAIR, A, B, Stage
from hypothesis import given
from hypothesis import strategies as st

from txtrader.exsim.accounts import Position
from txtrader.exsim.charges import commission
from txtrader.exsim.records import ExecKind, Reason

D = Decimal


def test_a_stock_is_paid_and_its_average_cost_holds_the_commission():
    stage = Stage()
    stage.sell(100, "100.00")
    stage.buy(100, "100.00")
    figures = stage.venue.figures(A)
    assert figures.ledger == {"USD": D("9989999.00")}
    (holding,) = stage.venue.holdings(A)
    assert (holding.quantity, holding.average_cost, holding.unrealized) == (100, D("100.01"), -1)
    assert figures.net_liquidation == D("9999999.00")
    (short,) = stage.venue.holdings(B)
    assert (short.quantity, short.average_cost) == (-100, D("99.99"))


def test_profit_is_realized_when_a_position_is_closed():
    stage = Stage()
    stage.sell(100, "100.00")
    stage.buy(100, "100.00")
    stage.buy(100, "110.00", account=B, owner="b")
    stage.sell(100, "110.00", account=A, owner="a")
    charges = [stage.venue.commission_of(fill.exec_id) for fill in stage.venue.fills(account=A)]
    assert [charge.realized for charge in charges] == [None, D("998")]
    profit = stage.venue.profit(A)
    assert (profit.realized, profit.unrealized, profit.daily) == (998, 0, 998)
    assert stage.venue.profit(B).daily == -1002


def test_turning_a_position_round_opens_the_rest_at_its_own_price():
    position = Position(ACME)
    position.trade(D(10), D(100), D(1))
    realized = position.trade(D(-30), D(110), D(3))
    assert realized == D(10 * 110 - 10 * 100 - 1 - 1)
    assert (position.quantity, position.cost) == (-20, D(-20 * 110 + 2))


trades = st.lists(
    st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 200), st.integers(0, 5)), min_size=1, max_size=40
)


@given(trades)
def test_what_is_realized_and_not_sums_up_to_the_cash_and_the_value(moves):
    position = Position(ACME)
    cash = D(0)
    for quantity, price, cost in moves:
        position.trade(D(quantity), D(price), D(cost))
        cash -= quantity * D(price) + cost
    mark = D(moves[-1][1])
    total = position.realized + position.unrealized(mark)
    assert abs(total - (cash + position.value(mark))) < D("1e-15")
    assert position.quantity == sum(quantity for quantity, _, _ in moves)


def test_a_future_moves_no_cash_until_it_is_closed():
    stage = Stage()
    stage.sell(2, "5000.00", on=FUTURE)
    stage.buy(2, "5000.00", on=FUTURE)
    assert stage.venue.figures(A).ledger == {"USD": D("10000000.00")}
    figures = stage.venue.figures(A)
    assert figures.init_margin_req == D("33000.00") and figures.futures_pnl == D("-4.50")
    stage.buy(2, "5010.00", on=FUTURE, account=B, owner="b")
    stage.sell(2, "5010.00", on=FUTURE, account=A, owner="a")
    assert stage.venue.figures(A).ledger == {"USD": D("10000991.00")}  # 2 x 50 x 10 less 4 x 2.25
    assert stage.venue.figures(A).init_margin_req == 0


def test_a_pair_exchanges_one_currency_for_the_other():
    stage = Stage()
    stage.sell(1000, "1.10000", on=PAIR)
    stage.buy(1000, "1.10000", on=PAIR)
    figures = stage.venue.figures(A)
    assert figures.ledger == {"EUR": D("1000.00"), "USD": D("9998898.00")}
    assert figures.net_liquidation == D("9999998.00")
    (holding,) = stage.venue.holdings(A)
    assert holding.quantity == 1000


@pytest.mark.parametrize(
    ("quantity", "price", "cost"),
    [("100", "50", "1"), ("1000", "50", "5"), ("1", "0.50", "0.01"), ("10000", "0.20", "20")],
)
def test_a_stock_costs_per_share_at_least_one_and_at_most_a_percent(quantity, price, cost):
    assert commission(ACME, D(quantity), D(quantity) * D(price)) == D(cost)


def test_the_least_commission_is_charged_once_an_order():
    stage = Stage()
    stage.sell(100, "100.00")
    stage.sell(200, "100.00")
    order = stage.buy(300, "100.00")
    amounts = [stage.venue.commission_of(fill.exec_id).amount for fill in stage.venue.fills(account=A)]
    assert amounts == [1, D("0.5")] and order.commission == D("1.5")


def test_an_order_that_closes_always_may_and_working_orders_count():
    stage = Stage(cash=10_000)
    stage.trade_at("100.00")
    assert stage.buy(150, "100.00").is_open
    refused = stage.buy(100, "100.00")
    assert refused.end.reason is Reason.BUYING_POWER and "USD" in refused.end.text
    stage.sell(150, "100.00")
    assert stage.buy(200, "100.00").end.reason is Reason.BUYING_POWER
    assert stage.sell(151, "100.00", account=A, owner="a").is_open
    stage.venue.mass_cancel()
    assert stage.buy(40, "100.00").is_open  # canceled orders do not count


def test_canceling_and_filling_leaves_no_trace_in_the_sums_of_working_orders():
    stage = Stage()
    order = stage.buy(10, "100.00")
    stage.sell(4, "100.00")
    stage.venue.cancel("a", order.id)
    position = stage.venue._accounts[A].position(ACME)
    assert (position.open_buy, position.open_sell) == (0, 0)
    assert stage.venue._accounts[B].position(ACME).open_sell == 0


def test_a_bust_takes_both_sides_back():
    stage = Stage()
    sold = stage.sell(10, "100.00")
    bought = stage.buy(10, "100.00")
    before = stage.venue.fills(account=A)[0]
    stage.ear.heard.clear()
    busted = stage.venue.bust(before.exec_id)
    assert (busted.kind, busted.replaces, busted.exec_id) == (ExecKind.BUST, before.exec_id, before.exec_id[:-1] + "2")
    assert stage.venue.fills() == [] and bought.filled == sold.filled == 0
    for account in (A, B):
        assert stage.venue.figures(account).ledger == {"USD": D("10000000.00")}
    assert [fact[1] for fact in stage.ear.heard if fact[0] == "fill_corrected"] == [sold.id, bought.id] or [
        fact[1] for fact in stage.ear.heard if fact[0] == "fill_corrected"
    ] == [bought.id, sold.id]
    with pytest.raises(KeyError):
        stage.venue.bust(before.exec_id)


def test_a_correction_books_the_difference():
    stage = Stage()
    stage.sell(10, "100.00")
    order = stage.buy(10, "100.00")
    fill = stage.venue.fills(account=A)[0]
    new = stage.venue.correct(fill.exec_id, price=D("99.50"))
    assert (new.kind, new.price, new.average, order.average_price) == (
        ExecKind.CORRECT,
        D("99.50"),
        D("99.50"),
        D("99.5"),
    )
    assert stage.venue.figures(A).ledger == {"USD": D("9999004.00")}
    assert stage.venue.figures(B).ledger == {"USD": D("10000994.00")}
    assert [one.exec_id for one in stage.venue.fills(account=A)] == [new.exec_id]
    again = stage.venue.correct(new.exec_id, quantity=D(8))
    assert again.exec_id.endswith(".03") and order.filled == 8
    with pytest.raises(ValueError, match="cannot trade"):
        stage.venue.correct(again.exec_id, price=D("99.505"))


def test_shares_and_money_are_conserved_with_the_house_in_the_game():
    stage = Stage(has_house=True, activity="fast", cash=10**8)
    for n in range(60):
        stage.buy(37 + n)
        stage.sell(21 + 2 * n)
        stage.clock.advance(0.2)
    market = stage.venue._market(ACME.id)
    assert market.trades > 150
    held = sum(holding.quantity for holding in stage.venue.holdings())
    assert held + market.house_lots == 0 and held != 0
    cash = sum(stage.venue.figures(name).ledger["USD"] for name in (A, B))
    paid = sum(stage.venue.commission_of(fill.exec_id).amount for fill in stage.venue.fills())
    assert cash + market.house_flow * ACME.tick + paid == 2 * 10**8
