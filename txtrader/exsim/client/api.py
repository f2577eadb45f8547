"""The simulator as objects: an API owns servers, a server has engines, an engine books and endpoints.

    with API() as api:
        server = api.create_server(seed=7, clock="virtual")
        engine = server.create_engine("e1")
        book = engine.create_book("IBM", symbol="IBM", tick="0.01")
        port = engine.create_endpoint("fix", protocol="fix42", properties={"sender_comp_id": "SIM"}).port

Every method is one request of the management protocol with the object's name filled in; `Server.request` is the plain
form of all of them.  A refused request raises ExsimError.  Prices and quantities go as text, int or Decimal, and come
back as text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from txtrader.exsim.client.connection import Connection
from txtrader.exsim.client.errors import ExsimError
from txtrader.exsim.client.starting import Process, start_process

__all__ = ["API", "Book", "Bot", "Endpoint", "Engine", "Message", "Order", "Quote", "Server", "Session"]


class API:
    """Owns servers; leaving it as a context manager, or `delete`, ends them all."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}

    def create_server(
        self,
        name: str = "default",
        *,
        start: str | None = None,
        token: str | None = None,
        managed: bool = False,
        clock: str = "real",
        seed: int = 1,
        plugins: Iterable[str] = (),
        **settings: Any,
    ) -> Server:
        """Start a server, and return it once it listens; `plugins` are modules from which classes may be loaded.

        `start` is `fork`, `spawn`, None for fork where that is safe, or HOST:PORT of one that runs, with its `token`.
        `clock` is `real` or `virtual`.  `settings`: start_time (ns UTC, of a virtual clock), tape_folder,
        data_folder (of the files of bots and sources).
        """
        if name in self.servers:
            raise ExsimError("already-exists", f"there is a server {name} already", "name")
        if clock not in ("real", "virtual"):
            raise ExsimError("invalid-argument", "clock: real or virtual", "clock")
        if start is not None and ":" in start:
            host, _, port = start.rpartition(":")
            server = Server(self, name, None, Connection(host, int(port), token or "", detach=True))
        else:
            if start not in (None, "fork", "spawn"):
                raise ExsimError("invalid-argument", "start: fork, spawn or HOST:PORT", "start")
            options = {"name": name, "seed": seed, "clock": clock, "managed": managed, "plugins": list(plugins)}
            process = start_process({**options, **settings}, start)
            try:
                server = Server(self, name, process, Connection("127.0.0.1", process.port, process.token))
            except BaseException:
                process.end()
                raise
        self.servers[name] = server
        return server

    def delete(self) -> None:
        """End all servers; it goes on after a failure, and raises the first one at the end."""
        first: Exception | None = None
        for server in list(self.servers.values()):
            try:
                server.delete()
            except Exception as error:  # noqa: BLE001  the others have to be ended, too
                first = first or error
        if first is not None:
            raise first

    def __enter__(self) -> API:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()


