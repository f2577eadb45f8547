"""What a monitor asks for at its login: our options, and those of the published monitors in our words."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from txtrader.errors import InvalidArgument
from txtrader.model.event import DURABLE_CHANNELS

__all__ = ["HEARTBEAT", "merged_options"]

HEARTBEAT = 10
"""Seconds between signs of life that a monitor asks for."""

_DEFAULT = (*DURABLE_CHANNELS, "quote", "trade", "time")
_DROPPABLE = frozenset({"quote", "trade", "time"})  # channels of one type: nobody listens if that type is silenced
_OF_2020 = {
    "quotes": "quote",
    "trades": "trade",
    "order-notification": "order",
    "order-data": "order",
    "ticket-notification": "order",
    "ticket-data": "order",
    "execution-notification": "execution",
    "execution-data": "execution",
}


def merged_options(options: Mapping[str, Any] | str | list[str] | None, silenced: Set[str]) -> dict[str, Any] | str:
    """Return the options for `auth`; `silenced` are normal names whose callback is None.

    Words (`"noquotes notrades"`, the form of 2015) pass as they are.  Beside what is given: numbered events, a
    heartbeat, and no channel that nobody listens to.  Raises InvalidArgument.
    """
    if isinstance(options, (list, tuple)):
        options = " ".join(options)
    if isinstance(options, str):
        return options
    given = {str(name): value for name, value in (options or {}).items()}
    if any(name in _OF_2020 for name in given):
        given = _from_2020(given)
    if not given.get("legacy"):
        given.setdefault("sequence", True)
    given.setdefault("heartbeat", HEARTBEAT)
    if "channels" not in given and (dropped := silenced & _DROPPABLE):
        given["channels"] = [channel for channel in _DEFAULT if channel not in dropped]
    return given


def _from_2020(given: Mapping[str, Any]) -> dict[str, Any]:
    """Say the options of the published monitor in ours: nothing is sent that was not asked for, but the state is."""
    wanted = {"account", "status", "time"}
    rest: dict[str, Any] = {}
    for name, value in given.items():
        channel = _OF_2020.get(name)
        if channel is None:
            if name != "SYMBOL_FIELDS":  # it thinned records that were paid for by the field
                rest[name] = value
        elif value not in (True, False, 0, 1):
            raise InvalidArgument("must be true or false", path=name)
        elif value:
            wanted.add(channel)
    return {"channels": [channel for channel in _DEFAULT if channel in wanted], **rest}
