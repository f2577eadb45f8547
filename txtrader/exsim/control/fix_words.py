"""FIX messages as named dictionaries, and back.

Common fields have neutral names; any other field has the name that FIX gives it, an unknown tag its number.  A tag that
stands more than once (in a repeating group) is a list.  For exact work a message's `pairs` hold tag and text of each
field in the sequence of the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from txtrader.exsim.control.problems import ControlError
from txtrader.wire.fix.dictionary import Dictionary
from txtrader.wire.fix.message import SOH

__all__ = ["MECHANICS", "fields_of", "message_type", "pairs_of", "word_of"]

MECHANICS = frozenset({8, 9, 10, 34, 35, 49, 52, 56})
"""The fields that the session fills in."""

_NAMES = {
    8: "begin_string", 9: "body_length", 10: "checksum", 34: "sequence", 35: "message_type", 49: "sender",
    56: "target", 52: "sending_time", 43: "possible_duplicate", 97: "possible_resend",
    1: "account", 6: "average_price", 11: "client_order_id", 14: "cumulative", 17: "exec_id", 19: "replaces",
    31: "last_price", 32: "last_quantity", 37: "order_id", 38: "quantity", 39: "status", 40: "order_type", 41:
    "original_client_order_id", 44: "price", 54: "side", 55: "symbol", 58: "text", 59: "tif", 60: "transact_time",
    99: "stop_price", 102: "cancel_reject_reason", 103: "reject_reason", 108: "heartbeat", 110: "min_quantity",
    111: "display_quantity", 126: "expire_time", 141: "reset", 150: "exec_type", 151: "leaves", 211: "peg_offset",
    262: "request_id", 434: "answers", 553: "username", 554: "password",
}  # fmt: skip
_TAGS = {name: tag for tag, name in _NAMES.items()}

_VALUES: dict[int, dict[str, str]] = {
    54: {"1": "buy", "2": "sell", "5": "sell_short"},
    40: {"1": "market", "2": "limit", "3": "stop", "4": "stop_limit", "P": "pegged", "J": "market_if_touched"},
    59: {"0": "day", "1": "gtc", "2": "opg", "3": "ioc", "4": "fok", "6": "gtd", "7": "atc"},
    39: {
        "A": "pending_new", "0": "new", "1": "partially_filled", "2": "filled", "3": "done_for_day", "4": "canceled",
        "5": "replaced", "6": "pending_cancel", "8": "rejected", "9": "suspended", "C": "expired", "E":
        "pending_replace",
    },
    434: {"1": "cxl", "2": "mod"},
}  # fmt: skip
_LETTERS = {tag: {word: letter for letter, word in words.items()} for tag, words in _VALUES.items()}

_TYPES_IN = {
    "A": "login_req", "5": "logout_req", "D": "new", "F": "cxl", "G": "mod", "q": "cxl_all", "H": "status",
    "AF": "mass_status", "R": "rfq", "S": "quote", "Z": "quote_cxl", "AN": "positions",
}  # fmt: skip
_TYPES_OUT = {
    "A": "login_ack", "5": "logged_out", "W": "market", "X": "market", "Y": "market_rej", "r": "cxl_all_ack",
    "h": "phase", "f": "phase", "y": "symbols", "d": "symbol", "3": "rej", "j": "rej",
}  # fmt: skip
_EXECUTIONS = {
    "0": "ack", "1": "exec", "2": "exec", "F": "exec", "4": "cxl_ack", "5": "mod_ack", "8": "rej", "9": "parked",
    "C": "expired", "D": "restated", "G": "correct", "H": "bust", "I": "status", "L": "triggered", "A": "pending",
    "6": "pending", "E": "pending",
}  # fmt: skip
_WIRE_TYPES = {
    **{word: letter for letter, word in _TYPES_IN.items()},
    "login_ack": "A", "logged_out": "5", "cxl_rej": "9", "mod_rej": "9", "subscribe": "V", "unsubscribe": "V",
    **dict.fromkeys(_EXECUTIONS.values(), "8"),
}  # fmt: skip
_TRANSACTIONS = {"1": "bust", "2": "correct", "3": "status"}


def word_of(type: str, pairs: Mapping[int, str], *, is_ours: bool) -> str:
    """Return the neutral word for a message of the client, or of ours; the wire's type where there is none."""
    if type == "V":
        return "unsubscribe" if pairs.get(263) == "2" else "subscribe"
    if type == "8":
        if (transaction := pairs.get(20, "0")) in _TRANSACTIONS:
            return _TRANSACTIONS[transaction]
        return _EXECUTIONS.get(pairs.get(150, ""), "exec")
    if type == "9":
        return "mod_rej" if pairs.get(434) == "2" else "cxl_rej"
    return (_TYPES_OUT if is_ours else _TYPES_IN).get(type, type)


def message_type(word: str, known: Dictionary) -> str:
    """Return the FIX type that a word means: a neutral word, a type, or FIX's name of one.  Raises ControlError."""
    if word in _WIRE_TYPES:
        return _WIRE_TYPES[word]
    if known.for_type(word) is not None:
        return word
    for spec in known.messages.values():
        if spec.name == word:
            return spec.type
    raise ControlError("invalid-argument", f"FIX {known.version} has no message {word}", "type")


def fields_of(pairs: list[tuple[int, str]], known: Dictionary) -> dict[str, Any]:
    """Name the fields of a message; a password is not shown."""
    found: dict[str, Any] = {}
    for tag, text in pairs:
        field = known.fields.get(tag)
        name = _NAMES.get(tag) or (field.name if field is not None else str(tag))
        value = "***" if tag in (554, 925) else _VALUES.get(tag, {}).get(text, text)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def pairs_of(fields: Mapping[str, Any], known: Dictionary) -> list[tuple[int, str]]:
    """Return tags and texts of named fields, in the sequence given.  Raises ControlError that names the field."""
    by_name = {field.name: tag for tag, field in known.fields.items()}
    pairs: list[tuple[int, str]] = []
    for name, value in fields.items():
        tag = _TAGS.get(name) or by_name.get(name)
        if tag is None:
            if not name.isdigit() or not 0 < int(name) < 10**9:
                raise ControlError("invalid-argument", f"FIX has no field {name}", name)
            tag = int(name)
        for one in value if isinstance(value, list) else [value]:
            pairs.append((tag, _text_of(tag, one, name)))
    return pairs


def _text_of(tag: int, value: Any, name: str) -> str:
    if isinstance(value, bool):
        return "Y" if value else "N"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if not isinstance(value, str) or SOH in value or not value.isascii():
        raise ControlError("invalid-argument", f"{name}: a text without separators, or a number, is expected", name)
    return _LETTERS.get(tag, {}).get(value, value)
