"""Positions over FIX: AN for each account, AP for each position, AO with their number (4.4 and later).

A broker seldom tells them by itself: they are asked for again a moment after executions.  Where it does not offer them
at all, the gateway keeps what the executions since its first start sum up to, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.adapters.fix_connection import Connection
from txtrader.adapters.fix_instruments import Instruments
from txtrader.dialects.fix import instant_to_wire
from txtrader.dialects.fix_reports import position_of
from txtrader.errors import BrokerError, BrokerUnavailable
from txtrader.gateway.adapter import AdapterSink, BrokerNotice
from txtrader.gateway.tasks import spawn
from txtrader.model.account import Position
from txtrader.net.pending import PendingQuestion, all_of
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message

__all__ = ["Positions"]

_NO_POSITIONS, _VALID = "2", "0"
_MOMENT = 0.1  # seconds after an execution
_PAUSE = 2.0  # seconds between two questions at least
_KEPT = (
    "this broker tells no positions: those shown are the sum of the executions that this gateway has seen since it "
    "first met the account, and what was held before is not among them"
)


class Positions:
    """Questions for positions on whatever connection there is.  `offers` False: the broker is not asked."""

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        now_ns: Callable[[], int],
        instruments: Instruments,
        *,
        accounts: Callable[[], tuple[str, ...]],
        begin_string: str,
        clock: IReactorTime,
        connected: Callable[[], Connection],
        offers: bool,
        timeout: float,
    ) -> None:
        self._clock = clock
        self._connected = connected
        self._again: IDelayedCall | None = None
        self._asked_at = 0.0
        self._shown: dict[tuple[str, str], Position] = {}
        self._mode = mode
        self._sink = sink
        self._now_ns = now_ns
        self._instruments = instruments
        self._accounts = accounts
        self._timeout = timeout
        self._offers = offers
        self._is_told = False
        spec = dictionary(begin_string).messages.get("AP")
        self._group = None if spec is None else spec.groups[702]
        self._expected: dict[str, int] = {}

    async def read(self, connection: Connection) -> list[Position] | None:
        """Return all positions of our accounts, None where the broker does not offer them."""
        if self._offers and self._group is not None:
            self._asked_at = self._clock.seconds()
            parts = await all_of([self._ask(connection, account) for account in self._accounts()])
            found = self._in_sum([position for part in parts for position in part])
            self._shown = {(one.account, one.instrument_id or one.symbol): one for one in found}
            return found
        if not self._is_told:
            self._is_told = True
            self._sink.noticed(BrokerNotice(mode=self._mode, severity="warning", message=_KEPT))
        return None

    def soon(self) -> None:
        """Ask again a moment from now: something has traded."""
        if not self._offers or self._group is None or self._again is not None:
            return
        wait = max(_MOMENT, self._asked_at + _PAUSE - self._clock.seconds())
        self._again = self._clock.callLater(wait, self._refresh)

    def link_lost(self) -> None:
        """Ask no more: the gateway reads everything when the link is back."""
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _refresh(self) -> None:
        self._again = None
        spawn(self._tell_news(), self._log, "asking for positions")

    async def _tell_news(self) -> None:
        before = self._shown
        found = await self.read(self._connected())
        for one in found or ():
            self._sink.position_changed(one)
        for key, old in before.items():
            if key not in self._shown and old.quantity:
                self._sink.position_changed(msgspec.structs.replace(old, quantity=Decimal(0)))

    def _ask(self, connection: Connection, account: str) -> Deferred[list[Position]]:
        key = connection.next_id(f"POSITIONS-{self._now_ns()}")
        now = self._now_ns()
        message = Message("AN").add(710, key).add(724, "0").add(1, account).add(581, "1")
        message.add(453, "1").add(448, account).add(447, "D").add(452, "38")  # 38: the position's account
        message.add(715, datetime.fromtimestamp(now // 1_000_000_000, UTC).strftime("%Y%m%d"))
        message.add(60, instant_to_wire(now))
        question = connection.ask(key, f"the positions of {account}", message, self._timeout)
        return question.wait().addCallbacks(lambda answers: self._read(answers, account), self._refused)

    def _refused(self, failure: Failure) -> list[Position]:
        error = failure.value
        if not isinstance(error, BrokerError):
            failure.raiseException()
        raise BrokerUnavailable(f"{failure.getErrorMessage()}; TXTRADER_FIX_POSITIONS=none does without them")

    def received(self, connection: Connection, message: Message) -> bool:
        """Take an answer (AO, AP); tell whether it was waited for."""
        key = message.get(710)
        question = connection.question(key)
        if question is None or key is None:
            if message.type == "AP" and message.is_set(325):
                self.soon()  # one account's news: asked for as a whole, so that nothing is put together by halves
            return False
        if message.type == "AO" and message.get(728, _VALID) == _NO_POSITIONS:
            question.finish()
            return True
        if message.get(728, _VALID) not in (_VALID, _NO_POSITIONS) or message.get(729) == "2":
            code = message.get(728)
            text = message.get(58) or f"positions are refused ({code})"
            question.fail(BrokerError(text, broker_code=code))
            return True
        total = message.number(727)
        if total is not None:
            self._expected[key] = total
        if message.type == "AP":
            question.collect(message)
        self._end(key, question)
        return True

    def _end(self, key: str, question: PendingQuestion[Message]) -> None:
        """End a question once as many reports have come as were announced."""
        total = self._expected.get(key)
        if total is not None and len(question.answers) >= total:
            del self._expected[key]
            question.finish()

    def _read(self, answers: list[Message], account: str) -> list[Position]:
        found: list[Position] = []
        assert self._group is not None
        for message in answers:
            instrument = self._instruments.from_message(message)
            if instrument is None:
                raise BrokerUnavailable("a position report names no instrument")
            try:
                quantity = position_of(message, message.entries(702, self._group.first, self._group.tags))
            except ValueError as error:
                raise BrokerUnavailable(f"a position report cannot be read: {error}") from None
            found.append(
                Position(
                    account=message.get(1) or account,
                    mode=self._mode,
                    symbol=instrument.symbol,
                    quantity=quantity,
                    instrument=instrument,
                    instrument_id=instrument.instrument_id,
                    currency=message.get(15) or instrument.currency,
                    multiplier=instrument.multiplier,
                    update_time=self._now_ns(),
                )
            )
        return found

    def _in_sum(self, found: list[Position]) -> list[Position]:
        """Join several reports of one position: a broker may tell long and short, or several lots, apart."""
        joined: dict[tuple[str, str], Position] = {}
        for one in found:
            key = (one.account, one.instrument_id or one.symbol)
            former = joined.get(key)
            quantity = one.quantity + (former.quantity if former is not None else Decimal(0))
            joined[key] = Position(
                **{n: getattr(one, n) for n in one.__struct_fields__ if n != "quantity"}, quantity=quantity
            )
        return list(joined.values())
