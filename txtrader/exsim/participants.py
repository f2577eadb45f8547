"""Who trades and who listens: participants' sessions, observers, and how both are told what happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Changes, Refusal, Terms

if TYPE_CHECKING:
    from txtrader.exsim.venue import Venue

__all__ = ["Participants", "Session"]


class Session:
    """One participant's presence: orders go in here; they outlive it unless `cancel_on_disconnect`.

    Then they go `grace` seconds after the session, unless the owner has another one by then; `spares_gtc` keeps GTC
    orders all the same.
    """

    def __init__(
        self,
        venue: Venue,
        owner: str,
        listener: OrderListener | None,
        accounts: tuple[str, ...],
        cancel_on_disconnect: bool,
        grace: float = 0.0,
        spares_gtc: bool = False,
    ) -> None:
        self._venue = venue
        self.owner = owner
        self.listener = listener
        self.accounts = accounts
        self.cancel_on_disconnect = cancel_on_disconnect
        self.grace = grace
        self.spares_gtc = spares_gtc
        self.is_open = True

    def submit(self, terms: Terms) -> Order:
        """Enter an order; see `Venue.submit`."""
        return self._venue.submit_all(self.owner, (terms,), accounts=self.accounts)[0]

    def submit_all(self, terms: Sequence[Terms]) -> list[Order]:
        """Enter orders as one message; see `Venue.submit_all`."""
        return self._venue.submit_all(self.owner, terms, accounts=self.accounts)

    def replace(self, order_id: int, changes: Changes) -> Refusal | None:
        """Change one of the owner's orders."""
        return self._venue.replace(self.owner, order_id, changes)

    def exchange(self, order_id: int, terms: Terms) -> Refusal | None:
        """Put a new order in the place of one of the owner's; see `Venue.exchange`."""
        return self._venue.exchange(self.owner, order_id, terms, accounts=self.accounts)

    def cancel(self, order_id: int) -> Refusal | None:
        """Cancel one of the owner's orders."""
        return self._venue.cancel(self.owner, order_id)

    def mass_cancel(self) -> int:
        """Cancel all live orders of the owner; return how many."""
        return self._venue.mass_cancel(owner=self.owner)

    def close(self) -> None:
        """End the presence; twice is harmless."""
        if self.is_open:
            self.is_open = False
            self._venue.close_session(self)


class Participants:
    """The open sessions by owner, and the observers, who hear of everybody's orders but the house's and its bots'."""

    _log = Logger()

    def __init__(self) -> None:
        self._sessions: dict[str, list[Session]] = {}
        self._observers: list[OrderListener] = []
        self._unobserved: set[str] = set()  # accounts; asked only, never walked

    def join(self, session: Session) -> None:
        """Take in a new session."""
        self._sessions.setdefault(session.owner, []).append(session)

    def leave(self, session: Session) -> None:
        """Forget a session."""
        sessions = self._sessions[session.owner]
        sessions.remove(session)
        if not sessions:
            del self._sessions[session.owner]

    def is_here(self, owner: str) -> bool:
        """Tell whether an owner has a session."""
        return owner in self._sessions

    def add_observer(self, listener: OrderListener) -> None:
        """Tell `listener` everything from now on."""
        self._observers.append(listener)

    def remove_observer(self, listener: OrderListener) -> None:
        """Tell it no more; one that is not there is no error."""
        if listener in self._observers:
            self._observers.remove(listener)

    def hide(self, account: str) -> None:
        """Tell observers nothing of an account."""
        self._unobserved.add(account)

    def tell(self, name: str, order: Order, *facts: Any) -> None:
        """Tell a fact about an order to its owner's sessions, then to the observers."""
        about_order = name != "holding_changed"
        own = [session.listener for session in self._sessions.get(order.owner, ()) if session.listener is not None]
        if order.account not in self._unobserved:
            own += self._observers
        for listener in own:
            self._call(getattr(listener, name), *((order, *facts) if about_order else facts))

    def tell_accounts(self, accounts: Iterable[str]) -> None:
        """Tell whoever may use them that these accounts have changed."""
        sessions = [session for sessions in self._sessions.values() for session in sessions]
        for account in accounts:
            for session in sessions:
                if session.listener is not None and account in session.accounts:
                    self._call(session.listener.account_changed, account)
            for observer in tuple(self._observers) if account not in self._unobserved else ():
                self._call(observer.account_changed, account)

    def _call(self, call: Callable[..., None], *facts: Any) -> None:
        try:
            call(*facts)
        except Exception:  # noqa: BLE001
            # A listener is somebody else's code: its fault must not leave a message half processed.
            self._log.failure("A listener of the venue failed")
