"""What policies do besides answering: to an order, to connections and sessions, to the venue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from txtrader.exsim.interventions import Interventions
from txtrader.exsim.orders import Order
from txtrader.exsim.policies.actions import Step
from txtrader.exsim.policies.conditions import Occurrence
from txtrader.exsim.policies.faces import Face
from txtrader.exsim.policies.links import Link
from txtrader.exsim.policies.policy import Policy
from txtrader.exsim.records import Fill, Phase

if TYPE_CHECKING:
    from txtrader.exsim.policies.policy_book import PolicyBook
    from txtrader.exsim.venue import Venue

__all__ = ["Deeds"]


class Deeds:
    """Does to orders, links, sessions and the venue what the steps say, in their sequence."""

    def __init__(self, book: PolicyBook, venue: Venue, hand: Interventions) -> None:
        self._book = book
        self._venue = venue
        self._hand = hand
        self._does: dict[str, Callable[[Step, Policy, Occurrence], None]] = {
            "trade": self._trade,
            "order": self._to_order,
            "link": self._to_links,
            "session": self._to_sessions,
            "venue": self._to_venue,
        }

    def run(self, steps: Sequence[Step], policy: Policy, occurrence: Occurrence) -> None:
        """Do steps; those after a `wait` come later."""
        for place, step in enumerate(steps):
            if step.name == "wait":
                self._book.later(step["seconds"], self.run, steps[place + 1 :], policy, occurrence)
                return
            does = self._does.get(step.action.group)
            if does is not None:
                does(step, policy, occurrence)

    # -- executions with the house

    def _trade(self, step: Step, policy: Policy, occurrence: Occurrence) -> None:
        order = occurrence.order
        assert order is not None
        step_size = order.listing.step
        if step.name == "fill":
            total = order.leaves * step["share"] if step["quantity"] is None else step["quantity"] / step_size
            self._fill(order, max(1, int(total)), step)
        elif step.name == "overfill":
            more = max(1, int(step["quantity"] / step_size))
            self._book.later(step["seconds"], self._hand.overfill, order, more)
        else:
            lots = max(1, int(order.leaves * step["share"]))
            self._book.later(step["seconds"], self._hand.fill_late, order, lots)

    def _fill(self, order: Order, lots: int, step: Step) -> None:
        """Let an order trade in parts, then go where it belongs with the rest."""
        parts = min(step["parts"], lots)
        for part in range(parts):
            size = lots * (part + 1) // parts - lots * part // parts
            seconds = step["seconds"] + part * step["every"]
            self._book.later(seconds, self._hand.fill, order, size, step["price"], step["better"])
        if step["rest"] == "work":
            self._book.later(step["seconds"] + (parts - 1) * step["every"], self._hand.start, order)

    # -- an order

    def _to_order(self, step: Step, policy: Policy, occurrence: Occurrence) -> None:
        order = occurrence.order
        if order is None:
            return
        does: Callable[..., None]
        arguments: tuple[Any, ...] = ()
        if step.name == "cancel":
            does, arguments = self._cancel, (order, step["text"])
        elif step.name == "expire":
            does, arguments = self._hand.expire, (order,)
        elif step.name == "restate":
            does, arguments = self._restate, (order, step)
        else:
            exec_id = occurrence.fields.get("exec_id") if occurrence.kind == "fill" else None
            does, arguments = self._revise, (order, step, exec_id)
        self._book.later(step["seconds"], does, *arguments)

    def _cancel(self, order: Order, text: str) -> None:
        if order.is_open:
            self._venue.cancel_by_venue(order.id, text)

    def _restate(self, order: Order, step: Step) -> None:
        self._hand.lessen(order, int(order.leaves * step["share"]), "restated by a policy")

    def _revise(self, order: Order, step: Step, exec_id: str | None) -> None:
        """Bust or correct one execution or all that stand of the order."""
        if self._book.is_busy:  # a revision answers at once: it waits for the end of what is being processed
            self._book.soon(self._revise, order, step, exec_id)
            return
        for fill in self._venue.fills(owner=order.owner, listing_id=order.listing.id):
            if fill.order_id == order.id and exec_id in (None, fill.exec_id):
                if step.name == "bust":
                    self._venue.bust(fill.exec_id)
                else:
                    self._correct(order, step, fill)

    def _correct(self, order: Order, step: Step, fill: Fill) -> None:
        lots = int(fill.quantity * step["share"] / order.listing.step)
        price = fill.price - order.sign * step["better"] * order.listing.tick
        self._venue.correct(fill.exec_id, price=price, quantity=max(1, lots) * order.listing.step)

    # -- connections

    def links(self, policy: Policy, occurrence: Occurrence) -> list[Link]:
        """Return the connections that are meant: the message's own, its owner's, or for `now` all in the scope."""
        if occurrence.link is not None:
            return [occurrence.link]
        owner = occurrence.fields.get("session")
        if owner is None and occurrence.kind != "now":
            return []
        found: list[Link] = []
        for face in self._book.faces_of(policy):
            for connection in face.connections():
                whose = face.owner_of(connection)
                if whose == owner if owner is not None else policy.covers("session", whose):
                    found.append(self._book.link(face, connection))
        return found

    def _to_links(self, step: Step, policy: Policy, occurrence: Occurrence) -> None:
        if step.name == "refuse_connections":
            self._refuse(policy, step["seconds"])
            return
        for link in self.links(policy, occurrence):
            if link.connection.pump.outbound is None:
                continue  # it has not begun, or is gone
            match step.name:
                case "drop":
                    link.drop(step["how"], step["after_messages"], step["after_bytes"], step["mid_message"])
                case "half_open":
                    link.half_open()
                case "freeze":
                    link.freeze(step["seconds"])
                case "trickle":
                    link.trickle(step["every"], step["size"])
                case "merge":
                    link.merge(step["count"], step["seconds"])
                case "lag":
                    link.delay(step["seconds"])
                case _:
                    link.garbage(step["text"].encode(), step["count"])

    def _refuse(self, policy: Policy, seconds: float) -> None:
        for face in self._book.faces_of(policy):
            face.refuse(True)
            if seconds:
                self._book.later(seconds, self._take_again, face)

    def _take_again(self, face: Face) -> None:
        if self._book.has(face):  # else it has been stopped meanwhile
            face.refuse(False)

    def _to_sessions(self, step: Step, policy: Policy, occurrence: Occurrence) -> None:
        if step.name == "reject_logon":
            return  # the endpoint asked, and was told
        for link in self.links(policy, occurrence):
            face, connection = link.face, link.connection
            match step.name:
                case "log_out":
                    face.log_out(connection, step["text"])
                case "skip_numbers":
                    face.skip_numbers(connection, step["count"])
                case "repeat_numbers":
                    face.repeat_numbers(connection, step["count"])
                case "reset_numbers":
                    face.reset_numbers(connection)
                case "demand_resend":
                    face.demand_resend(connection, step["begin"], step["times"])
                case "stop_heartbeats":
                    face.stop_heartbeats(connection)
                case "ignore_tests":
                    face.ignore_tests(connection)
                case _:
                    face.spoil(connection, step["what"], step["tag"], step["count"])

    # -- the venue

    def _to_venue(self, step: Step, policy: Policy, occurrence: Occurrence) -> None:
        if step.name in ("halt", "resume"):
            phase = Phase.HALT if step.name == "halt" else Phase.CONTINUOUS
            for listing_id in self._listings(step["book"], policy, occurrence):
                self._venue.set_phase(listing_id, phase)
        elif step.name == "end_of_day":
            if self._book.is_busy:  # what it does to orders is told before the new day begins
                self._book.soon(self._to_venue, step, policy, occurrence)
                return
            self._venue.end_of_day()
            for face in self._book.faces_of(policy):
                face.begin_again()
        else:
            self._restart(step, policy)

    def _listings(self, book: str | None, policy: Policy, occurrence: Occurrence) -> list[int]:
        if book is None and (symbol := occurrence.fields.get("symbol")) is not None:
            book = symbol
        return [
            listing.id
            for listing in self._venue.instruments
            if listing.is_tradeable
            and (listing.symbol == book if book is not None else policy.covers("symbol", listing.symbol))
        ]

    def _restart(self, step: Step, policy: Policy) -> None:
        """Be away for a while; without its book the venue cancels what was live, to nobody who is there."""
        faces = self._book.faces_of(policy)
        for face in faces:
            for connection in face.connections():
                connection.drop()
            face.refuse(True)
            if step["numbers"]:
                face.forget_numbers()
        if not step["book"]:
            for order in self._venue.live_orders():
                self._venue.cancel_by_venue(order.id, "lost in a restart")
        for face in faces:
            self._book.later(step["seconds"], self._take_again, face)
