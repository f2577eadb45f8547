"""Every error of txTrader, each with a stable code; who is to blame is in the type.

`RequestError` is the caller's fault, `BrokerError` the broker's (its code and words are kept), `LinkError`
nobody's, `LocalProtocolError` ours, `RemoteProtocolError` the peer's.  The codes and their HTTP and JSON-RPC
numbers are the surface that clients rely on; `http` and `number` stand beside the code so that no front end
keeps a table of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "BY_CODE",
    "BrokerError",
    "BrokerRejected",
    "BrokerUnavailable",
    "ConfigError",
    "DuplicateSuspected",
    "EpochMismatch",
    "Forbidden",
    "GatewayUnavailable",
    "IdempotencyKeyReuse",
    "InternalError",
    "InvalidArgument",
    "JournalUnavailable",
    "KillSwitch",
    "LinkError",
    "LocalProtocolError",
    "NotFound",
    "NotReady",
    "OutcomeUnknown",
    "ReconcileFailed",
    "RemoteProtocolError",
    "RequestError",
    "RiskDenied",
    "SlowConsumer",
    "Throttled",
    "TooLarge",
    "TxTraderError",
    "Unauthenticated",
]


class TxTraderError(Exception):
    """The base of every error that a caller may see.

    `message` is one printable line for a person.  The optional parts are named in the surface: `reason` (a stable
    word), `path` (the argument at fault), `candidates` (what an ambiguous name may mean), `retry_after` (seconds),
    `incident` (what to quote to the operator), `order` (the order record, where one exists, as builtins).
    """

    code: ClassVar[str] = "internal"
    http: ClassVar[int] = 500
    number: ClassVar[int] = -32603

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        path: str | None = None,
        candidates: Sequence[Any] | None = None,
        retry_after: float | None = None,
        incident: str | None = None,
        order: Mapping[str, Any] | None = None,
        broker_code: int | str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.path = path
        self.candidates = candidates
        self.retry_after = retry_after
        self.incident = incident
        self.order = order
        self.broker_code = broker_code

    def to_dict(self) -> dict[str, Any]:
        """Render the error as the surface shows it: `code`, `message` and the parts that apply."""
        shown: dict[str, Any] = {"code": self.code, "message": self.message}
        for name in ("reason", "path", "candidates", "retry_after", "incident", "order", "broker_code"):
            value = getattr(self, name)
            if value is not None:
                shown[name] = value
        return shown

    @property
    def text(self) -> str:
        """The words of the error: `path: message` where an argument is at fault, else the message."""
        return f"{self.path}: {self.message}" if self.path else self.message


class RequestError(TxTraderError):
    """The caller asked for something that cannot be done as asked."""

    code, http, number = "invalid-argument", 400, -32602


class InvalidArgument(RequestError):
    """An argument has the wrong form, value or meaning; `path` names it."""


class Unauthenticated(RequestError):
    """Nobody is logged in, or the credentials are wrong."""

    code, http, number = "unauthenticated", 401, -32001


class Forbidden(RequestError):
    """The caller's role does not have this operation."""

    code, http, number = "forbidden", 403, -32003


class NotFound(RequestError):
    """The id, account or operation is unknown, or belongs to somebody else: one answer for both."""

    code, http, number = "not-found", 404, -32004


class TooLarge(RequestError):
    """The request or its answer is over a fixed limit."""

    code, http, number = "too-large", 413, -32013


class Throttled(RequestError):
    """Too much at once; `retry_after` says in how many seconds it may go."""

    code, http, number = "throttled", 429, -32029


class DuplicateSuspected(RequestError):
    """An order like this one was made a moment ago; `force` lets it pass."""

    code, http, number = "duplicate-suspected", 409, -32010


class EpochMismatch(RequestError):
    """The resume point is of another journal, beyond the head, or has the wrong tag."""

    code, http, number = "epoch-mismatch", 409, -32011


class IdempotencyKeyReuse(RequestError):
    """The client order id is bound to an order with other parameters."""

    code, http, number = "idempotency-key-reuse", 422, -32020


class RiskDenied(RequestError):
    """A limit forbids the order; `reason` names it."""

    code, http, number = "risk-denied", 422, -32021


class KillSwitch(RequestError):
    """A kill switch is on."""

    code, http, number = "kill-switch", 422, -32022


class BrokerError(TxTraderError):
    """The broker said no; `broker_code` and the message are its own."""

    code, http, number = "broker-rejected", 422, -32023


class BrokerRejected(BrokerError):
    """The broker refused the order or the request."""


class LinkError(TxTraderError):
    """Nobody's fault: the link, or what must come before, is not there."""

    code, http, number = "broker-unavailable", 503, -32052


class BrokerUnavailable(LinkError):
    """There is no working broker session, or it did not answer in time."""


class NotReady(LinkError):
    """The gateway has not reconciled with the broker yet."""

    code, http, number = "not-ready", 503, -32050


class ReconcileFailed(LinkError):
    """The broker's positions are not ours; an admin must accept them."""

    code, http, number = "reconcile-failed", 503, -32051


class GatewayUnavailable(LinkError):
    """A client could not reach the gateway, or lost it before the answer.  Raised by clients, never by the gateway."""

    code, http, number = "gateway-unavailable", 503, -32055


class JournalUnavailable(TxTraderError):
    """The journal cannot be written, so nothing may leave."""

    code, http, number = "journal-unavailable", 503, -32053


class InternalError(TxTraderError):
    """A bug of ours; the `incident` id finds it in the log."""


class SlowConsumer(TxTraderError):
    """The client did not read fast enough and is being closed; it may resume."""

    code, http, number = "slow-consumer", 503, -32054


class OutcomeUnknown(TxTraderError):
    """The request left and was not answered in time.  Inside the gateway only: front ends render the record."""

    code, http, number = "unknown", 202, -32060


class ConfigError(TxTraderError):
    """A setting is wrong; the daemon does not start.  `path` is the setting's name."""

    code, http, number = "config", 500, -32061


class LocalProtocolError(TxTraderError):
    """We asked a wire session for something that it must not send."""


class RemoteProtocolError(TxTraderError):
    """The peer broke its protocol; it is dropped."""


def _all_errors(cls: type[TxTraderError]) -> list[type[TxTraderError]]:
    found = [cls]
    for sub in cls.__subclasses__():
        found.extend(_all_errors(sub))
    return found


_PREFERRED: tuple[type[TxTraderError], ...] = (InvalidArgument, BrokerRejected, BrokerUnavailable, InternalError)

# The first class with a code wins: the concrete one before the base that shares its code.
BY_CODE: dict[str, type[TxTraderError]] = {}
for _cls in (*_PREFERRED, *_all_errors(TxTraderError)):
    BY_CODE.setdefault(_cls.code, _cls)
"""The error class for each stable code: how a client turns an answer back into an exception."""
