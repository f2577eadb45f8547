"""The frame of what a connection offers: services, each a table from the parts of a ClientMsg to methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection
    from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint
    from txtrader.exsim.endpoints.cqg.user_session import UserSession
    from txtrader.exsim.venue import Venue

__all__ = ["Answer", "Service"]

Answer = Callable[[Any], None]


class Service:
    """One subject of one connection's conversation; `answers` maps field names of ClientMsg to methods."""

    def __init__(self, connection: CqgConnection) -> None:
        self.connection = connection
        self.endpoint: CqgEndpoint = connection.endpoint
        self.venue: Venue = connection.endpoint.venue

    @property
    def user_session(self) -> UserSession:
        """The session that the connection is logged on to."""
        session = self.connection.user_session
        assert session is not None, "services start with the logon"
        return session

    @property
    def answers(self) -> Mapping[str, Answer]:
        """What this service answers, by the name of the part."""
        return {}

    def close(self) -> None:
        """The connection is gone: end every subscription."""
