"""A matching engine that is slow and plain: one list of orders, searched from end to end each time."""

from __future__ import annotations

import copy
from decimal import Decimal


class NaiveOrder:
    def __init__(self, number, sign, kind, price, stop, quantity, tif, display=0, key="", **more):
        self.key = key
        self.number, self.sign, self.kind = number, sign, kind
        self.price, self.stop, self.leaves = price, stop, quantity
        self.tif, self.display = tif, display
        self.hidden = more.get("hidden", False)
        self.least = more.get("least", 0)
        self.slices = more.get("slices")
        self.to_limit = more.get("to_limit", False)
        self.slides = more.get("slides", False)
        self.peg, self.offset, self.cap = more.get("peg", ""), more.get("offset", 0), more.get("cap")
        self.limit = price
        self.shown = quantity
        self.place = None  # set while it rests
        self.is_first = False  # it set its price
        self.waits = False
        self.parked = False
        self.last_place = 0
        self.entry = 0

    def wants(self):
        return min(self.least, self.leaves)


def twin_of(order):
    twin = copy.copy(order)
    twin.slices = None if order.slices is None else order.slices.copy()
    return twin


class Naive:
    """Price, then the rule; stops by the last trade; icebergs, hidden, choosy and pegged orders; DAY, IOC, FOK; orders
    of one key kept apart."""

    def __init__(self, last, mode="none", rule="price_time", least_share=1, top_max=0):
        self.mode = mode
        self.rule, self.least_share, self.top_max = rule, least_share, top_max
        self.last = last
        self.orders = {}
        self.active = {}  # those that rest or wait, and some that have died since the last message
        self.trades = []  # (aggressor, resting, price, quantity)
        self.counter = 0
        self.low = self.high = None
        self.is_moving = False

    def next(self):
        self.counter += 1
        return self.counter

    def add(self, order):
        self.orders[order.number] = self.active[order.number] = order
        if order.kind in ("STOP", "STOPLIMIT") and not self.reached(order, self.last, self.last):
            order.waits = True
            order.entry = self.next()
            self.work([])
            return
        self.work([("start", order)])

    def reached(self, order, low, high):
        return high >= order.stop if order.sign > 0 else low <= order.stop

    def work(self, queue):
        """Process turns, and what follows from each, until nothing does."""
        going = {order.number for _, order in queue}
        for o in [o for o in self.active.values() if o.place is None and not (o.waits or o.parked)]:
            if o.number not in going:
                del self.active[o.number]
        while True:
            self.low = self.high = None
            if queue:
                what, order = queue.pop(0)
                if what == "moved":
                    self.is_moving = False
                elif what == "peg" and order.place is None and not order.parked:
                    pass  # it has gone since it was due
                elif order.peg:
                    self.move(order)
                else:
                    self.match(order)
            if self.low is not None:
                queue += [("start", order) for order in self.elect()]
            if not self.is_moving:
                due = self.pegs_due()
                if due:
                    self.is_moving = True
                    queue += [("peg", order) for order in due] + [("moved", None)]
            if not queue:
                return

    def elect(self):
        waiting = [o for o in self.active.values() if o.waits and self.reached(o, self.low, self.high)]
        buys = sorted((o for o in waiting if o.sign > 0), key=lambda o: (o.stop, o.entry))
        sells = sorted((o for o in waiting if o.sign < 0), key=lambda o: (-o.stop, o.entry))
        for order in waiting:
            order.waits = False
        if buys and sells and min(o.entry for o in buys) < min(o.entry for o in sells):
            return buys + sells
        return sells + buys

    # -- pegs

    def best(self, sign):
        prices = [
            o.price
            for o in self.active.values()
            if o.place is not None and o.sign == sign and not o.hidden and not o.peg
        ]
        return max(prices, key=lambda price: sign * price) if prices else None

    def target(self, order):
        own, other = self.best(order.sign), self.best(-order.sign)
        if order.peg == "mid":
            if own is None or other is None:
                return None
            price = (own + other) // 2 if order.sign > 0 else -((-own - other) // 2)
        else:
            price = own if order.peg == "primary" else other
            if price is None:
                return None
        price += order.offset
        if order.cap is not None:
            price = min(price, order.cap) if order.sign > 0 else max(price, order.cap)
        return price

    def pegs_due(self):
        pegs = [o for o in self.active.values() if o.peg and (o.place is not None or o.parked)]
        due = [o for o in pegs if self.target(o) != (None if o.parked else o.price)]
        return sorted(due, key=lambda o: (o.parked, o.last_place, o.number))

    def move(self, order):
        target = self.target(order)
        if order.place is not None and target == order.price:
            return
        if order.parked and target is None:
            return
        order.place = None
        order.price = target
        order.parked = target is None
        if target is not None:
            self.match(order)

    # -- matching

    def crossing(self, order):
        """What could be met, in order: by price, what is shown first, by time."""
        found = [o for o in self.active.values() if o.place is not None and o.sign != order.sign]
        limit = None if order.kind in ("MARKET", "STOP") else order.price
        if limit is not None:
            found = [o for o in found if (limit - o.price) * order.sign >= 0]
        return sorted(found, key=lambda o: (o.price * order.sign, o.hidden, o.place))

    def rehearse(self, order, is_anybodys=False):
        """How much would trade now?"""
        stage = Naive(self.last, self.mode, self.rule, self.least_share, self.top_max)
        stage.counter = self.counter
        stage.active = {o.number: twin_of(o) for o in self.crossing(order)}
        twin = twin_of(order)
        if is_anybodys:
            twin.key = None
        stage.trade(twin)
        return sum(trade[3] for trade in stage.trades)

    def slide(self, order):
        """Price a post-only order at its limit, or one short of the other side."""
        order.price = order.limit
        others = self.crossing(order)
        if others and self.rehearse(order, is_anybodys=True) >= max(1, order.wants()):
            order.price = others[0].price - order.sign

    def match(self, order):
        if order.slides:
            self.slide(order)
        if order.to_limit:
            order.kind, order.to_limit = "LIMIT", False
            order.price = self.crossing_any(order)[0].price
        needed = order.leaves if order.tif == "FOK" else order.wants()
        if (needed <= 1 or self.rehearse(order) >= needed) and self.trade(order):
            return
        if order.leaves and order.tif == "DAY" and order.kind in ("LIMIT", "STOPLIMIT"):
            self.rest(order)

    def crossing_any(self, order):
        found = [o for o in self.active.values() if o.place is not None and o.sign != order.sign]
        return sorted(found, key=lambda o: o.price * order.sign)

    def trade(self, order):
        """Trade all that goes; tell whether the order is over, killed by its own key."""
        passed = set()
        while order.leaves:
            others = [o for o in self.crossing(order) if o.number not in passed]
            if not others:
                return False
            first = others[0]
            if self.rule == "price_time" or first.hidden:
                if first.wants() > order.leaves:
                    passed.add(first.number)
                    continue
                shares = [(first, min(order.leaves, first.shown))]
            else:
                level = [o for o in others if o.price == first.price and not o.hidden]
                shares = self.shares(order, level)
                if not shares:
                    passed.update(o.number for o in level)
            for other, quantity in shares:
                if self.is_own(order, other):
                    if self.keep_apart(order, other):
                        return True
                    break
                self.execute(order, other, quantity)
        return False

    def execute(self, order, other, quantity):
        order.leaves -= quantity
        other.leaves -= quantity
        other.shown -= quantity
        self.last = other.price
        self.low = other.price if self.low is None else min(self.low, other.price)
        self.high = other.price if self.high is None else max(self.high, other.price)
        self.trades.append((order.number, other.number, other.price, quantity))
        if other.shown == 0:
            other.place = None
            if other.leaves:
                self.rest(other)

    def shares(self, order, level):
        """Divide what comes by the book's rule; too small a share for a choosy order is none, and all begins anew."""
        takers = [o for o in level if o.wants() <= order.leaves]
        while takers:
            got = self.divide(order.leaves, takers)
            short = [o for o in takers if 0 < got[o.number] < o.wants()]
            if not short:
                return [(o, got[o.number]) for o in takers if got[o.number]]
            takers.remove(short[0])
        return []

    def divide(self, quantity, takers):
        got = {o.number: 0 for o in takers}
        turns = takers
        if self.rule == "size_time":
            turns = sorted(takers, key=lambda o: (-o.shown, o.place))
        else:
            if self.rule == "pro_rata_top":
                for o in takers:
                    if o.is_first:
                        got[o.number] = min(self.top_max, o.shown, quantity)
            left = quantity - sum(got.values())
            rest = {o.number: o.shown - got[o.number] for o in takers}
            total = sum(rest.values())
            for number, open_ in rest.items():
                share = open_ if left >= total else left * open_ // total
                if left >= total or share >= self.least_share:
                    got[number] += share
        for o in turns:
            more = min(quantity - sum(got.values()), o.shown - got[o.number])
            got[o.number] += more
        return got

    def is_own(self, order, other):
        return self.mode != "none" and order.key == other.key

    def keep_apart(self, order, other):
        """Tell whether the incoming order is over."""
        if self.mode == "decrement":
            less = min(order.leaves, other.leaves)
            hidden = other.leaves - other.shown
            other.leaves -= less
            other.shown -= max(0, less - hidden)
            order.leaves -= less
            if not other.leaves:
                other.place = None
            return not order.leaves
        if self.mode in ("oldest", "both"):
            other.place = None
        return self.mode in ("newest", "both")

    def rest(self, order):
        if order.slices is not None:
            order.display = order.slices.draw()
        level = [o for o in self.active.values() if o.place is not None and o.hidden == order.hidden]
        order.is_first = not any(o.price == order.price and o.sign == order.sign for o in level)
        order.place = order.last_place = self.next()
        order.shown = min(order.display, order.leaves) if order.display else order.leaves

    def cancel(self, number):
        order = self.orders[number]
        order.place = None
        order.waits = order.parked = False
        self.work([])

    def replace(self, number, price, leaves, least=None):
        """Give a resting order another price and open quantity."""
        order = self.active[number] = self.orders[number]
        if least is not None:
            order.least = least
        if price == order.price and leaves <= order.leaves:
            hidden = order.leaves - order.shown
            order.shown -= max(0, order.leaves - leaves - hidden)
            order.leaves = leaves
            return
        order.place = None
        order.price, order.leaves, order.shown = price, leaves, leaves
        self.work([("start", order)])


