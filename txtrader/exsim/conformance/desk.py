"""Orders from the client's side: sent by hand, and every report held against the sums of those before."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from txtrader.exsim.conformance.case import Mismatch, Skipped
from txtrader.exsim.conformance.frames import Received, shown
from txtrader.exsim.conformance.peer import Peer
from txtrader.exsim.conformance.stage import Stage

__all__ = ["FILLED", "Desk"]

FILLED = "2"
_LIVE = frozenset("016AE59")
_OVER = frozenset("348C")


class _Known:
    """What the reports of one order have told so far."""

    def __init__(self) -> None:
        self.order_id: str | None = None
        self.done = Decimal(0)
        self.paid = Decimal(0)


class Desk:
    """One session with orders.  `report` gives the next report, after its arithmetic was checked."""

    def __init__(self, stage: Stage) -> None:
        if stage.plan.symbol is None:
            raise Skipped("orders are not sent without --orders SYMBOL")
        self.stage = stage
        self.plan = stage.plan
        self.peer: Peer = stage.log_on()
        self._mark = f"K{stage.now_ns:x}-"
        self._count = 0
        self._exec_ids: set[str] = set()
        self._orders: dict[str, _Known] = {}

    @property
    def is_42(self) -> bool:
        """Tell whether reports are those of 4.2, with 20 and other types of execution."""
        return self.plan.version == "4.2"

    @property
    def fill_types(self) -> tuple[str, ...]:
        """What 150 is for a fill."""
        return ("1", "2") if self.is_42 else ("F",)

    def new_id(self) -> str:
        """Return a ClOrdID that was not used today."""
        self._count += 1
        return f"{self._mark}{self._count}"

    def new(self, key: str, *, market: bool = False, header: dict[int, object] | None = None, **instead: object) -> int:
        """Send an order (D): a limit order to buy that rests, but for what `_TAG=value` says."""
        fields: dict[int | str, object] = {11: key, 21: "1", **self._instrument(), 60: self.peer.time()}
        fields |= {38: self.plan.quantity, 40: "1" if market else "2", 59: "0"}
        if not market:
            fields[44] = self.plan.price
        fields |= {int(name[1:]): value for name, value in instead.items()}
        return self.peer.send("D", *fields.items(), header=header)

    def change(self, kind: str, key: str, original: str, **instead: object) -> int:
        """Send a cancel (F) or a replace (G)."""
        fields: dict[int | str, object] = {11: key, 41: original, **self._instrument(), 60: self.peer.time()}
        fields[38] = self.plan.quantity
        if kind == "G":
            fields |= {21: "1", 40: "2", 44: self.plan.price, 59: "0"}
        fields |= {int(name[1:]): value for name, value in instead.items()}
        return self.peer.send(kind, *fields.items())

    def ask(self, kind: str, **fields: object) -> int:
        """Send another request with the instrument and these fields."""
        body = self._instrument() | {int(name[1:]): value for name, value in fields.items()}
        return self.peer.send(kind, *body.items())

    def _instrument(self) -> dict[int | str, object]:
        fields: dict[int | str, object] = {55: self.plan.symbol, 54: "1"}
        if self.plan.account is not None:
            fields[1] = self.plan.account
        return fields

    def report(self, key: str, what: str, has: dict[int, str | tuple[str, ...] | None], *also: str) -> Received:
        """Return the next report, which must be this; reports that something is pending are passed over."""
        while True:
            found = self.peer.expect("8", *also, what=f"ExecutionReport (35=8) of {key}: {what}")
            if found.type == "8":
                if not self._is_ours(found):
                    continue
                self.check(found)
                if found.get(150) in ("A", "6", "E") and "pending" not in what:
                    continue
            break
        if found.type == "8" and key not in (found.get(11), found.get(41)):
            raise Mismatch(f"a report with 11={key} ({what})", shown(found.data))
        for tag, wanted in has.items():
            value = found.get(tag)
            if found.type == "8" and (value not in wanted if isinstance(wanted, tuple) else value != wanted):
                text = "/".join(wanted) if isinstance(wanted, tuple) else wanted
                raise Mismatch(f"{what}: a report with {tag}={text}", shown(found.data))
        return found

    def accepted(self, key: str) -> Received:
        """Expect that an order was taken."""
        return self.report(key, "the order is accepted", {150: "0", 39: "0", 11: key})

    def canceled(self, key: str) -> Received:
        """Expect that an order, or what remains of it, is gone."""
        return self.report(key, "it is canceled", {150: "4", 39: "4"})

    def _is_ours(self, report: Received) -> bool:
        """Tell whether a report is of this case: others may live on from before."""
        return any((report.get(tag) or "").startswith(self._mark) for tag in (11, 41)) or 11 not in report

    def check(self, report: Received) -> None:
        """Hold the quantities of a report against each other, and against the order's earlier ones."""
        for tag in (37, 17, 150, 39, 54, 55, 151, 14, *((20,) if self.is_42 else ())):
            if report.get(tag) is None:
                raise Mismatch(f"ExecutionReport (35=8) with {tag}", shown(report.data))
        if (report.get(17) or "0") in self._exec_ids and not self._is_status(report):
            raise Mismatch("an ExecID (17) that was not used before", shown(report.data))
        self._exec_ids.add(report.get(17) or "0")
        done, left, quantity = (self._decimal(report, tag) for tag in (14, 151, 38))
        assert done is not None and left is not None, "they are required, and were looked for"
        status = report[39]
        if status in _LIVE and quantity is not None and done + left != quantity:
            raise Mismatch(f"CumQty (14) + LeavesQty (151) = OrderQty (38) = {quantity}", shown(report.data))
        if status in _OVER and left:
            raise Mismatch("LeavesQty (151) of 0 for an order that is over", shown(report.data))
        if status == FILLED and (left or (quantity is not None and done < quantity)):
            raise Mismatch(
                "a filled order with CumQty (14) = OrderQty (38) and LeavesQty (151) = 0", shown(report.data)
            )
        known = self._orders.setdefault(report[37], _Known())
        if report[150] in self.fill_types and not self._is_status(report):
            self._add(known, report)
        if status != "8" and done != known.done:
            raise Mismatch(f"CumQty (14) = {known.done}, the sum of the fills", shown(report.data))

    def _add(self, known: _Known, report: Received) -> None:
        quantity, price, average = (self._decimal(report, tag) for tag in (32, 31, 6))
        if quantity is None or price is None or quantity <= 0:
            raise Mismatch("a fill with LastQty (32) above 0 and LastPx (31)", shown(report.data))
        known.done += quantity
        known.paid += quantity * price
        if average is not None:
            step = Decimal(1).scaleb(int(average.as_tuple().exponent))
            if abs(average - known.paid / known.done) > step:
                raise Mismatch(f"AvgPx (6) = {known.paid / known.done:.8f}", shown(report.data))

    def _is_status(self, report: Received) -> bool:
        return report.get(20) == "3" if self.is_42 else report.get(150) == "I"

    def _decimal(self, report: Received, tag: int) -> Decimal | None:
        text = report.get(tag)
        if text is None:
            return None
        try:
            return Decimal(text)
        except InvalidOperation:
            raise Mismatch(f"a number in {tag}", shown(report.data)) from None
