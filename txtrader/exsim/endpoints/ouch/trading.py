"""Order entry over OUCH: what clients ask goes to the venue, and what the wire answers by silence onto its tape."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from txtrader.dialects import ouch as dialect
from txtrader.errors import RemoteProtocolError
from txtrader.exsim.endpoints.ouch.members import Member, Name, Record
from txtrader.exsim.endpoints.ouch.reports import Reports
from txtrader.exsim.records import Changes, Listing, Phase, Terms
from txtrader.model.instrument import SecType
from txtrader.model.order import OrderType, TimeInForce
from txtrader.wire.ouch.codec import BadAppendage, OuchMessage

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.ouch.endpoint import OuchEndpoint

__all__ = ["Trading"]

SECOND = 1_000_000_000
_STILL = (Phase.HALT, Phase.CLOSED)
_REPEATED = ("side", "firm", "capacity", "cross", "stock", "symbol")  # what a replace does not say again
_NAMES = {"EnterOrder": "user_ref", "ReplaceOrder": "user_ref", "MassCancel": "user_ref"}
_SWITCHES = {"DisableOrderEntry": "user_ref", "EnableOrderEntry": "user_ref"}


class Trading:
    """Answers the requests of one endpoint's users."""

    def __init__(self, endpoint: OuchEndpoint, reports: Reports) -> None:
        self.endpoint = endpoint
        self.venue = endpoint.venue
        self.options = endpoint.options
        self.reports = reports
        self.version = self.options.version
        self.refused_cancels = 0
        self._holds_cancels = False
        self._held: list[tuple[Record, int]] = []
        self._listings: dict[str, Listing] = {}
        self._answers: dict[str, Callable[[Member, OuchMessage], None]] = {
            "EnterOrder": self._enter,
            "ReplaceOrder": self._replace,
            "CancelOrder": self._cancel,
            "ModifyOrder": self._modify,
            "MassCancel": self._mass_cancel,
            "DisableOrderEntry": self._switch,
            "EnableOrderEntry": self._switch,
            "AccountQuery": self._query,
        }

    def received(self, member: Member, data: bytes) -> None:
        """Take one message of a client."""
        try:
            message = self.endpoint.codec.read_request(data)
        except BadAppendage as error:
            self._bad_appendage(member, error)
            return
        except RemoteProtocolError as error:
            member.ignore(repr(data[:1])[2:-1], None, error.message)
            return
        self._answers[message.name](member, message)

    # -- names

    def _name(self, message: OuchMessage, field: str) -> Name:
        if self.version == "4.2":
            token: str = message["existing_token" if field == "orig_user_ref" else "token"]
            return token
        return message.tag("user_ref_idx", 0), message[field]

    def _new_name(self, member: Member, message: OuchMessage) -> Name | None:
        """Return the name that a message gives, None for one that was used: repeating is harmless."""
        if self.version == "4.2":
            token: str = message["replacement_token" if message.name == "ReplaceOrder" else "token"]
            return None if token in member.used else token
        index, number = message.tag("user_ref_idx", 0), message["user_ref"]
        return None if number <= member.last.get(index, 0) else (index, number)

    def _bad_appendage(self, member: Member, error: BadAppendage) -> None:
        message = error.sound
        if message.name not in _NAMES and message.name not in _SWITCHES:
            member.ignore(message.name, None, error.message)
            return
        name = self._new_name(member, message)
        if name is None:
            member.ignore(message.name, (0, message["user_ref"]), "the name was used before")
            return
        member.use(name)
        self.reports.reject(Record(member, name, {"cl_ord_id": message.fields.get("cl_ord_id", "")}, None), "other")

    # -- orders

    def _enter(self, member: Member, message: OuchMessage) -> None:
        name = self._new_name(member, message)
        if name is None:
            member.ignore(message.name, self._name(message, "user_ref"), "the name was used before")
            return
        record = Record(member, name, {"cl_ord_id": "", "bbo_weight": "", **message.fields}, message.tags)
        if member.names >= self.options.max_orders:
            self.reports.reject(record, "other")
            return
        member.use(name)
        try:
            terms = dialect.terms_of(message, self.version)
            wanted = self._venue_terms(record, terms, terms.quantity)
        except dialect.Unsupported as error:
            self.reports.reject(record, error.word)
            return
        self.reports.expect(record)
        self.reports.await_answer(record, self.venue.submit(member.owner, wanted))

    def _replace(self, member: Member, message: OuchMessage) -> None:
        old = member.live.get(self._name(message, "orig_user_ref"))
        name = self._new_name(member, message)
        if old is None or name is None:
            why = "there is no such order" if old is None else "the new name was used before"
            member.ignore(message.name, self._name(message, "orig_user_ref"), why)
            return
        inherited = {key: value for key, value in old.fields.items() if key in _REPEATED}
        tags = {key: value for key, value in old.tags.items() if key == "firm"}
        record = Record(
            member, name, {"cl_ord_id": "", "bbo_weight": "", **message.fields, **inherited},
            {**(message.tags or {}), **tags},
        )  # fmt: skip
        phase = self.venue.phase(old.order.listing.id)
        if old.is_held or self._holds_cancels or phase in _STILL:
            # It cannot be canceled now, so it stays, and the new name is gone.
            member.use(name)
            self.reports.reject(record, {Phase.HALT: "halted", Phase.CLOSED: "closed"}.get(phase, "pending"), old)
            return
        record.before, record.executed_before = old.done, old.executed
        side = old.fields["side"]
        try:
            terms = dialect.replacement_of(message, self.version, side, old.fields["cross"])
            record.fields["side"] = message.tag("side", side)
            if not dialect.may_become(side, record.fields["side"]):
                raise dialect.Unsupported("side", "an order changes between the kinds of selling only")
            if terms.quantity <= old.done:
                raise dialect.Unsupported("quantity", f"{old.done} are done already")
            wanted = self._venue_terms(record, terms, terms.quantity - old.done)
        except dialect.Unsupported as error:
            member.ignore(message.name, name, f"{error.text}: the old order is canceled")
            self.reports.cancel(old, "U", "what was to stand in its place is not sound")
            return
        self.reports.expect(record, old)
        self.venue.exchange(member.owner, old.order.id, wanted)

    def _venue_terms(self, record: Record, terms: dialect.OrderTerms, quantity: int) -> Terms:
        """Put an order into the venue's words.  Raises Unsupported."""
        member, options = record.member, self.options
        if not self.endpoint.is_open:
            raise dialect.Unsupported("hours", "the day has not begun")
        if isinstance(record.name, str) and not (record.name.isascii() and record.name.isalnum()):
            raise dialect.Unsupported("other", f"a token {record.name!r}")
        for feature in terms.features:
            if feature in options.not_offered:
                raise dialect.Unsupported(options.not_offered[feature], f"{feature} is not offered")
        if terms.price is None and not options.market_orders and terms.tif in (TimeInForce.IOC, TimeInForce.FOK):
            raise dialect.Unsupported("price", "no orders at the market")
        firm = member.firm(record.tags.get("firm", record.fields.get("firm", "")))
        account = member.account(firm)
        if account is None or firm in member.disabled:
            raise dialect.Unsupported("firm", f"firm {firm} may not trade")
        listing = self._listing(record.fields.get("stock") or record.fields.get("symbol") or "")
        group = terms.self_trade_group
        end: int | None = None
        if terms.tif is TimeInForce.GTD:
            record.has_seconds = terms.seconds is not None
            now = self.venue.now_ns()
            end = self.endpoint.next_midnight() if terms.seconds is None else now + terms.seconds * SECOND
        return Terms(
            listing_id=listing.id,
            account=account,
            side=terms.side,
            quantity=Decimal(quantity),
            type=OrderType.MARKET if terms.price is None and not terms.peg else OrderType.LIMIT,
            limit_price=terms.price,
            tif=terms.tif,
            expire_time=end,
            display_quantity=None if terms.display_quantity is None else Decimal(terms.display_quantity),
            client_order_id=record.name if isinstance(record.name, str) else str(record.number),
            self_trade_id="" if group is None else f"{member.owner}|{group}",
            post_only=terms.post_only,
            extra=self._state(record),
            **_beyond(terms),
        )

    def _state(self, record: Record) -> dict[str, Any]:
        """Return what brings a record back after a restart of a venue that remembers."""
        return {
            "wire": "ouch",
            "version": self.version,
            "name": record.name,
            "fields": record.fields,
            "tags": record.tags,
            "before": record.before,
            "executed_before": record.executed_before,
            "has_seconds": record.has_seconds,
        }

    def restore(self, member_of: Callable[[str], Member | None]) -> None:
        """Take up the orders of today that the venue remembers from before it was restarted."""
        today = self.venue.now_ns() - self.endpoint.since_midnight()
        for order in [*self.venue.completed_orders(), *self.venue.live_orders()]:
            state = order.extra
            if not isinstance(state, dict) or state.get("wire") != "ouch" or state["version"] != self.version:
                continue
            member = member_of(order.owner)
            if member is None or (order.entry_time < today and not order.is_open):
                continue
            name = state["name"] if isinstance(state["name"], str) else (state["name"][0], state["name"][1])
            record = Record(member, name, state["fields"], state["tags"])
            record.before, record.executed_before = state["before"], state["executed_before"]
            record.has_seconds = state["has_seconds"]
            member.remember(name)
            if order.is_open:
                state.pop("asked", None)
                self.reports.remember(record, order)

    def _listing(self, symbol: str) -> Listing:
        """Return the stock of a symbol; its prices and sizes have to fit the wire."""
        known = self._listings.get(symbol)
        if known is not None:
            return known
        found = self.venue.instruments.find(symbol=symbol, sectype=SecType.STOCK) if symbol else []
        found = [listing for listing in found if listing.is_tradeable and _fits(listing)]
        own = [listing for listing in found if listing.currency == self.options.currency]
        if len(own) != 1:
            raise dialect.Unsupported("symbol", f"no stock {symbol}")
        self._listings[symbol] = own[0]
        return own[0]

    # -- cancel and modify

    def _live(self, member: Member, message: OuchMessage) -> Record | None:
        name = self._name(message, "user_ref")
        record = member.live.get(name)
        if record is None:
            member.ignore(message.name, name, "there is no such order")
        return record

    def _size(self, message: OuchMessage) -> int:
        size: int = message["shares" if self.version == "4.2" else "quantity"]
        return size

    def _cancel(self, member: Member, message: OuchMessage) -> None:
        record = self._live(member, message)
        if record is None:
            return
        size = self._size(message)
        if size >= record.executed + record.open:
            member.ignore(message.name, record.name, f"{size} is not less than the order is")
        elif self.refused_cancels:
            self.refused_cancels -= 1
            self.reports.say(record, "CancelReject")
        elif not self._holds_cancels:
            self._cancel_to(record, size)
        elif record.is_held:
            member.ignore(message.name, record.name, "a cancel waits already")
        else:
            record.is_held = True
            self._held.append((record, size))
            self.reports.say(record, "CancelPending")

    def _cancel_to(self, record: Record, size: int) -> None:
        """Let at most `size` be executed of an order in total; at or below what is done, cancel the rest."""
        if size <= record.executed:
            self._cancel_whole(record)
        else:
            self._reduce(record, size, "reduce", record.fields)

    def _cancel_whole(self, record: Record) -> None:
        record.asked.append("cancel")
        self.venue.cancel(record.member.owner, record.order.id)

    def _reduce(self, record: Record, size: int, asked: str, fields: dict[str, Any]) -> None:
        """Give an order another total; `fields` are those that it has then."""
        record.asked.append(asked)
        changes = Changes(
            quantity=Decimal(size - record.executed_before),
            extra={**self._state(record), "fields": fields, "asked": asked},
        )
        self.venue.replace(record.member.owner, record.order.id, changes)

    def hold_cancels(self, is_holding: bool) -> None:
        """Let cancels wait, as in a cross; False carries out those that do, of orders that still live."""
        self._holds_cancels = is_holding
        if is_holding:
            return
        held, self._held = self._held, []
        for record, size in held:
            record.is_held = False
            if record.order.is_open and size < record.executed + record.open:
                self._cancel_to(record, size)

    def _modify(self, member: Member, message: OuchMessage) -> None:
        record = self._live(member, message)
        if record is None:
            return
        size, side, former = self._size(message), message["side"], record.fields["side"]
        present = record.executed + record.open
        if not dialect.may_become(former, side):
            member.ignore(message.name, record.name, f"side {former} does not become {side}")
            return
        if size > present and not (self.options.grows and size <= dialect.LARGEST):
            member.ignore(message.name, record.name, f"{size} is more than the order is")
            return
        if size == present:
            record.fields["side"] = side
            self.reports.say(record, "OrderModified", shares=record.open, quantity=record.open)
            return
        if size <= record.executed:
            self._cancel_whole(record)
        else:
            self._reduce(record, size, "modify", {**record.fields, "side": side})

    def cancel_all(self, member: Member, letter: str) -> None:
        """Cancel all orders of a user, for a reason."""
        for record in list(member.live.values()):
            self.reports.cancel(record, letter, "the day is over")

    # -- 5.0 alone

    def _taken(self, member: Member, message: OuchMessage) -> str | None:
        """Use the name of a request about a firm; return the firm, None where nothing is to be done."""
        name = self._new_name(member, message)
        if name is None:
            member.ignore(message.name, self._name(message, "user_ref"), "the name was used before")
            return None
        member.use(name)
        firm = member.firm(message["firm"])
        if member.account(firm) is None:
            self.reports.reject(Record(member, name, {"cl_ord_id": ""}, message.tags), "firm")
            return None
        return firm

    def _mass_cancel(self, member: Member, message: OuchMessage) -> None:
        firm = self._taken(member, message)
        if firm is None:
            return
        symbol, side, group = message["symbol"], message.tag("side"), message.tag("group_id")
        self.reports.say_to(
            member, "MassCancelResponse", message.tag("user_ref_idx"),
            user_ref=message["user_ref"], firm=message["firm"], symbol=symbol,
        )  # fmt: skip
        for record in list(member.live.values()):
            if (
                member.firm(record.tags.get("firm", "")) == firm
                and symbol in ("", record.fields["symbol"])
                and side in (None, record.fields["side"])
                and group in (None, record.tags.get("group_id"))
            ):
                self._cancel_whole(record)

    def _switch(self, member: Member, message: OuchMessage) -> None:
        firm = self._taken(member, message)
        if firm is None:
            return
        member.switch(firm, is_disabled=message.name == "DisableOrderEntry")
        self.reports.say_to(
            member, f"{message.name}Response", message.tag("user_ref_idx"),
            user_ref=message["user_ref"], firm=message["firm"],
        )  # fmt: skip

    def _query(self, member: Member, message: OuchMessage) -> None:
        policies, connection = self.endpoint.policies, member.connection
        if policies is not None and connection is not None:
            policies.asked(connection)
        index = message.tag("user_ref_idx")
        self.reports.say_to(
            member, "AccountQueryResponse", index, next_user_ref=member.last.get(index or 0, 0) + 1
        )  # fmt: skip


def _beyond(terms: dialect.OrderTerms) -> dict[str, Any]:
    """Return the terms that `NOT_OFFERED` keeps from the venue while it does not know them."""
    wanted: dict[str, Any] = {}
    if terms.hidden:
        wanted["hidden"] = True
    if terms.min_quantity and terms.tif is not TimeInForce.FOK:
        wanted["min_quantity"] = Decimal(terms.min_quantity)
    if terms.display_range and terms.display_quantity is not None:
        wanted["display_low"] = Decimal(max(1, terms.display_quantity - terms.display_range))
        wanted["display_high"] = Decimal(terms.display_quantity + terms.display_range)
    if terms.peg:
        wanted.update(peg=terms.peg, peg_offset=terms.peg_offset)
    return wanted


def _fits(listing: Listing) -> bool:
    """Tell whether four decimals and whole shares are enough for a listing."""
    return listing.step % 1 == 0 and all(
        step * 10_000 % 1 == 0 for step in (listing.tick, *(band.increment for band in listing.increments))
    )
