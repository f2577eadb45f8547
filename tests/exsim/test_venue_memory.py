"""What participants did outlives the venue's process."""

from __future__ import annotations

from decimal import Decimal

from exsim_venue import ACME, SECOND, A, B, Stage

from txtrader.exsim.records import Changes, Phase
from txtrader.model.order import OrderStatus, OrderType, TimeInForce


def reopened(stage, path, **more):
    """Start another venue on the same file, a minute after the first one was left as it was."""
    return Stage(state_path=str(path), at=stage.now() + 60 * SECOND, **more)


def test_orders_fills_cash_and_holdings_are_there_after_a_restart(tmp_path):
    path = tmp_path / "state"
    first = Stage(state_path=str(path))
    resting = first.sell(100, "101.00", tif=TimeInForce.GTC, client_order_id="s-1", extra={"orderId": 5})
    taker = first.buy(30, "101.00")
    waiting = first.buy(5, type=OrderType.STOP, stop_price=Decimal("400.00"))
    canceled = first.buy(5, "1.00")
    first.venue.cancel("a", canceled.id)
    figures = first.venue.figures(A)
    holdings = first.venue.holdings()
    fills = first.venue.fills()

    second = reopened(first, path)  # the first one was not even stopped: as after a kill
    venue = second.venue
    assert venue.order(resting.id).remaining == 70
    assert venue.order(resting.id).extra == {"orderId": 5}
    assert venue.order(resting.id).client_order_id == "s-1"
    assert venue.order(taker.id).status is OrderStatus.FILLED
    assert venue.order(canceled.id).status is OrderStatus.CANCELED
    assert venue.order(waiting.id).held == "trigger"
    assert venue.fills() == fills
    assert venue.commission_of(fills[0].exec_id).amount == 1
    assert venue.figures(A).ledger == figures.ledger
    assert [h.quantity for h in venue.holdings()] == [h.quantity for h in holdings]
    assert second.book()[1] == [("101.00", 70, 1)]

    later = second.buy(70, "101.00")
    assert later.status is OrderStatus.FILLED and venue.order(resting.id).status is OrderStatus.FILLED
    assert later.id > max(resting.id, taker.id, waiting.id, canceled.id)
    ids = [fill.exec_id for fill in venue.fills()]
    assert len(ids) == len(set(ids)) == 4


def test_an_order_whose_day_has_ended_in_between_expires_at_the_restart(tmp_path):
    first = Stage(state_path=str(tmp_path / "state"))
    order = first.buy(10, "1.00")
    kept = first.buy(10, "1.00", tif=TimeInForce.GTC)
    second = Stage(state_path=str(tmp_path / "state"), at=first.now() + 86400 * SECOND)
    assert second.venue.order(order.id).status is OrderStatus.EXPIRED
    assert second.venue.order(kept.id).rests


def test_what_waits_for_an_auction_waits_again_after_a_restart(tmp_path):
    first = Stage(state_path=str(tmp_path / "state"))
    close = first.buy(10, "99.00", tif=TimeInForce.CLS)
    following = first.buy(10, "98.00", auction="next")
    second = reopened(first, tmp_path / "state")
    assert [second.venue.order(one.id).held for one in (close, following)] == ["auction", "auction"]
    assert second.book() == ([], [])
    second.venue.set_phase(ACME.id, Phase.CLOSING_AUCTION)
    assert second.book()[0] == [("99.00", 10, 1), ("98.00", 10, 1)]


def test_a_torn_last_line_and_a_busted_fill_are_not_believed(tmp_path):
    path = tmp_path / "state"
    first = Stage(state_path=str(path))
    first.sell(10, "100.00")
    first.buy(10, "100.00")
    first.venue.bust(first.venue.fills(account=A)[0].exec_id)
    cash = first.venue.figures(A).ledger
    with path.open("ab") as file:
        file.write(b'{"type":"account","name":"A1","cash":{"USD":"1"},"posi')
    second = reopened(first, path)
    assert second.venue.fills() == []
    assert second.venue.figures(A).ledger == cash
    assert path.read_bytes().endswith(b"\n")


def test_linked_orders_are_still_linked(tmp_path):
    first = Stage(state_path=str(tmp_path / "state"))
    bracket = first.venue.submit_all(
        "a",
        [
            first.terms("BUY", 10, "50.00"),
            first.terms("SELL", 10, "60.00", parent_id=-1),
            first.terms("SELL", 10, type=OrderType.STOP, stop_price=Decimal("40.00"), parent_id=-1),
        ],
    )
    second = reopened(first, tmp_path / "state")
    second.sell(10, "50.00", account=B)
    again = [second.venue.order(order.id) for order in bracket]
    assert [order.status for order in again] == [OrderStatus.FILLED, OrderStatus.NEW, OrderStatus.NEW]
    second.buy(10, "60.00", account=B, owner="b")
    assert [order.status for order in again[1:]] == [OrderStatus.FILLED, OrderStatus.CANCELED]
    assert second.venue.order(bracket[0].id).listing == ACME


def test_an_endpoint_says_how_to_keep_what_it_hung_on_an_order(tmp_path):
    class Mark:
        number = 7

    first = Stage(state_path=str(tmp_path / "state"))
    first.venue.memory.extra_to_state = lambda mark: {"number": mark.number}
    order = first.buy(1, "1.00", extra=Mark(), tif=TimeInForce.GTC)
    second = reopened(first, tmp_path / "state")
    assert second.venue.order(order.id).extra == {"number": 7}
    second.venue.cancel("a", order.id)  # before the endpoint has looked at it
    third = reopened(second, tmp_path / "state")
    assert third.venue.order(order.id).extra == {"number": 7}
    assert third.venue.order(order.id).status is OrderStatus.CANCELED


def test_a_file_that_has_grown_is_written_anew_while_the_venue_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("txtrader.exsim.memory.COMPACT_ABOVE", 20_000)
    path = tmp_path / "state"
    first = Stage(state_path=str(path))
    order = first.buy(1, "1.00")
    for n in range(300):
        first.venue.replace("a", order.id, Changes(limit_price=Decimal(n + 1) / 100))
    assert path.stat().st_size < 30_000
    second = reopened(first, path)
    assert second.venue.order(order.id).limit_price == Decimal("3.00")
