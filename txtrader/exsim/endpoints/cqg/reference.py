"""Information requests of the simulated CQG server: who is asked what, the three states of a subscription.

    subscribe absent   answered once, with 0
    subscribe true     1 with the answer, then 3 for each update; 4 and 1 again when the source was away
    subscribe false    2, and no more

A failure (100 and above) also ends the subscription of that id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from txtrader.exsim.endpoints.cqg.answers import Answers, Refused
from txtrader.exsim.endpoints.cqg.contract_messages import put_listing
from txtrader.exsim.endpoints.cqg.frames import pieces
from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.session import missing_fields
from txtrader.wire.cqg.words import InfoStatus

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection

__all__ = ["Reference", "put_listing"]

# Where a report has a list that can be cut: the report's field, then the way to the list.
_LISTS = {
    "accounts_report": ("brokerages", 0, "sales_series", 0, "accounts"),
    "instrument_group_report": ("instruments",),
    "historical_orders_report": ("order_statuses",),
    "last_statement_balances_report": ("balances",),
}
_ONCE = frozenset({"historical_orders_request", "order_status_request"})  # there is nothing to go on with


class _Subscription(msgspec.Struct):
    """What a client asked to be kept up to date about; `listing_id` is what its symbol stands for now."""

    request: Any
    kind: str
    listing_id: int | None = None


class Reference(Service):
    """One client's information requests and what it subscribed to with them."""

    def __init__(self, connection: CqgConnection) -> None:
        super().__init__(connection)
        self._subscriptions: dict[int, _Subscription] = {}
        self._kinds = Answers(self).kinds

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {"information_requests": self.ask}

    def ask(self, request: Any) -> None:
        """Answer one information request."""
        if not request.HasField("id"):
            self.connection.warn("information_requests: required fields are missing: id")
            return
        subscribe = request.subscribe if request.HasField("subscribe") else None
        self._subscriptions.pop(request.id, None) if subscribe is not None else None
        if subscribe is False:
            self._tell(request.id, InfoStatus.DROPPED)
            return
        try:
            kind = self._kind(request)
            report = self._report(request, kind)
        except Refused as refused:
            self._subscriptions.pop(request.id, None)
            self._tell(request.id, refused.code, refused.text)
            return
        is_deleted = report.symbol_resolution_report.deleted
        is_kept = bool(subscribe) and kind not in _ONCE and not is_deleted
        report.status_code = int(InfoStatus.SUBSCRIBED if is_kept else InfoStatus.SUCCESS)
        if is_kept:
            self._subscriptions[request.id] = _Subscription(request, kind, self._meaning(request, kind))
        self._send(report)

    def _kind(self, request: Any) -> str:
        """Return what is asked; raises Refused unless it is one thing that is offered, and not too often."""
        meters, user = self.endpoint.meters, self.user_session.user
        if meters.is_over("information", user):
            raise Refused(InfoStatus.REQUEST_RATE_LIMIT_VIOLATION, "too many information requests in 100 seconds")
        if missing := missing_fields(request):
            raise Refused(InfoStatus.INVALID_PARAMS, f"required fields are missing: {', '.join(missing)}")
        asked = [descriptor.name for descriptor, _ in request.ListFields() if descriptor.name.endswith("_request")]
        if len(asked) != 1:
            raise Refused(InfoStatus.INVALID_PARAMS, "exactly one kind of request that this server knows")
        kind: str = asked[0]
        if kind not in self._kinds:
            raise Refused(InfoStatus.INVALID_PARAMS, f"{kind} is not offered")
        if kind == "symbol_resolution_request" and meters.is_over("resolutions", user):
            raise Refused(InfoStatus.REQUEST_RATE_LIMIT_VIOLATION, "too many symbol resolutions today")
        if kind in ("accounts_request", "last_statement_balances_request") and meters.is_over("account_requests", user):
            raise Refused(InfoStatus.REQUEST_RATE_LIMIT_VIOLATION, "too many requests for accounts today")
        return kind

    def _report(self, request: Any, kind: str) -> Any:
        """Answer a request in a new report, whose code is still to be set."""
        report = ServerMsg().information_reports.add(id=request.id)
        answer: Callable[[Any, Any], None] = self._kinds[kind]
        answer(getattr(request, kind), report)
        return report

    def _meaning(self, request: Any, kind: str) -> int | None:
        if kind != "symbol_resolution_request":
            return None
        asked = request.symbol_resolution_request
        listing = self.endpoint.names.resolve(
            asked.symbol, types=asked.preferred_types, countries=asked.preferred_countries
        )
        return None if listing is None else listing.id

    # -- what changes later

    def contracts_changed(self) -> None:
        """Tell the subscribers of symbols that stand for another contract now, or for one that has expired."""
        for number, subscription in list(self._subscriptions.items()):
            meaning = self._meaning(subscription.request, subscription.kind)
            if meaning is not None and meaning != subscription.listing_id:
                subscription.listing_id = meaning
                self._update(number, subscription)

    def accounts_changed(self) -> None:
        """Tell the subscribers of accounts how they are now."""
        for number, subscription in list(self._subscriptions.items()):
            if subscription.kind == "accounts_request":
                self._update(number, subscription)

    def interrupt(self, is_lost: bool) -> None:
        """Report all subscriptions as disconnected, or as subscribed again, with the present answer."""
        for number, subscription in list(self._subscriptions.items()):
            if is_lost:
                self._tell(number, InfoStatus.DISCONNECTED)
            else:
                self._update(number, subscription, InfoStatus.SUBSCRIBED)

    def _update(self, number: int, subscription: _Subscription, code: InfoStatus = InfoStatus.UPDATE) -> None:
        try:
            report = self._report(subscription.request, subscription.kind)
        except Refused as refused:
            self._subscriptions.pop(number, None)
            self._tell(number, refused.code, refused.text)
            return
        report.status_code = int(code)
        self._send(report)

    # -- out

    def _tell(self, number: int, code: InfoStatus, text: str = "") -> None:
        message = ServerMsg()
        report = message.information_reports.add(id=number, status_code=int(code))
        if text:
            report.text_message = text
        self.connection.send(message)

    def _send(self, report: Any) -> None:
        """Send a report, its list in pieces where it is long."""
        name = next((name for name in _LISTS if report.HasField(name)), None)
        if name is None:
            message = ServerMsg()
            message.information_reports.append(report)
            self.connection.send(message)
            return
        entries = _list_of(report, name)
        rows = list(entries)
        del entries[:]
        for piece, is_last in pieces(rows, is_small=self.endpoint.options.small_frames):
            message = ServerMsg()
            message.information_reports.append(report)
            part = message.information_reports[0]
            _list_of(part, name).extend(piece)
            part.is_report_complete = is_last
            self.connection.send(message)


def _list_of(report: Any, name: str) -> Any:
    found = getattr(report, name)
    for step in _LISTS[name]:
        found = found[step] if isinstance(step, int) else getattr(found, step)
    return found
