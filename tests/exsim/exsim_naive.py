"""A matching engine that is slow and plain: one list of orders, searched from end to end each time."""

from __future__ import annotations


class NaiveOrder:
    def __init__(self, number, sign, kind, price, stop, quantity, tif, display, key=""):
        self.key = key
        self.number, self.sign, self.kind = number, sign, kind
        self.price, self.stop, self.leaves = price, stop, quantity
        self.tif, self.display = tif, display
        self.shown = quantity
        self.place = None  # set while it rests
        self.waits = False
        self.entry = 0


class Naive:
    """Price, then time; stops by the last trade; icebergs; DAY, IOC, FOK; orders of one key kept apart."""

    def __init__(self, last, mode="none"):
        self.mode = mode
        self.last = last
        self.orders = {}
        self.trades = []  # (aggressor, resting, price, quantity)
        self.counter = 0
        self.low = self.high = None

    def next(self):
        self.counter += 1
        return self.counter

    def add(self, order):
        self.orders[order.number] = order
        queue = [order]
        if order.kind in ("STOP", "STOPLIMIT") and not self.reached(order, self.last, self.last):
            order.waits = True
            order.entry = self.next()
            return
        self.work(queue)

    def reached(self, order, low, high):
        return high >= order.stop if order.sign > 0 else low <= order.stop

    def work(self, queue):
        while queue:
            order = queue.pop(0)
            self.low = self.high = None
            self.match(order)
            if self.low is not None:
                queue.extend(self.elect())

    def elect(self):
        waiting = [o for o in self.orders.values() if o.waits and self.reached(o, self.low, self.high)]
        buys = sorted((o for o in waiting if o.sign > 0), key=lambda o: (o.stop, o.entry))
        sells = sorted((o for o in waiting if o.sign < 0), key=lambda o: (-o.stop, o.entry))
        for order in waiting:
            order.waits = False
        if buys and sells and min(o.entry for o in buys) < min(o.entry for o in sells):
            return buys + sells
        return sells + buys

    def crossing(self, order):
        found = [o for o in self.orders.values() if o.place is not None and o.sign != order.sign]
        limit = None if order.kind in ("MARKET", "STOP") else order.price
        if limit is not None:
            found = [o for o in found if (limit - o.price) * order.sign >= 0]
        return sorted(found, key=lambda o: (o.price * order.sign, o.place))

    def match(self, order):
        if order.tif == "FOK":
            there = sum(other.leaves for other in self.crossing(order) if not self.is_own(order, other))
            if there < order.leaves:
                return
        while order.leaves:
            others = self.crossing(order)
            if not others:
                break
            other = others[0]
            if self.is_own(order, other):
                if self.keep_apart(order, other):
                    return
                continue
            quantity = min(order.leaves, other.shown)
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
        if order.leaves and order.tif == "DAY" and order.kind in ("LIMIT", "STOPLIMIT"):
            self.rest(order)

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
        order.place = self.next()
        order.shown = min(order.display, order.leaves) if order.display else order.leaves

    def cancel(self, number):
        order = self.orders[number]
        order.place = None
        order.waits = False

    def replace(self, number, price, leaves):
        """Give a resting order another price and open quantity."""
        order = self.orders[number]
        if price == order.price and leaves <= order.leaves:
            hidden = order.leaves - order.shown
            order.shown -= max(0, order.leaves - leaves - hidden)
            order.leaves = leaves
            return
        order.place = None
        order.price, order.leaves, order.shown = price, leaves, leaves
        self.work([order])
