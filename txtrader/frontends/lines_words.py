"""The words of the line protocol: which operation each calls, how it is used, and the form of its reply."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.frontends.jsontext import parse_sequence
from txtrader.gateway.commands import Command, bind
from txtrader.model.operations import OPERATIONS, Argument, Operation

__all__ = ["LOCAL_WORDS", "WORDS", "Call", "Word", "command_words", "parse_call", "usage_error"]


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A word of surface 3.3.

    `arguments` are for the usage line, a name in brackets may be missing; `reply` names the form in
    `txtrader.frontends.lines_replies`; `kind` is the word after the channel word, for replies that have one.
    """

    name: str
    operation: str
    arguments: tuple[str, ...] = ()
    reply: str
    kind: str = ""
    takes_options: bool = False
    takes_text: bool = False

    @property
    def usage(self) -> str:
        """The usage line."""
        options = ("[{options}]",) if self.takes_options else ()
        return " ".join((self.name, *self.arguments, *options))


def _w(name: str, operation: str, arguments: str, reply: str, kind: str = "", **more: Any) -> Word:
    return Word(name=name, operation=operation, arguments=tuple(arguments.split()), reply=reply, kind=kind, **more)


def _order(name: str, operation: str, arguments: str, kind: str = "order") -> Word:
    return _w(name, operation, arguments, "record", kind, takes_options=True)


WORDS: dict[str, Word] = {
    word.name: word
    for word in (
        _w("status", "status", "[MODE]", "word", "status"),
        _w("accounts", "query_accounts", "", "list", "accounts"),
        _w("symbols", "query_symbols", "", "list", "symbols"),
        _w("setaccount", "set_account", "ACCOUNT", "current_account"),
        _w("add", "add_symbol", "SYMBOL", "added"),
        _w("del", "del_symbol", "SYMBOL", "deleted"),
        _w("query", "query_symbol", "SYMBOL", "record", "symbol"),
        _w("querydata", "query_symbol_data", "SYMBOL", "record", "symbol-data"),
        _w("positions", "query_positions", "", "record", "positions", takes_options=True),
        _w("orders", "query_orders", "", "record", "orders", takes_options=True),
        _w("tickets", "query_tickets", "", "record", "tickets"),
        _w("executions", "query_executions", "", "record", "executions", takes_options=True),
        _order("marketorder", "market_order", "SYMBOL QUANTITY"),
        _order("limitorder", "limit_order", "SYMBOL PRICE QUANTITY"),
        _order("stoporder", "stop_order", "SYMBOL PRICE QUANTITY"),
        _order("stoplimitorder", "stoplimit_order", "SYMBOL STOP LIMIT QUANTITY"),
        _w("submit", "submit_order", "{order}", "record", "order"),
        _w("modify", "modify_order", "ID {changes}", "record", "order"),
        _order("stagemarketorder", "stage_market_order", "TAG SYMBOL QUANTITY", "ticket"),
        _order("stagelimitorder", "stage_limit_order", "TAG SYMBOL PRICE QUANTITY", "ticket"),
        _order("stagestoporder", "stage_stop_order", "TAG SYMBOL PRICE QUANTITY", "ticket"),
        _order("stagestoplimitorder", "stage_stoplimit_order", "TAG SYMBOL STOP LIMIT QUANTITY", "ticket"),
        _w("cancel", "cancel_order", "ID", "record", "cancel_order"),
        _w("globalcancel", "global_cancel", "", "global_cancel"),
        _w("getbars", "query_bars", "SYMBOL PERIOD DATE TIME DATE TIME", "record", "bardata"),
        _w("shutdown", "shutdown", "[TEXT]", "result", takes_text=True),
    )
}
"""The words that call an operation, by name."""

