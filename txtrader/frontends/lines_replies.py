"""The forms of replies on the line protocol, in today's form; `lines_legacy` has those of 2015."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from txtrader.errors import NotFound, TxTraderError
from txtrader.frontends.jsontext import encode
from txtrader.frontends.lines_events import event_line
from txtrader.frontends.lines_words import Call, command_words
from txtrader.frontends.shapes import positional_shape
from txtrader.frontends.text import error_text
from txtrader.gateway.session import Session
from txtrader.model.event import StatusEvent
from txtrader.model.instrument import InstrumentQuery

__all__ = ["Forms"]


class Forms:
    """Writes replies; `mode` is the channel word where a record does not name its own.

    A reply is a pair: a line that goes before it without its tag (mostly none), and the reply itself, without the
    line end.
    """

    def __init__(self, mode: str, spell: Callable[[InstrumentQuery, Session], str]) -> None:
        self.mode = mode
        self.spell = spell
        """Gives the canonical spelling of a symbol, as a session means it."""

    def reply(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        """Write the reply to a session's command.  Raises NotFound and TooLarge where the result says so."""
        form = getattr(self, f"_{call.word.reply}")
        pair: tuple[bytes, bytes] = form(call, positional_shape(call.command.operation.name, result), session)
        return pair

    def error(self, call: Call | None, error: TxTraderError) -> bytes:
        """Write an error; `call` is None where the line was not understood."""
        return f".error {error_text(error)}".encode("ascii")

    def unknown_word(self, error: TxTraderError) -> bytes:
        """Answer a word that there is not."""
        return self.error(None, error)

    def help(self) -> bytes:
        """List the words."""
        return b".commands: " + encode(command_words())

    def current_account(self, account: str) -> bytes:
        """Write the event that tells a session its current account, with its line end."""
        return event_line(StatusEvent("current-account", "account", self.mode, {"account": account}))

    # --- the forms that `Word.reply` names ---

    def _word(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        return b"", f".{call.word.kind}: {result}".encode("ascii")

    def _list(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        return b"", f".{call.word.kind}: ".encode() + encode(result)

    def _record(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        mode = result.get("mode") if isinstance(result, dict) else None
        head = f"{mode if isinstance(mode, str) else self.mode}.{call.word.kind}: "
        return b"", head.encode("ascii") + encode(result)

    def _result(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        before = b""
        if call.word.operation == "set_account" and result is True:
            before = self.current_account(call.command.arguments["account"])
        return before, f".result {call.word.operation}: ".encode() + encode(result)

    def _current_account(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        before = self.current_account(call.command.arguments["account"]) if result is True else b""
        return before, b".account: true" if result is True else b".account: false"

    def _added(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        if result is not True:
            raise NotFound("there is no such instrument", path="symbol")
        return b"", f".symbol {self._symbol(call, session)} added".encode("ascii")

    def _deleted(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        if result is not True:
            raise NotFound("the symbol was not added", path="symbol")
        return b"", f".symbol {self._symbol(call, session)} deleted".encode("ascii")

    def _global_cancel(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        return b"", b".global order cancel requested"

    def _symbol(self, call: Call, session: Session) -> str:
        return self.spell(call.command.arguments["symbol"], session)
