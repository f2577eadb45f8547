"""From a request to its reply: find it, read its arguments, run it, and say what came of it; never nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.python.failure import Failure

from txtrader.errors import TxTraderError
from txtrader.exsim.control.problems import CODES, ControlError
from txtrader.exsim.control.requests import Request, collect, read_arguments
from txtrader.exsim.control.rooms.book_room import BookRoom
from txtrader.exsim.control.rooms.bot_room import BotRoom
from txtrader.exsim.control.rooms.endpoint_room import EndpointRoom
from txtrader.exsim.control.rooms.engine_room import EngineRoom
from txtrader.exsim.control.rooms.order_room import OrderRoom
from txtrader.exsim.control.rooms.plugin_room import PluginRoom
from txtrader.exsim.control.rooms.policy_room import PolicyRoom
from txtrader.exsim.control.rooms.pricing_room import PricingRoom
from txtrader.exsim.control.rooms.quote_room import QuoteRoom
from txtrader.exsim.control.rooms.server_room import ServerRoom
from txtrader.exsim.control.rooms.session_room import SessionRoom
from txtrader.exsim.control.world import World

__all__ = ["Dispatcher"]


class Dispatcher:
    """Runs requests on a world.  `leave` is called when the server is told to end."""

    def __init__(self, world: World, leave: Callable[[], None]) -> None:
        self._world = world
        self._lock = DeferredLock()
        books = BookRoom(world)
        self._requests = collect(
            [
                ServerRoom(world, self.run_inside, leave),
                EngineRoom(world),
                EndpointRoom(world),
                SessionRoom(world),
                books,
                OrderRoom(world, books),
                QuoteRoom(world, books),
                PolicyRoom(world),
                BotRoom(world, books),
                PricingRoom(books),
                PluginRoom(world),
            ]
        )

    @property
    def declared(self) -> dict[str, Request]:
        """Every request by name."""
        return {name: declared for name, (declared, _) in self._requests.items()}

    def run(self, frame: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Run one request, after those that are under way; fires with its reply, and never fails."""
        return self._reply(frame, self._lock.acquire().addCallback(lambda _: self._start(frame, self._lock.release)))

    def run_inside(self, frame: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Run one request as a part of the one that is under way."""
        return self._reply(frame, maybeDeferred(self._start, frame, lambda: None))

    def _reply(self, frame: dict[str, Any], answer: Deferred[Any]) -> Deferred[dict[str, Any]]:
        reply = answer.addCallbacks(self._done, self._failed)
        return reply.addCallback(lambda said: {"id": frame["id"], **said} if "id" in frame else said)

    def _start(self, frame: dict[str, Any], release: Callable[[], None]) -> Any:
        """Begin a request.  It is over at once, but for one that takes steps: then others wait; or it waits itself."""
        answer: Any = None
        try:
            name = frame.get("type")
            if not isinstance(name, str) or name not in self._requests:
                raise ControlError("unknown-request", f"there is no request {name}", "type")
            declared, handler = self._requests[name]
            given = {key: value for key, value in frame.items() if key not in ("id", "type")}
            answer = handler(**read_arguments(declared, given))
        finally:
            if not inspect.iscoroutine(answer):
                release()
        if not inspect.iscoroutine(answer):
            return answer

        async def finish() -> Any:
            try:
                return await answer
            finally:
                release()

        return Deferred.fromCoroutine(finish())

    def _done(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {"result": True, **_shown(answer)}

    def _failed(self, failure: Failure) -> dict[str, Any]:
        error: BaseException | None = failure.value
        if isinstance(error, TxTraderError):
            code = error.code if error.code in CODES else "invalid-argument"
            error = ControlError(code, error.message, error.path)
        if not isinstance(error, ControlError):
            incident = self._world.report_bug(failure)
            error = ControlError("internal", f"a bug of the simulator's: see incident {incident}", incident=incident)
        return {"result": False, "error": error.to_dict()}


def _shown(value: Any) -> Any:
    """Return a value as JSON has it; Decimals are text."""
    if isinstance(value, dict):
        return {key: _shown(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return format(value, "f")
    return value