LOCAL_WORDS: dict[str, str] = {
    "help": "help [OPERATION]",
    "options": "options {json}",
    "resume": "resume EPOCH CHANNEL SEQ TAG",
    "ping": "ping [TEXT]",
    "pong": "pong [TEXT]",
    "quit": "quit",
    "exit": "exit [TEXT]",
    "bye": "bye",
}
"""The words that the front end answers itself, with their usage."""


def command_words() -> list[str]:
    """Return all words, sorted: what `help` lists."""
    return sorted([*WORDS, *LOCAL_WORDS])


class Call(msgspec.Struct, frozen=True):
    """A line taken apart: the form of its reply, and the command."""

    word: Word
    command: Command


_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", re.ASCII)


def usage_error(usage: str) -> InvalidArgument:
    """Return the error that shows how a word is used."""
    return InvalidArgument(f"usage: {usage}", reason="usage")


def _own_name(operation: Operation) -> Word:
    """Return the form of an operation called by its own name."""
    return Word(name=operation.name, operation=operation.name, reply="result")


def parse_call(name: str, rest: str) -> Call:
    """Parse a word and what follows it.  Raises InvalidArgument, TooLarge."""
    word = WORDS.get(name)
    if word is None:
        operation = OPERATIONS.get(name)
        if operation is None:
            raise InvalidArgument(f"usage: one of {' '.join(command_words())}, or an operation by its name")
        return Call(_own_name(operation), _bind_by_name(operation, rest))
    if word.takes_text:
        return Call(word, bind(word.operation, [rest] if rest else []))
    words, values = _split(rest)
    arguments: list[Any] = [*words, *values]
    if name == "getbars":
        arguments = _join_times(arguments)
    _check_count(word, arguments)
    return Call(word, bind(word.operation, arguments))


def _split(rest: str) -> tuple[list[str], list[Any]]:
    """Split words at blanks, and parse the JSON values that begin with the first word of `{` or `[`."""
    start = -1
    for mark in ("{", "["):
        at = 0 if rest.startswith(mark) else rest.find(f" {mark}")
        if at >= 0 and (start < 0 or at < start):
            start = at
    head, tail = (rest, "") if start < 0 else (rest[:start], rest[start:])
    return [word for word in head.split(" ") if word], parse_sequence(tail)


def _check_count(word: Word, arguments: Sequence[Any]) -> None:
    """Show the usage of the word, not of the operation, when there are too few arguments or too many."""
    given = list(arguments)
    if word.takes_options and given and isinstance(given[-1], dict):
        given.pop()
    required = len([name for name in word.arguments if not name.startswith("[")])
    allowed = len(word.arguments)
    if word.name == "getbars":
        required = allowed = 4
    if not required <= len(given) <= allowed:
        raise usage_error(word.usage)
    for name, value in zip(word.arguments, given, strict=False):
        if name.startswith("{") != isinstance(value, dict) or isinstance(value, list):
            raise usage_error(word.usage)


def _join_times(arguments: list[Any]) -> list[Any]:
    """Join `DATE TIME` to one argument, so that both stand at one place, as `.` and `-5` do."""
    joined: list[Any] = []
    for argument in arguments:
        if len(joined) > 2 and isinstance(argument, str) and _TIME.fullmatch(argument) and " " not in joined[-1]:
            joined[-1] = f"{joined[-1]} {argument}"
        else:
            joined.append(argument)
    return joined


def _bind_by_name(operation: Operation, rest: str) -> Command:
    words, values = _split(rest)
    positional: list[Any] = []
    for index, text in enumerate(words):
        argument = operation.arguments[index] if index < len(operation.arguments) else None
        positional.append(text if argument is None else _literal(argument, text))
    return bind(operation.name, [*positional, *values])


_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}


def _literal(argument: Argument, text: str) -> Any:
    """Read `true`, `false` and `null` where no word is expected: on lines everything is text."""
    if argument.kind == "boolean" or (text == "null" and not argument.required) or argument.kind == "route":
        return _LITERALS.get(text, text)
    return text
