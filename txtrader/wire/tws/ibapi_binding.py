"""The installed `ibapi`, whatever its generation, as an encoder of requests and a decoder of frames.

The package is used as it is and never shipped by us.  Its threads and its socket are not used: `connect`, `run` and
its reader are never called.  It is told that it is connected, is given an object that takes its finished frames, and
its decoder is handed whole frames; its callbacks become events.  What differs between 9.81.1 and the 10.x line (how
`Decoder.interpret` is called, the arguments of a few requests, the parameters of callbacks) is found by looking at
signatures, once for each process.

Importing this module imports nothing of the package; `Binding.load` does.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from txtrader.errors import BrokerUnavailable, ConfigError, InvalidArgument, LocalProtocolError, TxTraderError
from txtrader.wire.tws.ibapi_events import EventMaker
from txtrader.wire.tws.message import Message

__all__ = ["Binding", "BoundClient", "load_binding"]

PROTOBUF_SINCE = 201
"""From this server version message ids are four raw bytes."""
PROTOBUF_OFFSET = 200
"""Added to the id of a message whose body is protobuf."""

NOT_CONNECTED = 504
BAD_CHARACTERS = 579

_PLUMBING = frozenset(
    "connect disconnect run reset sendMsg sendMsgProtoBuf startApi setConnState setConnectionOptions setConnectOptions"
    " setOptionalCapabilities serverVersion twsConnectionTime isConnected keyboardInterrupt keyboardInterruptHard"
    " msgLoopTmo msgLoopRec logRequest useProtoBuf".split()
)
_PLUMBING_PREFIXES = ("check", "validate", "_")
_WRAPPER_PLUMBING = frozenset({"logAnswer", "connectAck", "connectionClosed", "winError"})

# Where one generation calls a parameter otherwise than our messages do.
_PARAMETER_NAMES = {"tickerId": "reqId", "requestId": "reqId", "conid": "conId", "fADataType": "faData"}


class _ExactFloat(float):
    """A float that writes itself as the decimal it was made from: `0.00001`, not `1e-05`."""

    _text: str

    def __new__(cls, value: Decimal | int | float | str) -> _ExactFloat:
        made = super().__new__(cls, value)
        made._text = format(value, "f") if isinstance(value, Decimal) else str(value)
        return made

    def __str__(self) -> str:
        return self._text

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else self._text

    __repr__ = __str__


def _to_package(value: Any, default: Any) -> Any:
    """Turn one of our values into what the package keeps in an attribute whose default is `default`."""
    if isinstance(default, bool):
        return bool(value)
    if isinstance(default, Decimal):
        return Decimal(value)
    if isinstance(value, Decimal):
        if isinstance(default, int) and value == value.to_integral_value():
            return int(value)
        return _ExactFloat(value)
    if isinstance(default, float) and isinstance(value, int):
        return _ExactFloat(value)
    return value


class Binding:
    """The package as it was found: its versions, and how it wants to be called."""

    def __init__(self) -> None:
        try:
            self._client = importlib.import_module("ibapi.client")
            self._wrapper = importlib.import_module("ibapi.wrapper")
            self._decoder = importlib.import_module("ibapi.decoder")
            versions = importlib.import_module("ibapi.server_versions")
            package = importlib.import_module("ibapi")
        except ImportError as error:
            raise ConfigError(
                f"the Python package ibapi cannot be used ({error}): install Interactive Brokers' TWS API, for example"
                " `pip install ibapi`, which is fetched from its own publisher under its own licence"
            ) from error
        # At INFO the package formats every message; its complaints are counted by us as frames that gave no event.
        logger = logging.getLogger("ibapi")
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
        logger.addHandler(logging.NullHandler())
        self.version_text = str(package.get_version_string())
        self.min_version = int(getattr(self._client, "MIN_CLIENT_VER", versions.__dict__.get("MIN_CLIENT_VER", 100)))
        self.max_version = int(getattr(self._client, "MAX_CLIENT_VER", versions.__dict__.get("MAX_CLIENT_VER", 0)))
        decoder = self._decoder.Decoder
        self.takes_message_id = len(inspect.signature(decoder.interpret).parameters) > 2
        self.known_ids = frozenset(decoder.msgId2handleInfo)
        self.known_protobuf_ids = frozenset(getattr(decoder, "msgId2handleInfoProtoBuf", ()))
        self.requests = {
            name: inspect.signature(method)
            for name, method in inspect.getmembers(self._client.EClient, inspect.isfunction)
            if name not in _PLUMBING and not name.startswith(_PLUMBING_PREFIXES) and not name.endswith("ProtoBuf")
        }
        reported = inspect.signature(self._wrapper.EWrapper.error).parameters
        self.error_parameters = tuple(name for name in reported if name != "self")
        self._callbacks = {
            name: tuple(inspect.signature(method).parameters)[1:]
            for name, method in inspect.getmembers(self._wrapper.EWrapper, inspect.isfunction)
            if name not in _WRAPPER_PLUMBING and not name.startswith("_") and not name.endswith("ProtoBuf")
        }

    @property
    def is_old(self) -> bool:
        """Tell whether real TWS trims or refuses fractional data for this generation (its versions below 163)."""
        return self.max_version < 163

    def make_wrapper(self, maker: EventMaker, on_error: Callable[..., None]) -> Any:
        """Return a wrapper of the package whose every callback makes an event."""
        namespace: dict[str, Any] = {}
        for name, parameters in self._callbacks.items():
            target = on_error if name == "error" else maker.callback(name, parameters)
            namespace[name] = _as_method(target)
        namespace["logAnswer"] = _as_method(_ignore)
        return type("_Wrapper", (self._wrapper.EWrapper,), namespace)()

    def make_client(self, wrapper: Any, connection: Any) -> Any:
        """Return a client of the package that writes to `connection`."""
        client = self._client.EClient(wrapper)
        client.conn = connection
        return client

    def make_decoder(self, wrapper: Any, version: int) -> Any:
        """Return the package's decoder for a server version."""
        return self._decoder.Decoder(wrapper, version)

    def connected_state(self) -> Any:
        """Return the package's mark of a connected client."""
        return self._client.EClient.CONNECTED

    # --- requests ---

    def arguments(self, message: Message) -> list[Any]:
        """Build the arguments of a request from the flat fields of a message.

        Raises LocalProtocolError for a request that this generation does not have, or a field of a wrong kind.
        """
        signature = self.requests.get(message.name)
        if signature is None:
            raise LocalProtocolError(
                f"ibapi {self.version_text} has no request {message.name}", reason="unsupported", path=message.name
            )
        fields = message.fields
        made: list[Any] = []
        try:
            for name, parameter in list(signature.parameters.items())[1:]:
                made.append(self._argument(name, parameter.annotation, fields))
        except (TypeError, ValueError, ArithmeticError, KeyError) as error:
            raise LocalProtocolError(f"{message.name}: {error}") from error
        return made

    def _argument(self, name: str, kind: Any, fields: Mapping[str, Any]) -> Any:
        name = name if name in fields else _PARAMETER_NAMES.get(name, name)
        if inspect.isclass(kind) and kind.__module__.startswith("ibapi.") and kind.__init__ is not object.__init__:
            return self._fill(kind(), fields)
        value = fields.get(name)
        if kind is list:
            return self._tags(value)
        if value is None:
            return {int: 0, bool: False, float: 0.0, str: ""}.get(kind, "")
        if kind is float:
            return _ExactFloat(value)
        return bool(value) if kind is bool else value

    def _fill(self, target: Any, fields: Mapping[str, Any]) -> Any:
        """Set the attributes of an object of the package that the message carries."""
        for name, default in list(vars(target).items()):
            value = fields.get(name)
            if name == "softDollarTier":
                if fields.get("softDollarTierName") or fields.get("softDollarTierValue"):
                    default.name = fields.get("softDollarTierName") or ""
                    default.val = fields.get("softDollarTierValue") or ""
            elif value is None:
                continue
            elif name in _NESTED:
                module, kind = _NESTED[name]
                setattr(target, name, self._list(value, module, kind))
            elif name == "conditions":
                target.conditions = [self._condition(row) for row in value]
            elif name == "deltaNeutralContract":
                made = importlib.import_module("ibapi.contract").DeltaNeutralContract()
                target.deltaNeutralContract = self._fill(made, value)
            elif name in ("algoParams", "smartComboRoutingParams", "orderMiscOptions"):
                setattr(target, name, self._tags(value))
            else:
                setattr(target, name, _to_package(value, default))
        return target

    def _list(self, rows: Any, module: str, kind: str) -> list[Any]:
        make = getattr(importlib.import_module(module), kind)
        return [self._fill(make(), row) for row in rows]

    def _condition(self, row: Mapping[str, Any]) -> Any:
        made = importlib.import_module("ibapi.order_condition").Create(row["condType"])
        if made is None:
            raise ValueError(f"no condition of type {row['condType']}")
        for name, value in row.items():
            if name != "condType":
                setattr(made, name, _ExactFloat(value) if isinstance(value, Decimal) else value)
        return made

    def _tags(self, value: Any) -> list[Any]:
        """Read tags: rows of tag and value, or the wire's own `tag=value;tag=value;`."""
        if not value:
            return []
        if isinstance(value, str):
            pairs = [part.partition("=") for part in value.split(";") if part]
            value = [{"tag": tag, "value": text} for tag, _, text in pairs]
        make = importlib.import_module("ibapi.tag_value").TagValue
        return [make(row["tag"], row["value"]) for row in value]


