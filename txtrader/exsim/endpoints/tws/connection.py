"""One API client's connection: handshake, dispatch of its requests, and what is sent to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import LocalProtocolError
from txtrader.exsim.endpoints.delayed_pump import DelayedPump
from txtrader.exsim.endpoints.tws.accounts import Accounts
from txtrader.exsim.endpoints.tws.depth import Depth
from txtrader.exsim.endpoints.tws.history import History
from txtrader.exsim.endpoints.tws.option_quotes import OptionCalculations
from txtrader.exsim.endpoints.tws.owners import owner_of
from txtrader.exsim.endpoints.tws.quotes import Quotes
from txtrader.exsim.endpoints.tws.realtime import RealTime
from txtrader.exsim.endpoints.tws.reference import Reference
from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.endpoints.tws.sidelines import Sidelines
from txtrader.exsim.endpoints.tws.trading import Trading
from txtrader.exsim.policies.doors import attach
from txtrader.exsim.records import Holding
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.server import Event, Hello, ServerSession, UnknownRequest, UnreadableRequest

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.endpoint import TwsEndpoint

__all__ = ["TwsConnection"]


class TwsConnection:
    """What one client has open; `client_id` is None until it has started the API."""

    _log = Logger()

    def __init__(self, endpoint: TwsEndpoint) -> None:
        self.endpoint = endpoint
        self.client_id: int | None = None
        self.is_open = False
        self.sent = 0
        options = endpoint.options
        self.session = ServerSession(max_version=options.max_version, handshake_timeout=options.handshake_timeout)
        endpoint.made += 1
        self.pump = DelayedPump(
            self.session,
            endpoint.reactor,
            self._take_event,
            self._lost,
            name=f"{options.seed}|latency|tws|{endpoint.made}",
            latencies=options,
            attach=partial(attach, self),
            keeps_link=True,
        )
        self.binds_orders = False
        self._quotes: Quotes | None = None
        self._accounts: Accounts | None = None
        self._sidelines: Sidelines | None = None
        self._services: tuple[Service, ...] = ()
        self._together = 0
        self._answers: dict[str, Answer] = {}
        self._recent: list[float] = []
        self._unread_fields = 0

    @property
    def version(self) -> int:
        """The server version that was agreed."""
        return self.session.version

    @property
    def is_master(self) -> bool:
        """Tell whether this client hears of every client's orders."""
        return self.client_id is not None and self.client_id == self.endpoint.options.master_client_id

    # -- out

    def send(self, name: str, **fields: Any) -> None:
        """Send a response, through the faults that are on."""
        message = Message(name, fields)
        overseer = self.endpoint.overseer
        if overseer is not None and overseer.sending(self, message):
            return
        faults = self.endpoint.faults
        if faults.is_quiet:
            self.deliver(message)
        else:
            faults.pass_on(self, message)

    def deliver(self, message: Message) -> None:
        """Send a response past the faults."""
        if not self.is_open or self.endpoint.is_silent:
            return
        try:
            self.session.send(message)
        except LocalProtocolError:
            # Our own bug: this message is lost, the venue that is telling its facts goes on.
            self._log.failure("sending {name}", name=message.name)
            return
        self.sent += 1
        if not self._together:
            self.pump.flush()
        if self.endpoint.faults.counts_down():
            self.pump.flush()
            self.drop()

    def send_raw(self, body: bytes) -> None:
        """Send a message body as it is, wrong on purpose."""
        if self.is_open and not self.endpoint.is_silent:
            self.session.send_body(body)
            self.pump.flush()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what is sent meanwhile at once, at the end."""
        self._together += 1
        try:
            yield
        finally:
            self._together -= 1
            if not self._together:
                self.pump.flush()

    def error(self, req_id: int, code: int, text: str, *, reject_json: str = "") -> None:
        """Send an error, a warning or a notice; they share one message."""
        self.send(
            "error",
            reqId=req_id,
            errorCode=code,
            errorString=text,
            advancedOrderRejectJson=reject_json,
            errorTime=self.endpoint.venue.now_ns() // 1_000_000,
        )

    def drop(self) -> None:
        """Cut the connection at once; its client id is free from now on."""
        self._end()
        self.pump.abort()

    def close(self) -> None:
        """Close the connection after what was sent."""
        self.pump.close()

    # -- in

    def _take_event(self, event: Event) -> None:
        if self.endpoint.is_deaf:
            return
        if isinstance(event, Hello):
            self.session.greet(event, self.endpoint.zone.connection_time(self.endpoint.venue.now_ns()))
            self.is_open = True
            if self.endpoint.is_silent:
                self.session.data_to_send()
        elif isinstance(event, Message):
            self._take_request(event)
        elif isinstance(event, UnreadableRequest):
            self.error(event.req_id, 320, f"Error reading request. {event.reason}")
        else:
            assert isinstance(event, UnknownRequest)
            self._log.info("unknown request {id}", id=event.id_text[:20])
            self.error(-1, 505, f"Fatal Error: Unknown message id. {event.id_text[:20]}")

    def _take_request(self, message: Message) -> None:
        if self.session.leftover_fields != self._unread_fields:
            self._unread_fields = self.session.leftover_fields
            self._log.debug("{name} carries fields that are not read", name=message.name)
        self._log.debug("<- {client}: {message}", client=self.client_id, message=message)
        req_id = _id_of(message)
        if message.name == "startApi":
            self._start(message)
        elif self.client_id is None:
            self.error(req_id, 504, "Not connected: the API is not started")
        elif self._is_too_fast():
            self.error(req_id, 100, "Max rate of messages per second has been exceeded.")
        elif self.endpoint.overseer is None or not self.endpoint.overseer.received(self, message):
            self.process(message)

    def process(self, message: Message) -> None:
        """Answer a request of a client that has started."""
        req_id = _id_of(message)
        answer = self._answers.get(message.name)
        if self.endpoint.policies is not None and self.endpoint.face.is_status_request(message.name):
            self.endpoint.policies.asked(self)
        if answer is None:
            self.error(req_id, 321, f"Error validating request. {message.name} is not offered here")
            return
        try:
            answer(message)
        except RequestFailed as failed:
            self.error(req_id, failed.code, failed.text)
        except Exception:  # noqa: BLE001
            # Our bug or the venue's: the client must not wait for an answer that never comes.
            self._log.failure("answering {name}", name=message.name)
            self.error(req_id, 322, "Error processing request. The server failed.")

    def _is_too_fast(self) -> bool:
        rate = self.endpoint.options.message_rate
        if rate is None:
            return False
        now = self.endpoint.reactor.seconds()
        self._recent = [time for time in self._recent if now - time < 1.0]
        self._recent.append(now)
        return len(self._recent) > rate

    def _start(self, message: Message) -> None:
        client_id = message["clientId"]
        if client_id is None or client_id < 0:
            self.error(-1, 320, "Error reading request. The client id is missing")
            return
        if self.client_id is not None:
            return
        policies = self.endpoint.policies
        if policies is not None and (refusal := policies.logon(self, owner_of(client_id))) is not None:
            self.error(-1, 326, refusal)
            self.close()
            return
        if not self.endpoint.admit(self, client_id):
            self.error(-1, 326, "Unable to connect as the client id is already in use. Retry with a unique client id.")
            self.close()
            return
        self.client_id = client_id
        self._quotes = Quotes(self)
        self._accounts = Accounts(self)
        self._sidelines = Sidelines(self)
        self._services = (
            self._quotes,
            self._accounts,
            self._sidelines,
            Reference(self),
            OptionCalculations(self),
            Depth(self),
            RealTime(self),
            History(self),
            Trading(self),
        )
        for service in self._services:
            self._answers.update(service.answers)
        self.endpoint.started(self)

    # -- what the endpoint and the desk tell

    def holding_changed(self, holding: Holding) -> None:
        """Tell the account streams of a changed position."""
        if self._accounts is not None:
            with self.together():
                self._accounts.holding_changed(holding)

    def account_changed(self, account: str) -> None:
        """Tell the account streams of changed figures."""
        if self._accounts is not None:
            self._accounts.account_changed(account)

    def group_changed(self, group: int) -> None:
        """Tell the display group subscriptions what a group shows."""
        if self._sidelines is not None:
            self._sidelines.group_changed(group)

    def send_bulletin(self, number: int) -> None:
        """Send a bulletin, where bulletins are wanted."""
        if self._sidelines is not None:
            self._sidelines.send_bulletin(number)

    def lose_data_to_competitor(self) -> None:
        """Stop the ticks with 10197."""
        if self._quotes is not None:
            self._quotes.block(10197, "No market data during competing live session")

    def regain_data(self) -> None:
        """Let the lines tick again."""
        if self._quotes is not None:
            self._quotes.unblock()

    def lines_on(self, con_id: int) -> int:
        """Count the market-data lines on one contract."""
        if self._quotes is None:
            return 0
        return sum(line.listing.id == con_id for line in self._quotes.lines.values())

    # -- the end

    def _lost(self, reason: Failure) -> None:
        self._end()

    def _end(self) -> None:
        self.is_open = False
        services, self._services = self._services, ()
        for service in services:
            service.close()
        self.endpoint.forget(self)


def _id_of(message: Message) -> int:
    for name in ("reqId", "orderId"):
        value = message.get(name)
        if isinstance(value, int):
            return value
    return -1
