"""Orders of all kinds, quotes, matching by hand and changing options in one book: what must hold always does."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from exsim_naive import NaiveOrder, make_special
from exsim_reader import Reader
from exsim_venue import ACME, A, B, Stage

from txtrader.exsim.errors import WrongState
from txtrader.exsim.options import BookOptions
from txtrader.exsim.records import Changes, Terms
from txtrader.model.order import OrderType, Side, TimeInForce

D = Decimal
CENT = D("0.01")
SETTINGS = {
    "matching": ("price_time", "price_time", "pro_rata", "pro_rata_top", "size_time"),
    "auto_match": (True, True, False),
    "self_trade": ("none", "none", "newest", "oldest", "both", "decrement"),
    "post_only": ("reject", "slide"),
    "trigger_source": ("last", "bid_offer", "mid"),
    "half_ticks": (True, False),
    "market_rests": (True, False),
}

LONG = ("matching", "self_trade", "auto_match")


class Play:
    """A venue, and somebody who does anything at all."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.stage = Stage(cash=10**12, top_max=D(3))
        self.venue = self.stage.venue
        self.market = self.venue._market(ACME.id)
        self.ids = []
        for name, account in (("q", A), ("r", B)):
            self.venue.create_quote(name, name, ACME.id, account, last_look=name == "r")
        self.reader = Reader()
        self.reader.begin(self.venue.watch_orders(ACME.id, self.reader))

    def step(self):
        draw, venue = self.draw, self.venue
        live = [number for number in self.ids[-80:] if venue.order(number).is_open]
        x = draw.random()
        if x < 0.1 and live:
            venue.cancel("a", draw.choice(live))
        elif x < 0.2 and live:
            self.replace(venue.order(draw.choice(live)))
        elif x < 0.3:
            self.quote(draw.choice("qr"))
        elif x < 0.38 and venue.quote_requests():
            self.answer()
        elif x < 0.44 and live:
            self.match(draw.choice(live), draw.choice(live))
        elif x < 0.46:
            name = draw.choice(list(SETTINGS))
            venue.set_book_option(ACME.id, name, draw.choice(SETTINGS[name]))
        elif x < 0.5:
            self.stage.clock.advance(draw.random())
        else:
            self.order()

    def order(self):
        draw = self.draw
        sign, quantity = draw.choice((1, -1)), draw.randrange(1, 30)
        kind = draw.choices(("LIMIT", "MARKET", "STOP"), (8, 1, 1))[0]
        price = 10_000 - sign * draw.randrange(-3, 9)
        tif = draw.choices(("DAY", "GTC", "IOC", "FOK"), (8, 2, 1, 1))[0]
        terms = {
            "listing_id": ACME.id,
            "account": draw.choice((A, B)),
            "side": Side.BUY if sign > 0 else Side.SELL,
            "quantity": D(quantity),
            "type": {"LIMIT": OrderType.LIMIT, "MARKET": OrderType.MARKET, "STOP": OrderType.STOP}[kind],
            "limit_price": price * CENT if kind == "LIMIT" else None,
            "stop_price": (10_000 + sign * draw.randrange(-2, 9)) * CENT if kind == "STOP" else None,
            "tif": TimeInForce(tif),
            "reduce_only": draw.random() < 0.1,
        }
        make_special(draw, "cp", terms, NaiveOrder(0, sign, kind, price, 0, quantity, tif))
        if draw.random() < 0.1:
            terms["oca_group"], terms["oca_type"] = draw.choice("xy"), draw.choice((1, 2, 4))
        self.ids.append(self.venue.submit("a", Terms(**terms)).id)

    def replace(self, order):
        draw = self.draw
        changes = {"quantity": max(D(1), order.quantity + draw.randrange(-6, 6))}
        if order.rests and draw.random() < 0.5 and not order.terms.peg and order.limit_price is not None:
            changes["limit_price"] = (order.limit_price // CENT + draw.randrange(-2, 3)) * CENT
        if draw.random() < 0.1:
            changes["hidden"] = draw.random() < 0.5
        self.venue.replace("a", order.id, Changes(**changes))

    def quote(self, name):
        draw, venue = self.draw, self.venue
        if draw.random() < 0.2:
            venue.withdraw_quote(name)
            return
        values = {
            "bid_price": (9_998 - draw.randrange(4)) * CENT,
            "offer_price": (10_002 + draw.randrange(4)) * CENT,
            "bid_quantity": draw.choice((None, D(5), D(10))),
            "offer_quantity": D(8),
        }
        for key, value in values.items():
            venue.set_quote_property(name, key, value)
        venue.submit_quote(name)

    def answer(self):
        request = self.draw.choice(self.venue.quote_requests())
        part = D(self.draw.randrange(1, int(request.quantity) + 1))
        self.venue.answer_quote_request("r", request.number, self.draw.random() < 0.6, part)

    def match(self, one, other):
        try:
            self.venue.match_orders(one, other, force=True, price=D("100.00"))
        except WrongState:
            assert one == other or self.venue.order(one).sign == self.venue.order(other).sign or "held"

    def check(self):
        self.check_book()
        assert self.reader.rows() == self.stage.book()
        for account in (A, B):
            position = self.venue._accounts[account].position(ACME)
            for sign, counted in ((1, position.open_buy), (-1, position.open_sell)):
                mine = self.venue.live_orders(account=account)
                mine = [order for order in mine if order.sign == sign and order.held not in ("parent", "release")]
                assert counted == sum(order.leaves for order in mine)
        promised = sum(request.quantity for request in self.venue.quote_requests())
        assert promised == sum(order.promised for order in self.venue.live_orders())

    def check_book(self):
        book = self.market.book
        specials = 0
        for side in (book.bids, book.asks, book.hidden_bids, book.hidden_asks):
            assert side.keys == sorted(side.keys) and set(side.keys) == set(side.levels)
            for level in side:
                orders = list(level)
                assert orders and (level.head, level.tail) == (orders[0], orders[-1])
                assert (level.count, level.total) == (len(orders), sum(order.leaves for order in orders))
                assert level.shown == sum(order.leaves - order.reserve for order in orders)
                for order in orders:
                    assert order.level is level and order.price == level.price and order.is_open
                    assert order.is_hidden is (side in (book.hidden_bids, book.hidden_asks))
                    specials += order.is_special
        options = self.venue.book_options(ACME.id)
        base = BookOptions()
        is_long = any(
            getattr(options, name) != getattr(base, name) for name in ("matching", "self_trade", "auto_match")
        )
        assert book.specials == specials + is_long


@pytest.mark.parametrize("seed", [2, 6, 19, 58])
def test_what_must_hold_always_does(seed):
    play = Play(seed)
    for _ in range(700):
        play.step()
        play.check()
    bought = sum(fill.quantity for fill in play.venue.fills() if fill.side.sign > 0)
    assert bought == sum(fill.quantity for fill in play.venue.fills() if fill.side.sign < 0) > 100
    play.venue.mass_cancel()
    play.check()
    assert play.reader.orders == {} and play.venue.quote_requests() == []
    play.venue.stop()
    assert play.stage.clock.getDelayedCalls() == []
