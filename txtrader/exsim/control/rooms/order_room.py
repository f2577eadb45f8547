"""Requests about orders: drafts of the control, orders of everybody, executions."""

from __future__ import annotations

from typing import Any

from txtrader.exsim.control.drafts import LIVE, ORDER_PROPERTIES, SIDES, Draft, order_shown
from txtrader.exsim.control.engines import Engine
from txtrader.exsim.control.kinds import ANYTHING, FLAG, NAME, POSITIVE, TEXT, choice, maybe
from txtrader.exsim.control.kinds import DECIMAL as NUMBER
from txtrader.exsim.control.problems import ControlError, not_found
from txtrader.exsim.control.requests import arg, read_property, request
from txtrader.exsim.control.rooms.book_room import BookRoom
from txtrader.exsim.control.world import World
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Reason, Refusal

__all__ = ["OrderRoom"]

_CODES = {Reason.UNKNOWN_ORDER: "not-found", Reason.TOO_LATE: "wrong-state"}


class OrderRoom:
    """See the module."""

    def __init__(self, world: World, books: BookRoom) -> None:
        self._world = world
        self._books = books

    # -- drafts

    @request(
        arg("order_id", NAME),
        arg("book_name", NAME),
        arg("engine", maybe(NAME), default=None),
        result="order_id",
        takes_more=True,
    )
    def create_order(self, order_id: str, book_name: str, engine: str | None, more: dict[str, Any]) -> dict[str, Any]:
        """Make a draft of an order; further arguments are its properties, `order_type` its type."""
        if order_id in self._world.drafts:
            raise ControlError("already-exists", f"there is an order {order_id} already", "order_id")
        # A frame's own `type` is the request's.
        given = {"type" if key == "order_type" else key: value for key, value in more.items()}
        self._world.drafts[order_id] = Draft(order_id, self._books.find(book_name, engine), given)
        return {"order_id": order_id}

    @request(arg("order_id", NAME), arg("name", NAME), arg("value", ANYTHING), result="old, new")
    def set_order_property(self, order_id: str, name: str, value: Any) -> dict[str, Any]:
        """Set a property of an order; of a live one prices, quantities, what is shown, the peg: that is a replace."""
        draft = self._draft(order_id)
        new = read_property(ORDER_PROPERTIES, name, value)
        old = draft.values[name]
        if draft.number is not None and new != old:
            if name not in LIVE:
                raise ControlError("wrong-state", f"{name} of a live order stays", "name")
            self._refuse(draft.book.engine.venue.replace(None, draft.number, draft.changes({name: new})))
        draft.set(name, value)
        return {"old": old, "new": new}

    @request(arg("order_id", NAME), result="the order, with its executions and its place in the queue")
    def submit_order(self, order_id: str) -> dict[str, Any]:
        """Send a draft as if a client had: the same checks, the same events."""
        draft = self._draft(order_id)
        if draft.number is not None:
            raise ControlError("wrong-state", f"order {order_id} was sent already", "order_id")
        engine = draft.book.engine
        order = engine.venue.submit(draft.values["owner"], draft.terms())
        if order.status.name == "REJECTED":
            self._refuse(order.end)
        draft.number = order.id
        return self._shown(engine, order)

    @request(arg("order_id", NAME), result="quantity that was cancelled")
    def delete_order(self, order_id: str) -> dict[str, Any]:
        """Cancel an order if it is live, and forget its name; what the venue recorded stays."""
        draft = self._draft(order_id)
        quantity: Any = 0
        if draft.number is not None:
            venue = draft.book.engine.venue
            order = venue.order(draft.number)
            if order is not None and order.is_open:
                quantity = order.remaining
                self._refuse(venue.cancel(None, order.id))
            if order is not None:
                order.extra = None  # the name is free
        del self._world.drafts[order_id]
        return {"quantity": quantity}

    def _draft(self, name: str) -> Draft:
        if name not in self._world.drafts:
            raise not_found("order", name, "order_id")
        return self._world.drafts[name]

    # -- anybody's orders

    @request(
        arg("order_id", TEXT, "a name of the control, SESSION:CLIENT_ORDER_ID, or the venue's number"),
        arg("engine", maybe(NAME), default=None),
        result="all about the order",
    )
    def get_order(self, order_id: str, engine: str | None) -> dict[str, Any]:
        """Read an order, of the control or of a client."""
        draft = self._world.drafts.get(order_id)
        if draft is not None and draft.number is None:
            return {"order": order_id, "status": "draft", **draft.given}
        return self._shown(*self._find(order_id, engine))

    @request(
        arg("engine", maybe(NAME), default=None),
        arg("book", maybe(NAME), default=None),
        arg("account", maybe(NAME), default=None),
        arg("side", maybe(choice(("buy", "sell"))), default=None),
        arg("owner", maybe(TEXT), default=None),
        arg("open_only", FLAG, default=True),
        result="orders",
    )
    def list_orders(
        self, engine: str | None, book: str | None, account: str | None, side: str | None, owner: str | None,
        open_only: bool,
    ) -> dict[str, Any]:  # fmt: skip
        """List orders that fit, oldest first."""
        world = self._world
        wanted = None if book is None else self._books.find(book, engine)
        engines = [world.engine(engine)] if engine is not None else list(world.engines.values())
        found = []
        for one in [wanted.engine] if wanted is not None else engines:
            orders = one.venue.live_orders(owner=owner, account=account)
            if not open_only:
                orders = sorted(
                    [*orders, *one.venue.completed_orders(owner=owner, account=account)], key=lambda order: order.id
                )
            for order in orders:
                if wanted is not None and order.listing is not wanted.listing:
                    continue
                if side is not None and order.sign != SIDES[side].sign:
                    continue
                found.append(self._shown(one, order))
        return {"orders": found[-5000:]}

    @request(arg("order_id", TEXT), arg("engine", maybe(NAME), default=None), arg("text", TEXT, default=""))
    def cancel_order(self, order_id: str, engine: str | None, text: str) -> dict[str, Any]:
        """Cancel an order: one of the control as its owner would, a client's as the venue does, unasked."""
        found, order = self._find(order_id, engine)
        if isinstance(order.extra, Draft):
            self._refuse(found.venue.cancel(None, order.id))
        else:
            self._refuse(found.venue.cancel_by_venue(order.id, text or "canceled by the venue"))
        return self._shown(found, order)

    @request(arg("order_id", TEXT), arg("engine", maybe(NAME), default=None), takes_more=True, result="the order")
    def replace_order(self, order_id: str, engine: str | None, more: dict[str, Any]) -> dict[str, Any]:
        """Replace an order: price, stop_price, quantity (the new total) and so on."""
        found, order = self._find(order_id, engine)
        given: dict[str, Any] = {}
        for key, value in more.items():
            if key not in LIVE:
                raise ControlError("invalid-argument", f"replace_order takes {', '.join(LIVE)}", key)
            given[key] = read_property(ORDER_PROPERTIES, key, value)
        draft = order.extra if isinstance(order.extra, Draft) else None
        if draft is None:
            raise ControlError("wrong-state", "only orders of the control can be replaced by it", "order_id")
        self._refuse(found.venue.replace(None, order.id, draft.changes(given)))
        for key, value in more.items():
            draft.set(key, value)
        return self._shown(found, order)

    @request(
        arg("engine", NAME),
        arg("owner", maybe(TEXT), default=None),
        arg("account", maybe(NAME), default=None),
        arg("book", maybe(NAME), default=None),
        arg("side", maybe(choice(SIDES)), default=None),
        result="cancelled, how many",
    )
    def mass_cancel(
        self, engine: str, owner: str | None, account: str | None, book: str | None, side: Any
    ) -> dict[str, Any]:
        """Cancel every live order that fits."""
        found = self._world.engine(engine)
        listing_id = None if book is None else found.book(book).listing.id
        count = found.venue.mass_cancel(owner=owner, account=account, listing_id=listing_id, side=side)
        return {"cancelled": count}

    @request(
        arg("order_id", TEXT),
        arg("engine", maybe(NAME), default=None),
    )
    def park_order(self, order_id: str, engine: str | None) -> dict[str, Any]:
        """Take a working order out of the market until release_order."""
        found, order = self._find(order_id, engine)
        self._refuse(found.venue.park(None, order.id))
        return self._shown(found, order)

    @request(
        arg("order_id", TEXT),
        arg("engine", maybe(NAME), default=None),
        arg("decision", choice(("work", "cancel")), default="work"),
    )
    def release_order(self, order_id: str, engine: str | None, decision: str) -> dict[str, Any]:
        """Put a parked order to work, or cancel it."""
        found, order = self._find(order_id, engine)
        if decision == "cancel":
            self._refuse(found.venue.cancel_by_venue(order.id, "canceled by the venue"))
        else:
            self._refuse(found.venue.release(order.id))
        return self._shown(found, order)

    # -- executions

    @request(
        arg("book_name", NAME),
        arg("order_a", TEXT),
        arg("order_b", TEXT),
        arg("engine", maybe(NAME), default=None),
        arg("quantity", maybe(POSITIVE), "null: the smaller open one", default=None),
        arg("price", maybe(NUMBER), "null: that of the order that was there first", default=None),
        arg("force", FLAG, "past limits, and in a book that is halted", default=False),
        result="executions, of a and of b",
    )
    def match_orders(
        self, book_name: str, order_a: str, order_b: str, engine: str | None, quantity: Any, price: Any, force: bool
    ) -> dict[str, Any]:
        """Execute two live orders of opposite sides against each other, whatever their place in the queue."""
        book = self._books.find(book_name, engine)
        orders = [self._find(name, book.engine.name)[1] for name in (order_a, order_b)]
        for order in orders:
            if order.listing is not book.listing:
                raise ControlError("invalid-argument", f"order {order.id} is not in book {book_name}", "book_name")
        first, second = orders
        made = book.engine.venue.match_orders(first.id, second.id, quantity, price, force=force)
        return {"executions": list(made)}

    @request(arg("execution", NAME), arg("engine", maybe(NAME), default=None), result="execution, its revision")
    def bust_trade(self, execution: str, engine: str | None) -> dict[str, Any]:
        """Take a trade back, on both sides."""
        found = self._engine_of(execution, engine)
        return {"execution": found.venue.bust(execution).exec_id}

    @request(
        arg("execution", NAME),
        arg("engine", maybe(NAME), default=None),
        arg("price", maybe(NUMBER), default=None),
        arg("quantity", maybe(POSITIVE), default=None),
        result="execution, its revision",
    )
    def correct_trade(self, execution: str, engine: str | None, price: Any, quantity: Any) -> dict[str, Any]:
        """Change price or quantity of a trade, on both sides."""
        found = self._engine_of(execution, engine)
        if price is None and quantity is None:
            raise ControlError("invalid-argument", "a price or a quantity is expected", "price")
        try:
            return {"execution": found.venue.correct(execution, price=price, quantity=quantity).exec_id}
        except ValueError as error:
            raise ControlError("invalid-argument", str(error), "price") from None

    def _engine_of(self, execution: str, engine: str | None) -> Engine:
        world = self._world
        for one in [world.engine(engine)] if engine is not None else world.engines.values():
            if one.venue.fill(execution) is not None:
                return one
        raise not_found("execution", execution)

    # -- inside

    def _find(self, name: str, engine: str | None) -> tuple[Engine, Order]:
        draft = self._world.drafts.get(name)
        if draft is not None:
            if draft.number is None:
                raise ControlError("wrong-state", f"order {name} was not sent yet", "order_id")
            order = draft.book.engine.venue.order(draft.number)
            if order is not None:
                return draft.book.engine, order
        engines = [self._world.engine(engine)] if engine is not None else list(self._world.engines.values())
        for one in engines:
            if name.isdigit() and (order := one.venue.order(int(name))) is not None:
                return one, order
            for order in one.venue.all_orders():
                if one.name_of(order) == name:
                    return one, order
        raise not_found("order", name, "order_id")

    def _shown(self, engine: Engine, order: Order) -> dict[str, Any]:
        venue = engine.venue
        shown = order_shown(order, engine.name_of(order), venue.queue_position(order.id))
        fills = [found for exec_id in order.exec_ids if (found := venue.fill(exec_id)) is not None]
        shown["executions"] = [
            {"execution": fill.exec_id, "price": fill.price, "quantity": fill.quantity, "match": fill.match_id}
            for fill in fills
        ]
        return shown

    @staticmethod
    def _refuse(refusal: Refusal | None) -> None:
        if refusal is not None:
            code = _CODES.get(refusal.reason, "rejected")
            raise ControlError(code, refusal.text, None, reason=str(refusal.reason))
