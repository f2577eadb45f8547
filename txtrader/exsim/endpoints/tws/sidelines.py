"""What is not trading: news, bulletins, scanners, fundamentals, advisor data, calendars, display groups, verification.

The simulator has no news agency, no fundamentals, no advisor and no calendar of events; it answers as TWS does for
an account without them: with an empty result and its end marker, or with the error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from txtrader.exsim.endpoints.tws.scanner import PARAMETERS, SCANS, scan
from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection

__all__ = ["Sidelines"]

_SCAN_INTERVAL = 30.0
_MAX_ROWS = 50
_MAX_SCANS = 10
_GROUPS = (1, 2, 3, 4, 5, 6, 7)
_NOTHING_SHOWN = "none"
_NOT_ADVISOR = "Error processing request.-'bK' : cause - FA data operations ignored for non FA customers."


class Sidelines(Service):
    """One client's side requests."""

    def __init__(self, connection: TwsConnection) -> None:
        super().__init__(connection)
        self._wants_bulletins = False
        self._scans: dict[int, IDelayedCall] = {}
        self._groups: dict[int, int] = {}
        self._has_calendar = False

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {
            "reqNewsBulletins": self.bulletins,
            "cancelNewsBulletins": self.cancel_bulletins,
            "reqNewsProviders": self.providers,
            "reqNewsArticle": self.article,
            "reqHistoricalNews": self.headlines,
            "reqScannerParameters": self.scanner_parameters,
            "reqScannerSubscription": self.subscribe_scan,
            "cancelScannerSubscription": self.cancel_scan,
            "reqFundamentalData": self.fundamentals,
            "cancelFundamentalData": self.ignore,
            "requestFA": self.advisor,
            "replaceFA": self.replace_advisor,
            "reqWshMetaData": self.calendar_meta,
            "cancelWshMetaData": self.ignore,
            "reqWshEventData": self.calendar_events,
            "cancelWshEventData": self.ignore,
            "queryDisplayGroups": self.groups,
            "subscribeToGroupEvents": self.subscribe_group,
            "unsubscribeFromGroupEvents": self.unsubscribe_group,
            "updateDisplayGroup": self.update_group,
            "verifyRequest": self.verify,
            "verifyMessage": self.verify,
            "verifyAndAuthRequest": self.verify_with_key,
            "verifyAndAuthMessage": self.verify_with_key,
        }

    def ignore(self, message: Message) -> None:
        """Take the cancel of a request that was answered at once."""

    # -- news

    def bulletins(self, message: Message) -> None:
        """Send bulletins from now on, with `allMsgs` those of the day as well."""
        self._wants_bulletins = True
        if message["allMsgs"]:
            for number in range(1, len(self.endpoint.bulletins) + 1):
                self.send_bulletin(number)

    def cancel_bulletins(self, message: Message) -> None:
        """Send no more bulletins."""
        self._wants_bulletins = False

    def send_bulletin(self, number: int) -> None:
        """Send a bulletin if this client wants them."""
        if self._wants_bulletins:
            kind, text, exchange = self.endpoint.bulletins[number - 1]
            self.send("updateNewsBulletin", msgId=number, msgType=kind, newsMessage=text, originExch=exchange)

    def providers(self, message: Message) -> None:
        """Answer that nobody provides news."""
        self.send("newsProviders", newsProviders=[])

    def article(self, message: Message) -> None:
        """Refuse an article: there are none."""
        raise RequestFailed(10172, "Failed to request news article:No data available")

    def headlines(self, message: Message) -> None:
        """Answer that there are no headlines."""
        self.send("historicalNewsEnd", reqId=message["reqId"], hasMore=False)

    # -- scanners

    def scanner_parameters(self, message: Message) -> None:
        """Answer which scans there are."""
        self.send("scannerParameters", xml=PARAMETERS)

    def subscribe_scan(self, message: Message) -> None:
        """Send a ranking now and each half minute."""
        req_id = message["reqId"]
        if req_id in self._scans:
            raise RequestFailed(102, "Duplicate ticker id")
        if len(self._scans) >= _MAX_SCANS:
            raise RequestFailed(
                162,
                "Historical Market Data Service error message:API scanner subscription limit reached",
            )
        if message["scanCode"] not in SCANS:
            raise RequestFailed(
                162, f"Historical Market Data Service error message:Scanner type {message['scanCode']} is disabled"
            )
        self._send_scan(message)

    def _send_scan(self, message: Message) -> None:
        req_id = message["reqId"]
        wanted = message["numberOfRows"]
        limit = _MAX_ROWS if wanted is None or wanted < 1 else min(wanted, _MAX_ROWS)
        rows = []
        for rank, listing in enumerate(scan(self.venue, message.fields, limit)):
            contract = dict(self.endpoint.listings.contract(listing))
            del contract["multiplier"]
            rows.append(
                {
                    **contract,
                    "rank": rank,
                    "marketName": listing.trading_class,
                    "distance": "",
                    "benchmark": "",
                    "projection": "",
                    "legsStr": "",
                }
            )
        self._scans[req_id] = self.endpoint.reactor.callLater(_SCAN_INTERVAL, self._send_scan, message)
        self.send("scannerData", reqId=req_id, rows=rows)

    def cancel_scan(self, message: Message) -> None:
        """End a scan."""
        timer = self._scans.pop(message["reqId"], None)
        if timer is None:
            raise RequestFailed(365, f"No scanner subscription found for ticker id:{message['reqId']}")
        timer.cancel()

    # -- fundamentals, advisors, calendars

    def fundamentals(self, message: Message) -> None:
        """Refuse fundamentals after looking at the contract."""
        self.endpoint.listings.resolve(message.fields)
        raise RequestFailed(430, "We are sorry, but fundamentals data for the security specified is not available.")

    def advisor(self, message: Message) -> None:
        """Refuse advisor data: the accounts are nobody's clients."""
        raise RequestFailed(321, _NOT_ADVISOR)

    def replace_advisor(self, message: Message) -> None:
        """Refuse to change advisor data."""
        raise RequestFailed(321, _NOT_ADVISOR)

    def calendar_meta(self, message: Message) -> None:
        """Answer that the calendar has no kinds of events."""
        self._has_calendar = True
        self.send("wshMetaData", reqId=message["reqId"], dataJson='{"meta_data":{"event_types":[]}}')

    def calendar_events(self, message: Message) -> None:
        """Answer that the calendar is empty; the meta data must have been asked for, as at TWS."""
        if not self._has_calendar:
            raise RequestFailed(10282, "WSH metadata was not requested yet.")
        self.send("wshEventData", reqId=message["reqId"], dataJson="[]")

    # -- display groups

    def groups(self, message: Message) -> None:
        """Answer the groups of windows that clients can steer."""
        self.send("displayGroupList", reqId=message["reqId"], groups="|".join(map(str, _GROUPS)))

    def subscribe_group(self, message: Message) -> None:
        """Tell what a group shows, now and at each change."""
        req_id, group = message["reqId"], message["groupId"]
        if group not in _GROUPS:
            raise RequestFailed(321, "Error validating request.-'cF' : cause - Invalid group id")
        self._groups[req_id] = group
        self._show_group(req_id, group)

    def unsubscribe_group(self, message: Message) -> None:
        """Tell of a group no more."""
        self._groups.pop(message["reqId"], None)

    def update_group(self, message: Message) -> None:
        """Let the group of a subscription show another contract, for every client."""
        group = self._groups.get(message["reqId"])
        if group is None:
            raise RequestFailed(321, "Error validating request.-'cG' : cause - Not subscribed to a group")
        self.endpoint.groups[group] = message["contractInfo"] or _NOTHING_SHOWN
        for connection in self.endpoint.active():
            connection.group_changed(group)

    def group_changed(self, group: int) -> None:
        """Tell the subscriptions of a group what it shows."""
        for req_id, watched in self._groups.items():
            if watched == group:
                self._show_group(req_id, group)

    def _show_group(self, req_id: int, group: int) -> None:
        shown = self.endpoint.groups.get(group, _NOTHING_SHOWN)
        self.send("displayGroupUpdated", reqId=req_id, contractInfo=shown)

    # -- verification

    def verify(self, message: Message) -> None:
        """Refuse verification: it is for programs that the broker knows."""
        self.send("verifyCompleted", isSuccessful="false", errorText="Verification is not offered here")

    def verify_with_key(self, message: Message) -> None:
        """Refuse verification with a key."""
        self.send("verifyAndAuthCompleted", isSuccessful="false", errorText="Verification is not offered here")

    def close(self) -> None:
        for timer in self._scans.values():
            timer.cancel()
        self._scans.clear()
