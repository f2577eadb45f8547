"""Which accounts a login is about, what their last statement says, and whose trading is subscribed to."""

from __future__ import annotations

from decimal import Decimal

import pytest
from adapter_harness import OrderDesk, query, turn
from cqg_run import on_cqg
from test_cqg_link import changed
from twisted.internet import reactor
from tws_harness import STRANGERS_ACCOUNT

from txtrader.adapters.cqg_accounts import AccountChoice
from txtrader.model.account import AccountValue, Position
from txtrader.model.execution import Execution
from txtrader.model.order import OrderUpdate, Side
from txtrader.settings.kinds import account_choice

OURS = "DU1000001"
BOTH = (OURS, STRANGERS_ACCOUNT)


def chosen(text: str):
    return changed(accounts=AccountChoice.from_words(account_choice(text)))


def levels(harness) -> set[tuple[str, ...]]:
    """Return whose trading the server tells the client of."""
    (connection,) = harness.endpoint.connections
    return {one.accounts for one in connection.trading._subscriptions.values()}


@pytest.mark.parametrize(
    "text", ["", "A,,B", "A,A", "A B", "series:1", "series:x/1", "brokerage:", "brokerage:1,A", "series:1/a b"]
)
def test_a_choice_that_is_none_is_refused(text):
    with pytest.raises(ValueError):
        account_choice(text)


CHOICES = [OURS, "series:1/A", "brokerage:1"]


@pytest.mark.parametrize("text", CHOICES)
def test_only_the_chosen_accounts_are_there_and_subscribed_to(text):
    expected = BOTH if text == "brokerage:1" else (OURS,)

    @on_cqg(options=chosen(text), accounts=BOTH, series={OURS: "A"})
    async def body(harness):
        assert harness.adapter.books.accounts == expected
        await turn(reactor)
        assert levels(harness) == {expected}
        snapshot = await harness.adapter.snapshot()
        assert snapshot.accounts == expected

    return body()


def test_what_happens_on_other_accounts_is_not_ours():
    @on_cqg(options=chosen(OURS), accounts=BOTH)
    async def body(harness):
        # As from a server that lists all: a word on an account that was not chosen is passed over.
        harness.adapter.books.put_accounts = lambda subscription: setattr(subscription, "publication_type", 4)
        await harness.adapter.snapshot()
        (ibm, *_) = await harness.adapter.resolve(query("IBM"))
        await harness.quote("99.00", "101.00")
        mark = harness.sink.mark()
        harness.enter(Side.BUY, 5, "101.00", session=harness.other)
        order = OrderDesk(harness, ibm).submit(limit="50.00")
        await harness.sink.until(OrderUpdate, lambda update: update.order_ref == order.id, since=mark)
        snapshot = await harness.adapter.snapshot()
        accounts = {told.account for kind in (Position, Execution, AccountValue) for told in harness.sink.of(kind)}
        assert accounts <= {OURS}
        assert {one.account for one in (*snapshot.open_orders, *snapshot.positions, *snapshot.executions)} <= {OURS}

    return body()


@on_cqg
async def test_the_last_statement_is_told_with_its_collateral(harness):
    told = await harness.sink.until(AccountValue, lambda value: value.key == "Collateral")
    assert (told.account, told.value) == (OURS, "0") and told.currency
    cash = {value.currency: value.value for value in harness.sink.of(AccountValue) if value.key == "StatementBalance"}
    ledger = harness.venue.figures(OURS).ledger
    assert {currency: Decimal(text) for currency, text in cash.items()} == ledger
