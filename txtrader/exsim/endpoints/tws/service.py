"""The frame of what a connection offers: services, each a table from request names to methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection
    from txtrader.exsim.endpoints.tws.endpoint import TwsEndpoint
    from txtrader.exsim.venue import Venue

__all__ = ["Answer", "RequestFailed", "Service"]

Answer = Callable[[Message], None]


class RequestFailed(Exception):
    """A request is answered by an error: `code` and `text` as TWS says them."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Service:
    """One subject of one connection's conversation; `answers` maps request names to methods.

    A method may raise RequestFailed, which becomes an error message with the request's id.
    """

    def __init__(self, connection: TwsConnection) -> None:
        self.connection = connection
        self.endpoint: TwsEndpoint = connection.endpoint
        self.venue: Venue = connection.endpoint.venue
        self.send = connection.send

    @property
    def answers(self) -> Mapping[str, Answer]:
        """What this service answers, by request name."""
        return {}

    def close(self) -> None:
        """The connection is gone: end every subscription."""
