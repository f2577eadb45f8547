"""What the venue tells of orders, in OUCH's messages of either version.

A message is filled by its layout out of all that is known of the order, so that one place serves both versions.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from txtrader.dialects.ouch import price_to_wire
from txtrader.exsim.desk import DONE_ORDERS_KEPT
from txtrader.exsim.endpoints.ouch.members import Member, Name, Record
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import ExecKind, Fill, KeptApart, Phase, Reason, Refusal, Terms
from txtrader.wire.ouch.codec import OuchMessage

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.ouch.endpoint import OuchEndpoint

__all__ = ["Reports"]

_LIQUIDITY = {"added": "A", "removed": "R", "opening": "O", "closing": "C"}
_ADDED_HIDDEN = "J"
_REASONS = {
    Reason.UNKNOWN_INSTRUMENT: "symbol",
    Reason.UNKNOWN_ACCOUNT: "firm",
    Reason.PRICE_TICK: "price",
    Reason.PRICE: "price",
    Reason.QUANTITY: "quantity",
    Reason.EXPIRE_TIME: "tif",
    Reason.BUYING_POWER: "risk",
    Reason.CLOSED: "closed",
    Reason.PHASE: "cross",
    Reason.AUCTION: "cross",
    Reason.BAND: "price",
    Reason.WOULD_TRADE: "price",
}
_CANCELLATIONS = {
    Reason.USER: "U",
    Reason.NO_LIQUIDITY: "I",
    Reason.SELF_TRADE: "Q",
    Reason.VENUE: "S",
    Reason.EXPIRED: "T",
    Reason.CLOSED: "H",
    Reason.WOULD_TRADE: "F",
}
_SYSTEM = "Z"
_LISTING_BITS, _REVISION_BITS = 28, 58


class Reports(OrderListener):
    """The venue's observer for one endpoint."""

    def __init__(self, endpoint: OuchEndpoint) -> None:
        self.endpoint = endpoint
        self._entering: dict[tuple[str, Name], tuple[Record, Record | None]] = {}
        self._records: dict[int, Record] = {}
        self._done: deque[int] = deque()
        self._quantities: dict[int, dict[int, int]] = {}  # by order: of each match, for corrections
        self._reference: tuple[int, str, int] | None = None

    # -- saying

    def say(
        self, record: Record, kind: str, *, exec_id: str | None = None, meaning: str | None = None, **facts: Any
    ) -> None:
        """Tell a client something about one of his orders; for `exec_id` and `meaning` see `Sent`."""
        endpoint, name = self.endpoint, record.name
        known = {
            **record.fields,
            "token": name,
            "user_ref": record.number,
            "timestamp": endpoint.since_midnight(),
            **facts,
        }
        fields = {field: known[field] for field in endpoint.codec.fields_of(kind)}
        record.member.say(OuchMessage(kind, fields, self.tags(record, kind)), record.order, exec_id, meaning)

    def say_to(self, member: Member, kind: str, index: int | None, **facts: Any) -> None:
        """Tell a client something about no order of his."""
        tags = {} if index is None else {"user_ref_idx": index}
        member.say(OuchMessage(kind, {"timestamp": self.endpoint.since_midnight(), **facts}, self._shown(kind, tags)))

    def tags(self, record: Record, kind: str, **more: Any) -> dict[str, Any] | None:
        """Return the appendage of a message: of what repeats the order all, else what the client counts by."""
        tags = dict(record.tags) if kind in ("Accepted", "Replaced") else {}
        if record.index is not None:
            tags["user_ref_idx"] = record.index
        return self._shown(kind, {**more, **tags})

    def _shown(self, kind: str, tags: dict[str, Any]) -> dict[str, Any] | None:
        endpoint = self.endpoint
        if tags or endpoint.codec.has_appendage(kind, is_later_edition=endpoint.options.has_appendages):
            return tags
        return None

    def reject(self, record: Record, word: str, old: Record | None = None) -> None:
        """Refuse an order that the venue does not get to see, or that it refused; `word` is one of `rejections`.

        With `old` it is that which was to stand in the place of another one, which stays.
        """
        letter, number = self.endpoint.options.rejections[word]
        meaning = None
        if old is not None:
            record.order, meaning = old.order, "replace_rejected"
        reason = letter if self.endpoint.codec.version == "4.2" else number
        self.say(record, "Rejected", meaning=meaning, reason=reason)

    def cancel(self, record: Record, letter: str, text: str) -> None:
        """Cancel an order for a reason of the exchange's own, be that what follows from a request."""
        record.letter = letter
        self.endpoint.venue.cancel_by_venue(record.order.id, text)

    def refer(self, price: int, kind: str, count: int) -> None:
        """Tell the next executions with a reference price."""
        self._reference = (price, kind, count)

    def _state(self, record: Record, kind: str, state: str, **facts: Any) -> None:
        order = record.order
        shares = record.open if state == "L" else int(order.terms.quantity)
        self.say(record, kind, shares=shares, quantity=shares, state=state, order_ref=order.id, **facts)

    def _canceled(self, record: Record, lots: int, letter: str) -> None:
        self.say(record, "Canceled", decrement=lots, quantity=lots, reason=letter)

    # -- orders that come and go

    def expect(self, record: Record, old: Record | None = None) -> None:
        """Be told that the venue is given an order, maybe to stand in the place of another one."""
        self._entering[record.member.owner, record.name] = (record, old)

    def await_answer(self, record: Record, order: Order) -> None:
        """Know an order that was given to the venue and is not decided yet: it can be canceled all the same."""
        if (record.member.owner, record.name) in self._entering:
            self.remember(record, order)

    def remember(self, record: Record, order: Order) -> None:
        """Know an order of the venue from now on."""
        record.order = order
        self._records[order.id] = record
        if order.is_open:
            record.member.live[record.name] = record
            self._look(record)

    def _entered(self, order: Order) -> tuple[Record, Record | None] | None:
        """Return the record of an order that was given to the venue, and of the one in whose place it is to stand."""
        state = order.terms.extra
        if not isinstance(state, dict) or state.get("wire") != "ouch":
            return None
        return self._entering.pop((order.owner, state["name"]), None)

    def _forget(self, record: Record) -> None:
        """Take an order from among the live; it can still be busted, until there are many of the kind."""
        if record.is_done:  # it traded after its end
            return
        record.is_done = True
        record.asked.clear()
        record.member.live.pop(record.name, None)
        self._entering.pop((record.member.owner, record.name), None)
        self._done.append(record.order.id)
        if len(self._done) > DONE_ORDERS_KEPT:
            oldest = self._done.popleft()
            del self._records[oldest]
            self._quantities.pop(oldest, None)

    def order_accepted(self, order: Order) -> None:
        entered = self._entered(order)
        if entered is None:
            return
        record, old = entered
        if old is not None and (record.before, record.executed_before) != (old.done, old.executed):
            record.before, record.executed_before = old.done, old.executed  # it has traded since that was asked
            order.extra = {**order.extra, "before": record.before, "executed_before": record.executed_before}
        self.remember(record, order)
        self._accepted(record, old, "L")

    def _accepted(self, record: Record, old: Record | None, state: str) -> None:
        if old is None:
            self._state(record, "Accepted", state)
            return
        record.member.use(record.name)
        names = {"replacement_token": record.name, "previous_token": old.name, "orig_user_ref": old.number}
        self._state(record, "Replaced", state, **names)

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        entered = self._entered(order)
        if entered is None:
            return
        record, old = entered
        record.order = order
        if order.id in self._records:
            self._forget(record)
        if refusal.reason in self.endpoint.options.dead:
            self._accepted(record, old, "D")
        elif old is not None:
            self._canceled(old, int(old.order.leaves * old.order.listing.step), "U")
        else:
            word = _REASONS.get(refusal.reason, "other")
            if word == "closed" and self.endpoint.venue.phase(order.listing.id) is Phase.HALT:
                word = "halted"
            self.reject(record, word)

    def order_canceled(self, order: Order, reason: Refusal) -> None:
        record = self._records.get(order.id)
        if record is None:
            return
        self._forget(record)
        if reason.reason is Reason.REPLACED:
            return  # the order in its place is told next, or its refusal
        lots = int(order.leaves * order.listing.step)
        if reason.reason is Reason.SELF_TRADE:
            self._prevented(record, lots, reason)
        else:
            self._canceled(record, lots, record.letter or _CANCELLATIONS.get(reason.reason, _SYSTEM))

    def order_expired(self, order: Order) -> None:
        record = self._records.get(order.id)
        if record is not None:
            self._forget(record)
            letter = "T" if record.has_seconds else "E"
            self._canceled(record, int(order.leaves * order.listing.step), letter)

    def _prevented(self, record: Record, lots: int, reason: Refusal) -> None:
        prevented, liquidity, price = lots, "R", record.order.limit_price
        if isinstance(reason, KeptApart):
            prevented, liquidity, price = int(reason.prevented), _LIQUIDITY[reason.liquidity], reason.price
        record.prevented += lots
        self.say(
            record,
            "AIQCanceled",
            decrement=lots,
            reason="Q",
            prevented=prevented,
            exec_price=0 if price is None else price_to_wire(price),
            liquidity=liquidity,
            aiq_strategy=record.tags.get("aiq_strategy", self.endpoint.options.aiq_strategy),
        )

    # -- changes

    def order_replaced(self, order: Order) -> None:
        record = self._records.get(order.id)
        if record is None:
            return
        state = order.extra if isinstance(order.extra, dict) else {}
        asked = state.get("asked")
        if asked is not None:
            order.extra = {key: value for key, value in state.items() if key != "asked"}
            record.answered(asked)
        if asked == "reduce":
            self._canceled(record, record.working - record.open, "U")
        elif asked == "modify":
            record.fields["side"] = state["fields"]["side"]
            self.say(record, "OrderModified", shares=record.open, quantity=record.open)
        else:
            self._changed(record)
        self._look(record)

    def order_restated(self, order: Order, reason: Refusal) -> None:
        record = self._records.get(order.id)
        if record is None:
            return
        if isinstance(reason, KeptApart):
            self._prevented(record, int(reason.quantity), reason)
        else:
            self._changed(record)
        self._look(record)

    def _changed(self, record: Record) -> None:
        """Tell that somebody else changed the order."""
        if record.open < record.working:
            self._canceled(record, record.working - record.open, "S")
        self._moved(record)

    def order_activated(self, order: Order) -> None:
        record = self._records.get(order.id)
        if record is not None:
            self._moved(record)

    def _moved(self, record: Record) -> None:
        """Tell that the venue gave the order another place."""
        order = record.order
        price = record.fields["price"] if order.limit_price is None else price_to_wire(order.limit_price)
        self.say(record, "OrderPriorityUpdate", price=price, order_ref=order.id)

    def request_pending(self, order: Order, request: str) -> None:
        record = self._records.get(order.id)
        if record is not None and request == "cancel":  # there is no word for others
            self.say(record, "CancelPending")

    def cancel_rejected(self, order: Order, refusal: Refusal) -> None:
        self._not_done(order, refusal, ("cancel",))

    def replace_rejected(self, order: Order, refusal: Refusal) -> None:
        self._not_done(order, refusal, ("reduce", "modify"))

    def _not_done(self, order: Order, refusal: Refusal, words: tuple[str, ...]) -> None:
        record = self._records.get(order.id)
        asked = None if record is None else record.answered(*words)
        if record is None or asked is None:
            return
        if asked == "modify":
            record.member.ignore("ModifyOrder", record.name, refusal.text)
        else:
            self.say(record, "CancelReject")

    def exchange_rejected(self, order: Order, terms: Terms, refusal: Refusal) -> None:
        old = self._records.get(order.id)
        entered = None if old is None else self._entering.pop((order.owner, terms.extra["name"]), None)
        if old is None or entered is None:
            return
        record, _ = entered
        if not order.is_open:
            record.member.ignore("ReplaceOrder", old.name, refusal.text)
            return
        record.member.use(record.name)
        self.reject(record, "pending", old)

    # -- executions

    def order_filled(self, order: Order, fill: Fill) -> None:
        record = self._records.get(order.id)
        if record is None:
            return
        quantity = int(fill.quantity)
        self._quantities.setdefault(order.id, {})[fill.match_id] = quantity
        kind, facts = "Executed", {}
        if self._reference is not None and self.endpoint.codec.has("ExecutedWithReferencePrice"):
            price, letter, count = self._reference
            self._reference = (price, letter, count - 1) if count > 1 else None
            kind, facts = "ExecutedWithReferencePrice", {"ref_price": price, "ref_type": letter}
        self._executed(record, fill, kind, 0, **facts)
        is_refreshed = order.is_open and record.shown == quantity and order.display > 0
        self._look(record)
        if is_refreshed:
            self._refreshed(record)
        if not order.is_open:
            self._forget(record)

    def _executed(self, record: Record, fill: Fill, kind: str, revision: int, **facts: Any) -> None:
        price, quantity = price_to_wire(fill.price), int(fill.quantity)
        letter = _LIQUIDITY.get(fill.liquidity, "R")
        if letter == "A" and record.fields["display"] == "N":
            letter = _ADDED_HIDDEN
        facts.update(shares=quantity, quantity=quantity, exec_price=price, price=price, liquidity=letter)
        self.say(record, kind, exec_id=fill.exec_id, match=_match(fill, revision), **facts)

    def _refreshed(self, record: Record) -> None:
        """Tell that an iceberg shows a new slice: 5.0 has a message for it."""
        if not self.endpoint.codec.has("OrderRestated"):
            self._moved(record)
            return
        member = record.member
        facts = {"timestamp": self.endpoint.since_midnight(), "user_ref": record.number, "reason": "R"}
        tags = self.tags(
            record, "OrderRestated", secondary_order_ref=record.order.id, display_quantity=record.shown
        )  # fmt: skip
        member.say(OuchMessage("OrderRestated", facts, tags), record.order)

    def _look(self, record: Record) -> None:
        """Note what the order has open now, and what it shows, or will show once it rests."""
        order = record.order
        record.working = record.open
        lots = order.leaves - order.reserve if order.rests else min(order.display or order.leaves, order.leaves)
        record.shown = int(lots * order.listing.step)

    def fill_corrected(self, order: Order, fill: Fill) -> None:
        record = self._records.get(order.id)
        if record is None:
            return
        assert fill.replaces is not None
        revision = int(fill.replaces.rpartition(".")[2]) - 1  # of the execution that is gone
        reason = self.endpoint.options.broken_reason
        if self.endpoint.codec.version != "4.2":
            self.say(record, "BrokenTrade", exec_id=fill.exec_id, match=_match(fill, revision), reason=reason)
            if fill.kind is ExecKind.CORRECT:
                self._executed(record, fill, "Executed", revision + 1)
            return
        if fill.kind is ExecKind.BUST:
            self.say(record, "BrokenTrade", exec_id=fill.exec_id, match=_match(fill, 0), reason=reason)
            return
        known = self._quantities.setdefault(order.id, {})
        if known.get(fill.match_id) == int(fill.quantity):
            facts: dict[str, Any] = {"match": _match(fill, 0), "new_price": price_to_wire(fill.price), "reason": reason}
            self.say(record, "PriceCorrection", exec_id=fill.exec_id, **facts)
        else:
            known[fill.match_id] = int(fill.quantity)
            self._executed(record, fill, "TradeCorrection", 0, reason=reason)


def _match(fill: Fill, revision: int) -> int:
    """Number an execution: unique over all listings, the same for both parties.

    5.0 has no message for a correction: it breaks the trade and tells another one, which has a number of its own.
    """
    return revision << _REVISION_BITS | fill.listing_id << _LISTING_BITS | fill.match_id
