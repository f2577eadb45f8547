"""Closing positions at CQG: GoFlat for accounts, LiquidateAll for one contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from txtrader.adapters.cqg_connection import text_of
from txtrader.adapters.cqg_instruments import Instruments
from txtrader.errors import BrokerRejected, BrokerUnavailable, InvalidArgument
from txtrader.model.instrument import Instrument
from txtrader.net.pacing import Priority
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.cqg.values import put_timestamp
from txtrader.wire.cqg.words import GoFlatCode, RejectCode

__all__ = ["Closing"]

_WORDS = {GoFlatCode.COMPLETED: "done", GoFlatCode.TIMED_OUT: "timed-out"}


class _Asked:
    """One request: whose accounts it is about, and what is known of them."""

    def __init__(self, accounts: dict[int, str], is_go_flat: bool) -> None:
        self.accounts = accounts
        self.is_go_flat = is_go_flat
        self.answers = dict.fromkeys(accounts.values(), "unknown")
        self.waiter: Deferred[dict[str, str]] = Deferred()
        self.timer: IDelayedCall | None = None


class Closing:
    """Requests to close positions, and what CQG says of them."""

    def __init__(
        self,
        reactor: Any,
        now_ns: Callable[[], int],
        instruments: Instruments,
        *,
        connected: Callable[[], Any],
        account_id: Callable[[str], int | None],
        timeout: float,
    ) -> None:
        self._reactor = reactor
        self._now_ns = now_ns
        self._instruments = instruments
        self._connected = connected
        self._account_id = account_id
        self._timeout = timeout
        self._asked: dict[int, _Asked] = {}

    async def go_flat(self, accounts: Iterable[str]) -> dict[str, str]:
        """Have the orders cancelled and the positions closed; answers when CQG has told of every account."""
        asked = _Asked({self._number(account): account for account in accounts}, is_go_flat=True)
        message, request = self._request()
        put_timestamp(request.go_flat.when_utc_timestamp, self._now_ns())
        request.go_flat.account_ids.extend(asked.accounts)
        return await self._ask(asked, message, request.request_id)

    async def liquidate(self, account: str, instrument: Instrument) -> str:
        """Have the position in one contract closed; answers when CQG has taken it up."""
        contract = await self._instruments.contract_of(instrument)
        number = self._number(account)
        asked = _Asked({number: account}, is_go_flat=False)
        message, request = self._request()
        put_timestamp(request.liquidate_all.when_utc_timestamp, self._now_ns())
        request.liquidate_all.account_position_filters.add(account_id=number, contract_id=contract.contract_id)
        answers = await self._ask(asked, message, request.request_id)
        return answers[account]

    def _number(self, account: str) -> int:
        number = self._account_id(account)
        if number is None:
            raise InvalidArgument(f"CQG does not know the account {account}", path="account")
        return number

    def _request(self) -> tuple[Any, Any]:
        message = ClientMsg()
        number = self._connected().next_number()
        return message, message.order_requests.add(request_id=number, is_automated=True)

    def _ask(self, asked: _Asked, message: Any, number: int) -> Deferred[dict[str, str]]:
        self._connected().post(message, Priority.CANCEL)
        self._asked[number] = asked
        asked.timer = self._reactor.callLater(self._timeout, self._finish, number)
        return asked.waiter

    def _finish(self, number: int) -> None:
        """Answer with what is known by now."""
        asked = self._asked.pop(number)
        if asked.timer is not None and asked.timer.active():
            asked.timer.cancel()
        asked.waiter.callback(asked.answers)

    # -- what comes

    def acknowledged(self, ack: Any) -> None:
        """Take the word that a request was taken up: of a liquidation there is no other."""
        asked = self._asked.get(ack.request_id)
        if asked is not None and not asked.is_go_flat:
            asked.answers = dict.fromkeys(asked.answers, "asked")
            self._finish(ack.request_id)

    def went_flat(self, status: Any) -> None:
        """Take what became of one account."""
        asked = self._asked.get(status.request_id)
        if asked is None or status.account_id not in asked.accounts:
            return
        asked.answers[asked.accounts[status.account_id]] = _WORDS.get(status.status_code, "failed")
        if "unknown" not in asked.answers.values():
            self._finish(status.request_id)

    def rejected(self, reject: Any) -> bool:
        """Take a refusal; tells whether it was one of ours."""
        asked = self._asked.pop(reject.request_id, None)
        if asked is None:
            return False
        if asked.timer is not None:
            asked.timer.cancel()
        text = text_of(reject, RejectCode, reject.reject_code)
        asked.waiter.errback(BrokerRejected(f"CQG closes nothing: {text}", broker_code=reject.reject_code))
        return True

    def link_lost(self) -> None:
        """Nothing more will be told on this connection; what was asked may have happened."""
        asked, self._asked = self._asked, {}
        for one in asked.values():
            if one.timer is not None:
                one.timer.cancel()
            one.waiter.errback(BrokerUnavailable("the link was lost; look at the positions, then ask again"))
