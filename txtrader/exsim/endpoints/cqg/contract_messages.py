"""A listing as ContractMetadata of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txtrader.dialects.cqg.contracts import Contract, cfi_of, mic_of, put_contract
from txtrader.exsim.endpoints.cqg.listings import root_of, short_name
from txtrader.exsim.records import Listing

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.endpoint import CqgEndpoint
    from txtrader.exsim.endpoints.cqg.user_session import UserSession

__all__ = ["put_listing"]

_LETTERS = "FGHJKMNQUVXZ"


def put_listing(message: Any, listing: Listing, session: UserSession, endpoint: CqgEndpoint) -> None:
    """Write a listing's metadata, giving it a contract id of the session."""
    names = endpoint.names
    month = listing.contract_month
    active = names.active(root_of(listing))
    put_contract(
        message,
        Contract(
            contract_id=session.contract_id(listing),
            symbol=names.name(listing),
            short=short_name(listing),
            root=root_of(listing),
            group=names.group(listing),
            title=listing.long_name or listing.symbol,
            scale=listing.tick,
            tick=listing.tick,
            tick_value=listing.tick * listing.multiplier,
            currency=listing.currency,
            cfi_code=cfi_of(listing.sectype, listing.right),
            mic=mic_of(listing.primary_exchange),
            expiry=listing.expiry or None,
            month=f"{_LETTERS[int(month[4:6]) - 1]}{month[2:4]}" if month else None,
            strike=listing.strike,
            step=listing.step,
            multiplier=listing.multiplier,
            increments=listing.increments,
            is_most_active=active is listing,
            is_deleted=names.is_expired(listing),
            session_info_id=names.hours_of(listing),
        ),
        session.base_time,
    )