class Server:
    """One simulator."""

    def __init__(self, api: API, name: str, process: Process | None, connection: Connection) -> None:
        self.name = name
        self._api = api
        self._process = process
        self.connection = connection
        self.status: int | None = None

    @property
    def port(self) -> int:
        """The port of its control, 0 where it was not started from here."""
        return 0 if self._process is None else self._process.port

    @property
    def token(self) -> str:
        """What another client of its control has to say."""
        return "" if self._process is None else self._process.token

    @property
    def pid(self) -> int:
        return int(self.connection.hello["pid"])

    def request(self, type: str, /, **arguments: Any) -> dict[str, Any]:
        """Send any request, and return its answer."""
        return self.connection.request(type, **arguments)

    def delete(self) -> None:
        """End the server and forget it; one that does not leave by itself is killed.  Twice is harmless."""
        self._api.servers.pop(self.name, None)
        try:
            if self.connection.is_open and self._process is not None:
                self.request("shutdown")
        except ExsimError as error:
            if error.code not in ("closed", "timeout"):
                raise
        finally:
            self.connection.close()
            if self._process is not None and self.status is None:
                self.status = self._process.end()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()

    # -- the server

    def ping(self) -> dict[str, Any]:
        return self.request("ping")

    def reset(self, keep: Iterable[str] = ()) -> None:
        """Begin again; `keep` endpoints or engines, emptied."""
        self.request("reset", keep=list(keep))

    def run_script(self, requests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Execute requests as a configuration file holds them; raises at the first that fails."""
        answer = self.request("run_script", requests=[dict(one) for one in requests])
        if answer["index"] is not None:
            error = answer["replies"][-1]["error"]
            raise ExsimError(
                error["code"], f"request {answer['index']}: {error['message']}", error.get("field"), answer
            )
        return list(answer["replies"])

    def dump_script(self) -> list[dict[str, Any]]:
        return list(self.request("dump_script")["requests"])

    def get_events(
        self, after: int = 0, *, wait: float = 0.0, kinds: Iterable[str] | None = None, max: int = 1000
    ) -> dict[str, Any]:
        """Return `events`, `next` (to go on from) and `missed`."""
        wanted = None if kinds is None else list(kinds)
        return self.request("get_events", after=after, wait=wait, kinds=wanted, max=max)

    def get_tape(self, after: int = 0, max: int = 1000) -> dict[str, Any]:
        return self.request("get_tape", after=after, max=max)

    def save_tape(self, name: str) -> dict[str, Any]:
        return self.request("save_tape", name=name)

    def get_time(self) -> dict[str, Any]:
        return self.request("get_time")

    def advance_time(self, seconds: float | None = None, *, until: int | None = None) -> dict[str, Any]:
        """Move a virtual clock."""
        return self.request("advance_time", seconds=seconds, until=until)

    def set_property(self, name: str, value: bool) -> None:
        self.request("set_server_property", property_name=name, value=value)

    # -- what it has

    def create_engine(self, name: str, class_: str = "default", **properties: Any) -> Engine:
        self.request("create_engine", name=name, properties=properties, **{"class": class_})
        return Engine(self, name)

    def engine(self, name: str) -> Engine:
        """Return an engine that exists."""
        self.request("get_engine", engine=name)
        return Engine(self, name)

    def list_engines(self) -> list[dict[str, Any]]:
        return list(self.request("list_engines")["engines"])

    def create_endpoint(
        self, name: str, engine: str | None = None, protocol: str | None = None, **more: Any
    ) -> Endpoint:
        """Listen; `more`: port, interface, properties."""
        answer = self.request("create_endpoint", name=name, engine=engine, protocol=protocol, **more)
        return Endpoint(self, name, answer["port"])

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint that exists."""
        return Endpoint(self, name, self.request("get_endpoint", name=name)["port"])

    def session(self, name: str) -> Session:
        """Return a session that exists."""
        self.request("get_session", session=name)
        return Session(self, name)

    def create_message(self, name: str, message_type: str, **fields: Any) -> Message:
        """Make a message by hand."""
        self.request("create_message", message=name, message_type=message_type, fields=fields)
        return Message(self, name)

    def message(self, name: str) -> Message:
        """Return a message that is kept."""
        return Message(self, name)

    def list_orders(self, **filters: Any) -> list[dict[str, Any]]:
        return list(self.request("list_orders", **filters)["orders"])

    def get_order(self, order_id: str, engine: str | None = None) -> dict[str, Any]:
        """Read any order: of the control, or SESSION:CLIENT_ORDER_ID, or by the venue's number."""
        return self.request("get_order", order_id=order_id, engine=engine)


class _Named:
    """What a name on a server stands for."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} of {self.server.name}>"


class Engine(_Named):
    """A venue."""

    def get(self) -> dict[str, Any]:
        return self.server.request("get_engine", engine=self.name)

    def delete(self, force: bool = False) -> None:
        self.server.request("delete_engine", name=self.name, force=force)

    def set_property(self, name: str, value: Any) -> None:
        self.server.request("set_engine_property", engine_name=self.name, property_name=name, value=value)

    def get_property(self, name: str) -> Any:
        return self.server.request("get_engine_property", engine_name=self.name, property_name=name)["value"]

    def start(self) -> None:
        self.server.request("start_engine", engine=self.name)

    def stop(self) -> None:
        """Refuse new orders; cancels work."""
        self.server.request("stop_engine", engine=self.name)

    def set_phase(self, phase: str, book: str | None = None) -> list[str]:
        return list(self.server.request("set_phase", engine=self.name, book=book, phase=phase)["books"])

    def halt(self, book: str | None = None, **more: Any) -> None:
        self.server.request("halt", engine=self.name, book=book, **more)

    def resume(self, book: str | None = None, **more: Any) -> None:
        self.server.request("resume", engine=self.name, book=book, **more)

    def end_of_day(self) -> dict[str, Any]:
        return self.server.request("end_of_day", engine=self.name)

    def mass_cancel(self, **filters: Any) -> int:
        """Cancel all live orders that fit: owner, account, book, side."""
        return int(self.server.request("mass_cancel", engine=self.name, **filters)["cancelled"])

    def add_policy(
        self, name: str, rules: Iterable[Mapping[str, Any]] | None = None, *, class_: str | None = None, **more: Any
    ) -> None:
        """Put rules in force, or a ready-made policy; `more`: properties, scope, position."""
        given = None if rules is None else [dict(rule) for rule in rules]
        self.server.request("add_policy", name=name, engine=self.name, rules=given, **{"class": class_}, **more)

    def remove_policy(self, name: str) -> None:
        self.server.request("remove_policy", name=name, engine=self.name)

    def list_policies(self) -> list[dict[str, Any]]:
        """Return the policies in order, with how often each rule was seen and fired."""
        return list(self.server.request("list_policies", engine=self.name)["policies"])

    def create_book(self, name: str, *, symbol: str, **properties: Any) -> Book:
        """List an instrument: tick, lot, asset_class, currency ..."""
        self.server.request("create_book", name=name, engine=self.name, symbol=symbol, **properties)
        return Book(self, name)

    def book(self, name: str) -> Book:
        """Return a book that exists."""
        book = Book(self, name)
        book.get(level=1)
        return book

    def create_endpoint(self, name: str, protocol: str, **more: Any) -> Endpoint:
        """Listen for clients of this engine; what the server does not know of `more` is a property."""
        known = {key: more.pop(key) for key in ("port", "interface") if key in more}
        properties = {**more.pop("properties", {}), **more}
        return self.server.create_endpoint(name, self.name, protocol, properties=properties, **known)

    def process_message(self, message: str, reply: str) -> list[Message]:
        """Have a taken message processed as if it had just come; return the answers, none of which was sent."""
        answer = self.server.request("process_message", engine=self.name, message=message, reply=reply)
        return [Message(self.server, one["name"]) for one in answer["answers"]]


class Book:
    """One instrument of an engine, and its orders."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.server = engine.server
        self.name = name

    def get(self, *, depth: int = 10, level: int = 2) -> dict[str, Any]:
        """Read it: level 1 best prices, 2 levels, 3 orders."""
        return self.server.request("get_book", book=self.name, engine=self.engine.name, depth=depth, level=level)

    def set_property(self, name: str, value: Any) -> None:
        self.server.request("set_book_property", book=self.name, engine=self.engine.name, property=name, value=value)

    def delete(self) -> int:
        """Take it out; return how many orders that cancelled."""
        return int(self.server.request("delete_book", name=self.name, engine=self.engine.name)["orders_cancelled"])

    def set_price(self, **prices: Any) -> None:
        """Set bid, offer (with bid_quantity, offer_quantity), last (with last_quantity), reference."""
        self.server.request("set_price", book=self.name, engine=self.engine.name, **prices)

    def attach_pricing(self, source: str, **properties: Any) -> dict[str, Any]:
        """Follow a source: bars, quotes, trades, lobster, itch, walk ...; it stands still until `start_replay`."""
        where = {"book": self.name, "engine": self.engine.name}
        return self.server.request("attach_pricing", source=source, properties=properties, **where)

    def detach_pricing(self) -> None:
        self.server.request("detach_pricing", book=self.name, engine=self.engine.name)

    def start_replay(self, *, speed: Any = None, how: str = "timed") -> int:
        """Let the rows come; `how="at_once"` takes all of them now.  Return how many there were so far."""
        where = {"book": self.name, "engine": self.engine.name}
        return int(self.server.request("start_replay", speed=speed, how=how, **where)["done"])

    def step_replay(self, rows: int = 1) -> int:
        """Take so many rows now; return how many there were."""
        where = {"book": self.name, "engine": self.engine.name}
        return int(self.server.request("step_replay", rows=rows, **where)["done"])

    def stop_replay(self) -> int:
        """Let no more rows come; return how many there were."""
        return int(self.server.request("stop_replay", book=self.name, engine=self.engine.name)["done"])

    def create_bot(self, name: str, class_: str, **properties: Any) -> Bot:
        """Make a bot: auto_fill, noise, maker ...; it does not act before `start`."""
        where = {"book": self.name, "engine": self.engine.name, "class": class_}
        self.server.request("create_bot", name=name, properties=properties, **where)
        return Bot(self.server, name)

    def match_orders(self, order_a: str, order_b: str, **more: Any) -> list[str]:
        """Execute two live orders against each other; `more`: quantity, price, force.  Return the executions."""
        where = {"book_name": self.name, "engine": self.engine.name}
        return list(
            self.server.request("match_orders", order_a=order_a, order_b=order_b, **where, **more)["executions"]
        )

    def create_quote(self, quote_id: str, **properties: Any) -> Quote:
        """Draft a two-sided quote: bid_price, bid_quantity, offer_price, offer_quantity, last_look ..."""
        where = {"book_name": self.name, "engine": self.engine.name}
        self.server.request("create_quote", quote_id=quote_id, **where, **properties)
        return Quote(self.server, quote_id)

    def create_order(self, order_id: str, **properties: Any) -> Order:
        """Draft an order: side, type, price, quantity ...; `submit` sends it."""
        if "type" in properties:  # a frame's own type is the request's
            properties["order_type"] = properties.pop("type")
        self.server.request(
            "create_order", order_id=order_id, book_name=self.name, engine=self.engine.name, **properties
        )
        return Order(self.server, order_id)

    def buy(self, order_id: str, quantity: Any, price: Any = None, **properties: Any) -> dict[str, Any]:
        """Draft and send in one: at the market where there is no price."""
        return self._send(order_id, "buy", quantity, price, properties)

    def sell(self, order_id: str, quantity: Any, price: Any = None, **properties: Any) -> dict[str, Any]:
        """Draft and send in one: at the market where there is no price."""
        return self._send(order_id, "sell", quantity, price, properties)

    def _send(
        self, order_id: str, side: str, quantity: Any, price: Any, properties: Mapping[str, Any]
    ) -> dict[str, Any]:
        kind = {"type": "market"} if price is None else {"type": "limit", "price": price}
        given = {"side": side, "quantity": quantity, **kind, **properties}
        return self.create_order(order_id, **given).submit()


class Bot(_Named):
    """Seeded activity on one book."""

    def set_property(self, name: str, value: Any) -> None:
        self.server.request("set_bot_property", name=self.name, property_name=name, value=value)

    def start(self) -> None:
        self.server.request("start_bot", name=self.name)

    def stop(self) -> None:
        """Let it act no more; its orders are cancelled."""
        self.server.request("stop_bot", name=self.name)

    def delete(self) -> None:
        self.server.request("delete_bot", name=self.name)


class Order(_Named):
    """An order of the control."""

    def set_property(self, name: str, value: Any) -> None:
        """Change the draft; of a live order prices, quantities, what is shown, the peg: that is a replace."""
        self.server.request("set_order_property", order_id=self.name, name=name, value=value)

    def submit(self) -> dict[str, Any]:
        """Send it; return its state, its executions and its place in the queue."""
        return self.server.request("submit_order", order_id=self.name)

    def get(self) -> dict[str, Any]:
        return self.server.request("get_order", order_id=self.name)

    def cancel(self) -> dict[str, Any]:
        return self.server.request("cancel_order", order_id=self.name)

    def replace(self, **terms: Any) -> dict[str, Any]:
        """Change price, stop_price, quantity (the new total) ..."""
        return self.server.request("replace_order", order_id=self.name, **terms)

    def delete(self) -> str:
        """Cancel it if it is live, and forget its name; return the quantity that was cancelled."""
        return str(self.server.request("delete_order", order_id=self.name)["quantity"])


class Quote(_Named):
    """A two-sided quote of the control."""

    def set_property(self, name: str, value: Any) -> None:
        """Change what counts from the next submit on."""
        self.server.request("set_quote_property", quote_id=self.name, name=name, value=value)

    def submit(self) -> dict[str, Any]:
        """Post it, or replace the live one in one step; return the orders of its sides."""
        return self.server.request("submit_quote", quote_id=self.name)

    def get(self) -> dict[str, Any]:
        """Read it, with the orders that wait for its owner's word."""
        return self.server.request("get_quote", quote_id=self.name)

    def answer(self, request: int, accept: bool, **more: Any) -> None:
        """Accept or refuse what has met it (last look); `more`: quantity, price."""
        self.server.request("answer_quote_request", quote_id=self.name, request=request, accept=accept, **more)

    def delete(self) -> None:
        """Withdraw it, and forget its name."""
        self.server.request("delete_quote", quote_id=self.name)


class Endpoint(_Named):
    """Where clients connect."""

    def __init__(self, server: Server, name: str, port: int) -> None:
        super().__init__(server, name)
        self.port = port

    def get(self) -> dict[str, Any]:
        return self.server.request("get_endpoint", name=self.name)

    def set_engine(self, engine: str) -> int:
        """Give it its engine; return the port, 0 while it has no protocol."""
        self.port = self.server.request("set_endpoint_engine", endpoint=self.name, engine=engine)["port"]
        return self.port

    def set_protocol(self, protocol: str) -> int:
        """Give it its protocol; return the port, 0 while it has no engine."""
        self.port = self.server.request("set_endpoint_protocol", endpoint=self.name, protocol=protocol)["port"]
        return self.port

    def set_property(self, name: str, value: Any) -> None:
        self.server.request("set_endpoint_property", endpoint=self.name, property=name, value=value)

    def set_protocol_property(self, name: str, value: Any) -> None:
        self.server.request("set_protocol_property", endpoint_name=self.name, property_name=name, value=value)

    def accept_session(self, name: str, *, wait: float = 5.0) -> Session:
        """Take the connection that has waited longest; raises ExsimTimeout."""
        self.server.request("accept_session", endpoint=self.name, session=name, wait=wait)
        return Session(self.server, name)

    def sessions(self) -> list[dict[str, Any]]:
        return list(self.server.request("list_sessions", endpoint=self.name)["sessions"])

    def pause(self, how: str = "refuse") -> None:
        """Let nobody in (refuse), or say nothing (silent)."""
        self.server.request("pause_endpoint", name=self.name, how=how)

    def resume(self) -> None:
        self.server.request("resume_endpoint", name=self.name)

    def delete(self, *, keep_sessions: bool = False) -> list[str]:
        """Stop listening; return the names of the sessions that were closed."""
        answer = self.server.request("delete_endpoint", name=self.name, keep_sessions=keep_sessions)
        return list(answer["sessions"])


class Session(_Named):
    """One client's connection."""

    def get(self) -> dict[str, Any]:
        return self.server.request("get_session", session=self.name)

    def set_property(self, name: str, value: Any) -> None:
        self.server.request("set_session_property", session=self.name, property=name, value=value)

    def get_message(self, name: str, *, wait: float = 5.0, types: Iterable[str] | None = None) -> Message:
        """Take the oldest message out of the queue, and keep it under a name; raises ExsimTimeout."""
        wanted = None if types is None else list(types)
        answer = self.server.request("get_session_message", session=self.name, message=name, wait=wait, types=wanted)
        return Message(self.server, name, answer)

    def peek_messages(self, max: int = 100) -> list[dict[str, Any]]:
        return list(self.server.request("peek_session_messages", session=self.name, max=max)["messages"])

    def send_message(self, message: str, *, raw: bool = False) -> dict[str, Any]:
        """Send a kept message; `raw` lets its fields override number, length and checksum."""
        return self.server.request("send_session_message", session=self.name, message=message, raw=raw)

    def send_bytes(self, data: bytes) -> None:
        """Send anything at all."""
        encoded = base64.b64encode(data).decode()
        self.server.request("send_session_bytes", session=self.name, bytes=encoded)

    def close(self, how: str = "logout") -> None:
        """End it: logout, close, abort, half; or freeze it."""
        self.server.request("close_session", session=self.name, how=how)

    def thaw(self) -> None:
        self.server.request("thaw_session", session=self.name)

    def delete(self) -> None:
        self.server.request("delete_session", session=self.name)


class Message(_Named):
    """A message that the server keeps."""

    def __init__(self, server: Server, name: str, known: Mapping[str, Any] | None = None) -> None:
        super().__init__(server, name)
        self._known = known

    @property
    def content(self) -> Mapping[str, Any]:
        """Type, fields, raw, time and sequence, as they were when they were first read."""
        if self._known is None:
            self._known = self.get()
        return self._known

    @property
    def type(self) -> str:
        return str(self.content["type"])

    @property
    def fields(self) -> dict[str, Any]:
        return dict(self.content["fields"])

    @property
    def raw(self) -> bytes:
        """The bytes as they came, or left."""
        return base64.b64decode(self.content["raw"])

    def get(self) -> dict[str, Any]:
        """Read it anew."""
        self._known = self.server.request("get_message", message=self.name)
        return dict(self._known)

    def set_property(self, name: str, value: Any) -> None:
        """Change a field; None takes it out."""
        self.server.request("set_message_property", message=self.name, name=name, value=value)
        self._known = None

    def delete(self) -> None:
        self.server.request("delete_message", message=self.name)