def make_special(draw, kinds, terms, twin):
    """Make something special of an order, or not."""
    quantity, is_limit = int(terms["quantity"]), twin.kind == "LIMIT"
    may_rest = is_limit and twin.tif == "DAY"
    x = draw.random()
    if "c" in kinds and x < 0.5:
        if draw.random() < 0.3:
            terms["hidden"] = twin.hidden = True
        if x < 0.12:
            twin.least = draw.randrange(1, quantity + 1)
            terms["min_quantity"] = Decimal(twin.least)
        elif x < 0.2:
            terms["all_or_none"], twin.least = True, quantity
        elif x < 0.3 and may_rest:
            terms["hidden"] = twin.hidden = False
            low = draw.randrange(1, 8)
            terms["display_low"], terms["display_high"] = Decimal(low), Decimal(low + draw.randrange(0, 6))
        elif x < 0.35 and twin.kind == "MARKET":
            terms["to_limit"] = twin.to_limit = True
        elif x < 0.4 and may_rest:
            terms["post_only"] = twin.slides = True
    elif "p" in kinds and x > 0.8 and may_rest:
        twin.peg = terms["peg"] = draw.choice(("primary", "market", "mid"))
        twin.offset = draw.randrange(-3, 3)
        terms["peg_offset"] = twin.offset * Decimal("0.01")
        if draw.random() < 0.5:
            twin.cap = twin.price
        else:
            terms["limit_price"] = None
