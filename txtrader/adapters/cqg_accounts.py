"""Which of a login's CQG accounts the gateway is about: all, some by name, those of a sales series or a brokerage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from txtrader.wire.cqg.words import Publication

__all__ = ["AccountChoice"]


class AccountChoice(msgspec.Struct, frozen=True):
    """The parsed setting CQG_ACCOUNTS: `` (all), `A,B`, `series:BROKERAGE/NUMBER` or `brokerage:ID`."""

    names: tuple[str, ...] = ()
    brokerage: int | None = None
    series: str | None = None

    @classmethod
    def from_words(cls, words: Iterable[str]) -> AccountChoice:
        """Read the words of the setting, which has checked them."""
        given = tuple(words)
        first = given[0] if given else ""
        if first.startswith("series:"):
            brokerage, _, series = first.removeprefix("series:").partition("/")
            return cls(brokerage=int(brokerage), series=series)
        if first.startswith("brokerage:"):
            return cls(brokerage=int(first.removeprefix("brokerage:")))
        return cls(names=given)

    def takes(self, brokerage: int, series: str, account: str) -> bool:
        """Tell whether an account of that brokerage and sales series is one of them."""
        return (
            (not self.names or account in self.names)
            and self.brokerage in (None, brokerage)
            and self.series in (None, series)
        )

    def put_into(self, subscription: Any, numbers: Mapping[str, int]) -> None:
        """Write into a TradeSubscription whose trading it is about; `numbers` are CQG's ids of the chosen accounts.

        A negative account number cannot be listed on the wire: then all are subscribed to, and the others ignored.
        """
        if self.series is not None:
            subscription.publication_type = int(Publication.SALES_SERIES)
            subscription.brokerage_id = self.brokerage
            subscription.sales_series_number = self.series
        elif self.brokerage is not None:
            subscription.publication_type = int(Publication.BROKERAGE)
            subscription.brokerage_id = self.brokerage
        elif self.names and numbers and min(numbers.values()) >= 0:
            subscription.publication_type = int(Publication.ACCOUNTS)
            subscription.account_ids.extend(numbers.values())
        else:
            subscription.publication_type = int(Publication.ALL_AUTHORIZED)
