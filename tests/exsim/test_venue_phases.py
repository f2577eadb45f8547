"""The phases of a market: which follow which, what each takes, halts, trade at last, the end of a day."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, BETA, SECOND, Eye, Stage

from txtrader.errors import InvalidArgument
from txtrader.exsim.phase_options import PHASE_OPTIONS, Band, PhaseSettings
from txtrader.exsim.phases import MOVES, WrongPhase
from txtrader.exsim.records import Changes, Phase, Reason
from txtrader.model.order import OrderStatus, OrderType, TimeInForce

D = Decimal
P = Phase
DAY = (
    P.PRE_OPEN, P.OPENING_AUCTION, P.CONTINUOUS, P.CLOSING_AUCTION, P.TRADE_AT_LAST, P.POST_CLOSE, P.CLOSED,
)  # fmt: skip
WAYS = {
    P.CONTINUOUS: (),
    P.HALT: (P.HALT,),
    P.PAUSE: (P.PAUSE,),
    P.CLOSED: (P.CLOSED,),
    P.PRE_OPEN: (P.CLOSED, P.PRE_OPEN),
    P.OPENING_AUCTION: (P.CLOSED, P.OPENING_AUCTION),
    P.CLOSING_AUCTION: (P.CLOSING_AUCTION,),
    P.TRADE_AT_LAST: (P.TRADE_AT_LAST,),
    P.POST_CLOSE: (P.POST_CLOSE,),
}


def in_phase(phase, **options):
    stage = Stage(**options)
    for step in WAYS[phase]:
        stage.venue.set_phase(ACME.id, step)
    return stage


def last(stage):
    return stage.venue.stats(ACME.id).last


@pytest.mark.parametrize("old", Phase)
def test_only_the_moves_of_the_table_are_made(old):
    for new in Phase:
        stage = in_phase(old)
        eye = Eye()
        stage.venue.watch(ACME.id, eye)
        if new is old:
            stage.venue.set_phase(ACME.id, new)
            assert eye.of("phase") == [], "staying is no news"
        elif new in MOVES[old]:
            stage.venue.set_phase(ACME.id, new)
            assert eye.of("phase") == [new] and stage.venue.phase(ACME.id) is new
        else:
            with pytest.raises(ValueError, match="cannot go from") as raised:
                stage.venue.set_phase(ACME.id, new)
            assert (raised.value.code, raised.value.reason) == ("wrong-state", Reason.PHASE)
            assert stage.venue.phase(ACME.id) is old


def test_a_whole_day_by_request():
    stage = in_phase(P.CLOSED)
    for phase in DAY:
        stage.venue.set_phase(ACME.id, phase)
    assert stage.venue.phase(ACME.id) is P.CLOSED


def test_an_unknown_market_is_a_key_error():
    stage = Stage()
    with pytest.raises(KeyError):
        stage.venue.set_phase(999, P.CLOSED)


def test_all_markets_move_together_or_none_and_later_ones_wake_there():
    stage = Stage()
    stage.venue.top(ACME.id)
    stage.venue.set_phase(None, P.CLOSED)
    assert stage.venue.phase(ACME.id) is P.CLOSED
    assert stage.venue.phase(BETA.id) is P.CLOSED, "which slept"
    stage.venue.set_phase(BETA.id, P.CONTINUOUS)
    with pytest.raises(WrongPhase):
        stage.venue.set_phase(None, P.OPENING_AUCTION)
    assert stage.venue.phase(ACME.id) is P.CLOSED


TAKEN = {
    P.CLOSED: (),
    P.PRE_OPEN: ("limit", "market", "OPG", "CLS", "next", "GTC", "GTD"),
    P.OPENING_AUCTION: ("limit", "market", "OPG", "CLS", "next", "GTC", "GTD"),
    P.CONTINUOUS: ("limit", "market", "CLS", "next", "GTC", "GTD", "IOC", "FOK", "stop", "post", "GTX"),
    P.CLOSING_AUCTION: ("limit", "market", "CLS", "next", "GTC", "GTD"),
    P.PAUSE: ("limit", "market", "CLS", "next", "GTC", "GTD"),
    P.HALT: (),
    P.POST_CLOSE: (),
    P.TRADE_AT_LAST: (),
}


@pytest.mark.parametrize("phase", Phase)
def test_each_phase_takes_what_the_table_says(phase):
    stage = in_phase(phase)
    asked = {
        "limit": {},
        "market": {"price": None},
        "stop": {"type": OrderType.STOP_LIMIT, "stop_price": D(120)},
        "post": {"post_only": True},
        "next": {"auction": "next"},
        "GTX": {"auction": "cancel_on_auction"},
        "GTD": {"tif": TimeInForce.GTD, "expire_time": stage.now() + SECOND},
        **{word: {"tif": TimeInForce(word)} for word in ("OPG", "CLS", "GTC", "IOC", "FOK")},
    }
    taken = []
    for name, more in asked.items():
        order = stage.buy(1, more.pop("price", "90.00"), **more)
        if order.status is not OrderStatus.REJECTED:
            taken.append(name)
        else:
            assert order.end.reason in (Reason.PHASE, Reason.CLOSED)
    assert sorted(taken) == sorted(TAKEN[phase])


@pytest.mark.parametrize(
    ("phase", "cancel", "replace"),
    [
        (P.CLOSED, True, False),
        (P.PRE_OPEN, True, True),
        (P.CLOSING_AUCTION, True, True),
        (P.POST_CLOSE, True, False),
        (P.HALT, True, False),
        (P.PAUSE, True, True),
        (P.TRADE_AT_LAST, True, True),
    ],
)
def test_each_phase_lets_go_and_change_as_the_table_says(phase, cancel, replace):
    stage = Stage()
    order = stage.buy(5, "90.00")
    for step in WAYS[phase]:
        stage.venue.set_phase(ACME.id, step)
    refusal = stage.venue.replace("a", order.id, Changes(quantity=D(4)))
    assert (refusal is None) is replace
    assert (stage.venue.cancel("a", order.id) is None) is cancel


def test_a_closed_book_may_queue_orders_that_stay():
    stage = in_phase(P.CLOSED)
    stage.venue.phases.set_option(ACME.id, "closed_queues_gtc", True)
    assert stage.buy(5, "99.00").end.reason is Reason.CLOSED
    order, gone = stage.buy(5, "99.00", tif=TimeInForce.GTC), stage.buy(5, "98.00", tif=TimeInForce.GTC)
    assert order.held == "phase" and stage.book() == ([], [])
    assert stage.venue.cancel("a", gone.id) is None
    stage.venue.set_phase(ACME.id, P.PRE_OPEN)
    assert order.held == "" and stage.book()[0] == [("99.00", 5, 1)]


def test_a_halt_takes_nothing_cancels_or_all():
    stage = Stage()
    order, other = stage.buy(5, "90.00"), stage.buy(5, "90.00")
    stage.venue.halt(ACME.id)
    stage.venue.phases.set_option(ACME.id, "halt_accepts", "none")
    assert stage.venue.cancel("a", order.id).reason is Reason.CLOSED
    assert stage.venue.cancel_by_venue(other.id, "the venue may") is None
    stage.venue.phases.set_option(ACME.id, "halt_accepts", "cancels")
    assert stage.buy(1, "90.00").end.reason is Reason.CLOSED
    assert stage.venue.replace("a", order.id, Changes(quantity=D(4))).reason is Reason.CLOSED
    assert stage.venue.cancel("a", order.id) is None
    stage.venue.phases.set_option(ACME.id, "halt_accepts", "all")
    assert stage.buy(1, "90.00", tif=TimeInForce.IOC).end.reason is Reason.PHASE
    assert stage.buy(1, "90.00").held == "phase"


def test_what_a_halt_took_in_trades_in_order_when_it_resumes():
    stage = Stage()
    resting = stage.sell(5, "99.00")
    stage.venue.phases.set_option(ACME.id, "halt_accepts", "all")
    stage.venue.halt(ACME.id)
    first, second = stage.buy(3, "100.00"), stage.buy(4, "99.50")
    moved = stage.sell(2, "98.00")
    assert stage.venue.replace("b", moved.id, Changes(limit_price=D("97.00"))) is None
    assert stage.book() == ([], [("99.00", 5, 1)]) and first.filled == 0
    stage.ear.heard.clear()
    stage.venue.resume(ACME.id)
    assert (first.average_price, second.filled, resting.filled) == (D("99.00"), 4, 5)
    assert moved.average_price == D("99.50"), "the best bid that is there when its turn comes"
    assert stage.venue.phase(ACME.id) is P.CONTINUOUS


def test_a_halt_may_end_in_an_auction():
    stage = Stage()
    stage.venue.phases.set_option(ACME.id, "halt_accepts", "all")
    stage.venue.phases.set_option(ACME.id, "resume", "auction")
    stage.sell(5, "99.00")
    stage.venue.halt(ACME.id)
    first, second = stage.buy(3, "100.00"), stage.buy(1, "101.00")
    stage.venue.resume(ACME.id)
    assert stage.venue.phase(ACME.id) is P.PAUSE and first.filled == 0
    assert stage.book()[0] == [("101.00", 1, 1), ("100.00", 3, 1)]
    eye = Eye()
    stage.venue.watch(ACME.id, eye)
    stage.venue.set_phase(ACME.id, P.CONTINUOUS)
    assert first.average_price == second.average_price
    assert {one.conditions for one in eye.of("print")} == {("reopening",)}
    stage.venue.halt(ACME.id)
    stage.venue.resume(ACME.id, by_auction=False)
    assert stage.venue.phase(ACME.id) is P.CONTINUOUS
    with pytest.raises(WrongPhase):
        stage.venue.resume(ACME.id)


def test_a_halted_pause_is_still_uncrossed():
    stage = in_phase(P.PAUSE)
    buy, sell = stage.buy(5, "101.00"), stage.sell(5, "99.00")
    stage.venue.halt(ACME.id)
    stage.venue.resume(ACME.id)
    assert buy.filled == sell.filled == 5 and stage.book() == ([], [])


def test_an_opening_that_is_given_up_leaves_the_orders_to_the_next():
    stage = in_phase(P.PRE_OPEN)
    buy, sell = stage.buy(5, "101.00"), stage.sell(5, "99.00", tif=TimeInForce.OPG)
    stage.venue.set_phase(ACME.id, P.CLOSED)
    assert buy.filled == 0 and sell.end.reason is Reason.AUCTION
    stage.venue.set_phase(ACME.id, P.PRE_OPEN)
    sell = stage.sell(5, "99.00")
    stage.venue.set_phase(ACME.id, P.CONTINUOUS)
    assert buy.filled == sell.filled == 5


def test_the_house_is_quiet_while_a_market_is_halted():
    stage = Stage(has_house=True, activity="fast")
    stage.venue.top(ACME.id)
    stage.clock.pump([0.02] * 50)
    stage.venue.halt(ACME.id)
    count, top = stage.venue.tape.count, stage.venue.top(ACME.id)
    stage.clock.pump([0.02] * 50)
    assert stage.venue.tape.count == count
    assert (stage.venue.top(ACME.id).bid, stage.venue.top(ACME.id).ask) == (top.bid, top.ask)
    stage.venue.resume(ACME.id)
    stage.clock.pump([0.02] * 50)
    assert stage.venue.tape.count > count + 10


def test_a_still_house_quotes_when_a_closed_market_opens():
    stage = Stage(has_house=True, activity="none")
    stage.venue.set_phase(None, P.CLOSED)
    assert stage.book() == ([], [])
    stage.venue.set_phase(ACME.id, P.CONTINUOUS)
    assert stage.book()[0] and stage.book()[1]


# -- trade at last


def at_last(*, price="100.00", **options):
    stage = Stage(**options)
    stage.trade_at(price)
    return stage


def test_trade_at_last_takes_limits_at_the_last_price_and_nothing_else():
    stage = at_last()
    stage.venue.set_phase(ACME.id, P.TRADE_AT_LAST)
    for more in (
        {"price": "100.01"},
        {"price": None},
        {"price": "100.00", "post_only": True},
        {"price": "100.00", "tif": TimeInForce.CLS},
        {"price": "100.00", "type": OrderType.STOP_LIMIT, "stop_price": D(101)},
    ):
        assert stage.buy(1, more.pop("price"), **more).end.reason is Reason.PHASE
    order = stage.buy(1, "100.00")
    assert order.rests
    assert stage.venue.replace("a", order.id, Changes(limit_price=D("100.01"))).reason is Reason.PHASE
    assert stage.venue.replace("a", order.id, Changes(quantity=D(2))) is None


def test_trade_at_last_trades_by_time_at_the_last_price():
    stage = at_last()
    stage.venue.set_phase(ACME.id, P.CLOSING_AUCTION)
    at_price, below = stage.buy(5, "102.00"), stage.buy(5, "101.00")
    stage.sell(4, "101.00")
    stage.venue.set_phase(ACME.id, P.TRADE_AT_LAST)
    eye = Eye()
    stage.venue.watch(ACME.id, eye)
    assert last(stage) == D("102.00")
    sold = stage.sell(3, "102.00")
    assert (sold.filled, at_price.filled, below.filled) == (1, 5, 0), "a bid below the last price takes no part"
    assert [(one.price, one.conditions) for one in eye.of("print")] == [(D("102.00"), ("at_last",))]
    bought = stage.buy(9, "102.00", tif=TimeInForce.IOC)
    assert bought.filled == 2 and bought.end.reason is Reason.NO_LIQUIDITY
    assert stage.sell(1, "102.00", tif=TimeInForce.FOK).end.reason is Reason.NO_LIQUIDITY


def test_better_limits_share_trade_at_last_by_time():
    stage = at_last()
    first, second, third = stage.buy(2, "100.00"), stage.buy(2, "103.00"), stage.buy(2, "101.00")
    stage.venue.set_phase(ACME.id, P.TRADE_AT_LAST)
    stage.sell(3, "100.00")
    assert (first.filled, second.filled, third.filled) == (2, 1, 0)
    assert second.average_price == D("100.00")


# -- the end of a day


def test_the_end_of_a_day_expires_what_was_for_it_and_carries_the_rest():
    stage = at_last()
    day, stays = stage.buy(1, "90.00"), stage.buy(1, "90.00", tif=TimeInForce.GTC)
    close = stage.buy(1, "90.00", tif=TimeInForce.CLS)
    ended = stage.venue.end_of_day()
    assert (ended.expired, ended.carried, ended.rolled) == (2, 1, 1)
    assert [order.status for order in (day, stays, close)] == [
        OrderStatus.EXPIRED, OrderStatus.NEW, OrderStatus.EXPIRED,
    ]  # fmt: skip
    assert stage.ear.names("order_expired") == ["order_expired"] * 2
    stats = stage.venue.stats(ACME.id)
    assert (stats.volume, stats.open, stats.high, stats.previous_close) == (0, None, None, D("100.00"))


def test_an_order_to_an_instant_trades_at_it_and_expires_after_it_in_an_auction_as_well():
    stage = Stage()
    stage.venue.phases.set_option(ACME.id, "pause_seconds", 10)
    stage.venue.set_phase(ACME.id, P.PAUSE)
    end = stage.now() + 10 * SECOND
    order = stage.buy(5, "99.00", tif=TimeInForce.GTD, expire_time=end)
    late = stage.buy(5, "98.00", tif=TimeInForce.GTD, expire_time=end)
    stage.sell(5, "99.00")
    stage.clock.advance(10)
    assert order.status is OrderStatus.FILLED and late.is_open
    stage.clock.advance(0.1)
    assert late.status is OrderStatus.EXPIRED
    assert ("order_expired", late.id) in stage.ear.heard


# -- options


def test_every_option_is_declared_with_the_default_that_holds():
    assert list(PHASE_OPTIONS) == list(PhaseSettings.__struct_fields__)
    for name, option in PHASE_OPTIONS.items():
        assert option.name == name and option.meaning.endswith(".")
        assert option.type in ("seconds", "bool", "choice", "price", "band")
        assert bool(option.choices) is (option.type == "choice")
        assert option.default == getattr(PhaseSettings(), name)
        assert not option.choices or option.default in option.choices


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("no_cancel", "5", 5),
        ("no_cancel", 5, 5),
        ("auction_stops", "true", True),
        ("resume", "auction", "auction"),
        ("reference_price", "10.5", D("10.5")),
        ("reference_price", None, None),
        ("static_band", "5%", Band(D(5), True)),
        ("static_band", "0.5", Band(D("0.5"))),
        ("static_band", "", None),
    ],
)
def test_options_are_set_for_one_book_or_for_all(name, value, held):
    stage = Stage()
    stage.venue.phases.set_option(ACME.id, name, value)
    assert getattr(stage.venue.phases.settings(ACME.id), name) == held
    assert getattr(stage.venue.phases.settings(BETA.id), name) == PHASE_OPTIONS[name].default
    other = Stage()
    other.venue.top(ACME.id)
    other.venue.phases.set_option(None, name, value)
    assert [getattr(other.venue.phases.settings(number), name) for number in (None, ACME.id, BETA.id)] == [held] * 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nonsense", 1),
        ("no_cancel", -1),
        ("no_cancel", "1.5"),
        ("no_cancel", 1e3),
        ("no_cancel", True),
        ("no_cancel", "NaN"),
        ("auction_stops", "yes"),
        ("resume", "sometimes"),
        ("static_band", "wide"),
        ("static_band", "0"),
        ("dynamic_band", "-1%"),
        ("reference_price", "1E+40"),
    ],
)
def test_a_wrong_option_is_refused_by_name_and_changes_nothing(name, value):
    stage = Stage()
    with pytest.raises(InvalidArgument) as raised:
        stage.venue.phases.set_option(ACME.id, name, value)
    assert raised.value.path == name
    assert stage.venue.phases.settings(ACME.id) == PhaseSettings()