_NESTED = {
    "comboLegs": ("ibapi.contract", "ComboLeg"),
    "orderComboLegs": ("ibapi.order", "OrderComboLeg"),
}


def _ignore(*_: Any) -> None:
    """Take a callback that says nothing."""


def _as_method(target: Callable[..., None]) -> Callable[..., None]:
    def method(_self: Any, *values: Any) -> None:
        target(*values)

    return method


@functools.cache
def load_binding() -> Binding:
    """Look at the installed package, once; raises ConfigError where there is none."""
    return Binding()


class _FrameSink:
    """What the package takes for its connection: it collects finished frames."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def isConnected(self) -> bool:
        """Say yes: whoever calls has checked."""
        return True

    def sendMsg(self, data: bytes) -> int:
        """Take one finished frame, length included."""
        self.frames.append(data)
        return len(data)

    def disconnect(self) -> None:
        """Nothing to close here."""


class BoundClient:
    """One connection's encoder and decoder on the package; `emit` takes the events of decoded frames."""

    def __init__(
        self,
        binding: Binding,
        emit: Callable[[object], None],
        *,
        client_id: int,
        version: int,
        connection_time: str,
        optional_capabilities: str = "",
    ) -> None:
        self._binding = binding
        self._emit = emit
        self._maker = EventMaker(emit)
        self._sink = _FrameSink()
        self._local_errors: list[tuple[int, str]] | None = None
        wrapper = binding.make_wrapper(self._maker, self._on_error)
        self._client = client = binding.make_client(wrapper, self._sink)
        client.clientId = client_id
        client.optCapab = optional_capabilities
        client.serverVersion_ = version
        client.connTime = connection_time
        client.setConnState(binding.connected_state())
        self._decoder = binding.make_decoder(wrapper, version)
        self._is_raw = version >= PROTOBUF_SINCE

    def start_api(self) -> bytes:
        """Return the frame that logs in."""
        return self._call("startApi", [])

    def encode(self, message: Message) -> bytes:
        """Return the frame of a request; raises what the package says against it as an error of ours."""
        return self._call(message.name, self._binding.arguments(message))

    def decode(self, body: bytes) -> str | None:
        """Decode one frame body to events; returns why it could not be, None where it could.

        An exception out of the package's decoder concerns this frame alone.
        """
        if self._is_raw:
            if len(body) < 4:
                return "a frame shorter than its message id"
            message_id = int.from_bytes(body[:4], "big")
            if message_id > PROTOBUF_OFFSET:
                message_id -= PROTOBUF_OFFSET
                if message_id not in self._binding.known_protobuf_ids:
                    return f"unknown message id {message_id}"
                return self._guarded(self._decoder.processProtoBuf, body[4:], message_id)
            fields = tuple(body[4:].split(b"\0")[:-1])
        else:
            id_text, _, rest = body.partition(b"\0")
            if not id_text.isdigit() or len(id_text) > 9:
                return "a frame without a message id"
            message_id = int(id_text)
            fields = tuple((rest if self._binding.takes_message_id else body).split(b"\0")[:-1])
        if message_id not in self._binding.known_ids:
            return f"unknown message id {message_id}"
        if self._binding.takes_message_id:
            return self._guarded(self._decoder.interpret, fields, message_id)
        return self._guarded(self._decoder.interpret, fields)

    def _guarded(self, decode: Callable[..., None], *values: Any) -> str | None:
        try:
            decode(*values)
        except Exception as error:  # noqa: BLE001
            # The package's decoder raises anything at all for a bad field, even out of its own report of it.  The
            # caller gets the reason, counts it and goes on: the frame is over, the stream is in step.
            return f"{type(error).__name__}: {error}"[:200]
        finally:
            self._maker.close_frame()
        return None

    def _call(self, name: str, arguments: list[Any]) -> bytes:
        found: list[tuple[int, str]] = []
        frames: list[bytes] = []
        self._local_errors = found
        self._sink.frames = frames
        try:
            getattr(self._client, name)(*arguments)
        except Exception as error:
            # The package raises its own ClientException, NotImplementedError or plain TypeErrors: all say that this
            # request cannot be written.
            raise LocalProtocolError(f"{name}: {getattr(error, 'msg', '') or error}") from error
        finally:
            self._local_errors = None
        if found:
            raise _local_error(name, *found[0])
        if not frames:
            raise LocalProtocolError(f"{name}: the package wrote nothing")
        return b"".join(frames)

    def _on_error(self, *values: Any) -> None:
        fields = dict(zip(self._binding.error_parameters, values, strict=False))
        if self._local_errors is not None:
            self._local_errors.append((int(fields.get("errorCode") or 0), str(fields.get("errorString") or "")))
            return
        self._emit(
            Message(
                "error",
                {
                    "reqId": fields.get("reqId"),
                    "errorTime": fields.get("errorTime") or None,
                    "errorCode": fields.get("errorCode"),
                    "errorString": fields.get("errorString") or "",
                    "advancedOrderRejectJson": fields.get("advancedOrderRejectJson") or None,
                },
            )
        )


def _local_error(name: str, code: int, text: str) -> TxTraderError:
    """Say in our errors what the package says against a request (its codes 501 to 593)."""
    if code == NOT_CONNECTED:
        return BrokerUnavailable(f"{name}: not connected", broker_code=code)
    if code == BAD_CHARACTERS:
        return InvalidArgument(f"{name}: characters that TWS does not take", broker_code=code)
    if code == 503:
        return InvalidArgument(f"{name}: {text}", reason="unsupported", broker_code=code)
    return LocalProtocolError(f"{name}: {text}", broker_code=code)
