"""XMLRPC: every operation as a method, with introspection from the declarations.

    -> POST /RPC2, Basic authentication, <methodCall>limit_order("IBM", 124.5, 100, {"tif": "GTC"})</methodCall>
    <- <methodResponse> the order record, or a fault: number, `CODE: message [order=ID]`

Options follow as one struct at the end.  There is no `system.multicall`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import InternalError, InvalidArgument, NotFound, TxTraderError
from txtrader.frontends.base import Shared
from txtrader.frontends.http_login import Login
from txtrader.frontends.lines_legacy import legacy_record
from txtrader.frontends.shapes import positional_shape
from txtrader.frontends.text import error_text, printable
from txtrader.frontends.xmlrpc_reader import Call, read_call
from txtrader.frontends.xmlrpc_writer import Price, write_fault, write_response
from txtrader.gateway.commands import Command, bind
from txtrader.model.operations import OPERATIONS, Argument, Operation
from txtrader.net.web import Leaf, WebRequest, answer, problem

__all__ = ["XmlRpcResource", "help_of", "method_names", "signatures_of"]

_SYSTEM: dict[str, tuple[list[list[str]], str]] = {
    "system.listMethods": ([["array"]], "system.listMethods(): List the methods."),
    "system.methodHelp": ([["string", "string"]], "system.methodHelp(name): Describe a method."),
    "system.methodSignature": (
        [["array", "string"]],
        "system.methodSignature(name): List the accepted forms of a method: the type of the result, then those of the "
        "arguments. A decimal may be an int, a double without exponent, or a string.",
    ),
}
_TYPES: dict[str, str] = {
    "price": "double",
    "quantity": "double",
    "signed_quantity": "double",
    "boolean": "boolean",
    "integer": "int",
    "limit": "int",
    "fields": "array",
    "order": "struct",
    "changes": "struct",
    "bracket": "struct",
}
_ALSO: dict[str, str] = {"price": "string", "quantity": "string", "signed_quantity": "string", "limit": "string"}
_ALSO |= {"integer": "string", "fields": "string", "route": "struct", "period": "int"}
_UNKNOWN_METHOD = -32601


def method_names() -> list[str]:
    """Return the names of all methods."""
    return [*OPERATIONS, *_SYSTEM]


def help_of(name: str) -> str:
    """Return the help text of a method.  Raises NotFound."""
    if name in _SYSTEM:
        return _SYSTEM[name][1]
    return _operation(name).help


def signatures_of(name: str) -> list[list[str]]:
    """Return every accepted form of a method.  Raises NotFound."""
    if name in _SYSTEM:
        return _SYSTEM[name][0]
    operation = _operation(name)
    result = _result_type(operation)
    required = [argument for argument in operation.arguments if argument.required]
    forms: list[list[str]] = []
    for count in range(len(required), len(operation.arguments) + 1):
        for arguments in _spellings(operation.arguments[:count]):
            forms.append([result, *arguments])
            if operation.options or count < len(operation.arguments):
                forms.append([result, *arguments, "struct"])
    return forms


def _spellings(arguments: Sequence[Argument]) -> list[list[str]]:
    """Return the types that these arguments may have together: the usual ones, then each with others that it takes.

    Numbers are strings all together or not at all: an order of three would have eight forms.
    """
    usual = [_TYPES.get(argument.kind, "string") for argument in arguments]
    numbers = [
        _ALSO[argument.kind] if kind in ("double", "int") else kind
        for argument, kind in zip(arguments, usual, strict=True)
    ]
    forms = [usual] if numbers == usual else [usual, numbers]
    for index, argument in enumerate(arguments):
        if argument.kind in _ALSO and usual[index] not in ("double", "int"):
            forms += [[*form[:index], _ALSO[argument.kind], *form[index + 1 :]] for form in forms]
    return forms


def _result_type(operation: Operation) -> str:
    result = operation.result
    if operation.name in ("version", "uptime", "time", "status"):
        return "string"
    if operation.name == "query_bars" or result.startswith("["):
        return "array"
    return "boolean" if result.startswith("true") else "struct"


def _operation(name: str) -> Operation:
    operation = OPERATIONS.get(name)
    if operation is None:
        raise NotFound("no such method", path="name")
    return operation


def _xmlrpc_shape(name: str, result: Any) -> Any:
    """Return the answer as XMLRPC shows it: as on lines, and the prices of bars are prices."""
    shaped = positional_shape(name, result)
    if name == "query_bars":
        return [shaped[0], *([row[0], *map(Price, row[1:5]), row[5]] for row in shaped[1:])]
    return shaped


class XmlRpcResource(Leaf):
    """The resource of `/` and `/RPC2`."""

    _log = Logger()

    def __init__(self, shared: Shared, login: Login) -> None:
        super().__init__(POST=self._post)
        self._shared = shared
        self._gateway = shared.gateway
        self._login = login
        self._has_error_structs = bool(shared.settings.xmlrpc_error_structs)

    def _post(self, request: WebRequest) -> None:
        kind = (request.getHeader(b"Content-Type") or b"").partition(b";")[0].strip().lower()
        if kind != b"text/xml":
            problem(request, 415, "invalid-argument", "a call is text/xml")
            return
        self._login.require(request, self._call)

    def _call(self, request: WebRequest) -> None:
        """Run the call of a user who is logged in."""
        assert request.content is not None
        call: Call | None = None
        command: Command | None = None
        credential = request.credential
        try:
            call = read_call(request.content.read())
            operation = OPERATIONS.get(call.method)
            credential.limiter.check(operation)
            if operation is None:
                self._system(request, call)
                return
            command = credential.complete(bind(call.method, call.arguments), request.channel)
            credential.begin()
        except TxTraderError as error:
            self._fail(request, call.method if call else None, error)
            return
        work = self._gateway.execute(credential.session, command)
        work.addCallback(self._show, request, command)
        work.addErrback(self._failed, request, command)
        work.addBoth(lambda _: credential.end())

    def _system(self, request: WebRequest, call: Call) -> None:
        """Answer introspection; raises InvalidArgument, NotFound."""
        if call.method not in _SYSTEM:
            self._answer(
                request, call.method, "unknown method", write_fault(_UNKNOWN_METHOD, "not-found: no such method")
            )
            return
        if call.method == "system.listMethods":
            if call.arguments:
                raise InvalidArgument("usage: system.listMethods()")
            result: Any = method_names()
        else:
            if len(call.arguments) != 1 or not isinstance(call.arguments[0], str):
                raise InvalidArgument(f"usage: {call.method}(name)")
            describe: Callable[[str], Any] = help_of if call.method == "system.methodHelp" else signatures_of
            result = describe(call.arguments[0])
        self._answer(request, call.method, "done", write_response(result))

    def _show(self, result: Any, request: WebRequest, command: Command) -> None:
        name = command.operation.name
        if name == "set_account" and result is True:
            request.credential.note_account(request.channel, command.arguments["account"])
        elif name == "whoami":
            result = {**result, "account": request.credential.shown_account(request.channel)}
        shaped = _xmlrpc_shape(name, result)
        if self._has_error_structs and command.operation.group in ("trade", "cancel"):
            shaped = legacy_record(shaped)
        self._answer(request, name, "done", write_response(shaped))

    def _failed(self, failure: Failure, request: WebRequest, command: Command) -> None:
        error = failure.value
        if not isinstance(error, TxTraderError):
            self._log.failure("showing a result", failure=failure)
            error = InternalError("an internal error")
        self._fail(request, command.operation.name, error)

    def _fail(self, request: WebRequest, name: str | None, error: TxTraderError) -> None:
        operation = OPERATIONS.get(name or "")
        if self._has_error_structs and operation is not None and operation.group == "trade":
            body = write_response(_error_struct(error))
        else:
            body = write_fault(error.number, error_text(error))
        self._answer(request, name, error.code, body)

    def _answer(self, request: WebRequest, name: str | None, outcome: str, body: bytes) -> None:
        if self._shared.settings.log_http_requests:
            self._log.info(
                "http: {user} {name}: {outcome}",
                user=request.credential.session.user.name,
                name=printable((name or "no call")[:64]),
                outcome=outcome,
            )
        if self._shared.settings.log_http_responses:
            shown = body[: self._shared.settings.log_response_truncate].decode("utf-8", "replace")
            self._log.info("http: answered {shown}", shown=printable(shown))
        answer(request, 200, body, "text/xml")


def _error_struct(error: TxTraderError) -> dict[str, Any]:
    """Return a failed order call as programs of 2015 expect it."""
    return {
        "status": "Error",
        "errorMsg": error_text(error),
        "errorCode": error.broker_code if error.broker_code is not None else error.number,
        "id": error.order.get("id") if error.order else None,
        "code": error.code,
    }
