"""What a FIX client makes of market data: the entries of a message, and a book of orders put together from them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fix_client import FixClient

from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.validation import find_fault

__all__ = ["OrdersSeen", "ask", "entries", "entries_of", "until_answered"]


def ask(client: FixClient, request: str, kind: int, *types: int | str, symbols: Any = ("IBM",), **more: Any) -> None:
    """Send V; fields more are written `_266="N"`."""
    fields: list[tuple[int, Any]] = [(262, request), (263, kind), (264, more.pop("depth", 0))]
    if kind == 1:
        fields.append((265, 1))
    fields += [(int(tag[1:]), value) for tag, value in more.items()]
    asked = [(269, one) for one in types]
    client.send("V", *fields, (267, len(types)), *asked, (146, len(symbols)), *[(55, one) for one in symbols])


def entries_of(client: FixClient, kind: str) -> list[dict[int, str]]:
    """Return the entries of the message that came last, after a look at it with the dictionary of its version."""
    fields = [(int(tag), value.decode()) for tag, value in client.last.pairs]
    message = Message(kind, [pair for pair in fields if pair[0] not in (9, 10)])
    assert find_fault(message, dictionary(client.version)) is None, message
    group = dictionary(client.version).messages[kind].groups[268]
    found = []
    for entry in message.entries(268, group.first, group.tags):
        assert len(entry.index) == len(entry.fields), "an entry says a thing once"
        found.append(dict(entry.fields))
    assert len(found) == int(message[268])
    return found


def entries(client: FixClient, kind: str) -> list[dict[int, str]]:
    """Return the entries of the next message, which is a W or an X."""
    client.next(kind)
    return entries_of(client, kind)


def until_answered(client: FixClient) -> list[list[dict[int, str]]]:
    """Return the entries of each X that comes before the answer of a question that is asked now."""
    client.send("e", (324, "now"), (55, "IBM"), (263, 0))
    found: list[list[dict[int, str]]] = []
    while client.next("X", "f")[35] == "X":
        found.append(entries_of(client, "X"))
    return found


class OrdersSeen:
    """A book of single orders: a picture, and each entry after it applied in its turn."""

    def __init__(self, client: FixClient, picture: list[dict[int, str]]) -> None:
        self.sides: dict[str, list[tuple[str, Decimal, Decimal]]] = {"0": [], "1": []}
        for entry in picture:
            if (side := self.sides.get(entry[269])) is not None and entry[271] != "0":
                assert (278 in entry) == (client.version == "FIXT.1.1") and 346 not in entry
                assert entry.get(278, entry[37]) == entry[37]
                side.append((entry[37], Decimal(entry[270]), Decimal(entry[271])))
                assert int(entry[290]) == len(side)

    def apply(self, changes: list[dict[int, str]]) -> None:
        for entry in changes:
            side = self.sides.get(entry[269])
            if side is None:
                continue
            known = {one[0]: place for place, one in enumerate(side)}
            name = entry[278]
            assert entry[37] == name and 346 not in entry
            assert (name in known) == (entry[279] != "0"), entry
            if entry[279] != "0":
                del side[known[name]]
            if entry[279] != "2":
                side.insert(int(entry[290]) - 1, (name, Decimal(entry[270]), Decimal(entry[271])))
        for kind, side in self.sides.items():
            prices = [price if kind == "1" else -price for _, price, _ in side]
            assert prices == sorted(prices)

    @property
    def orders(self) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """Price and size of each, bids and offers, in priority."""
        return tuple([one[1:] for one in self.sides[kind]] for kind in "01")  # type: ignore[return-value]
