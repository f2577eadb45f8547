"""Orders: what becomes of them is told by reports whose sums are right."""

from __future__ import annotations

from decimal import Decimal

from txtrader.exsim.conformance.case import ACCEPTOR, SHOULD, Chapter, Mismatch, Skipped
from txtrader.exsim.conformance.desk import FILLED, Desk
from txtrader.exsim.conformance.frames import Received, shown
from txtrader.exsim.conformance.stage import Stage

__all__ = ["CASES"]

CASES = Chapter("order", roles=(ACCEPTOR,))
_ORDERS = "FIX 4.4 vol. 4, Order state changes"
_SINCE_44 = ("4.4", "5.0SP2")


def _resting(desk: Desk) -> str:
    key = desk.new_id()
    desk.new(key)
    desk.accepted(key)
    return key


def _clean(desk: Desk, key: str) -> None:
    """Cancel what a case left behind."""
    desk.change("F", desk.new_id(), key)
    desk.canceled(key)


def _refused(desk: Desk, key: str, what: str) -> Received:
    """Expect that an order is not taken, in whichever of the three ways."""
    found = desk.report(key, what, {150: "8", 39: "8", 14: "0"}, "3", "j")
    if found.type == "8" and found.get(103) is None:
        raise Mismatch(f"{what}: a report with 103", shown(found.data))
    return found


@CASES.add("rests", "A limit order below the market rests, and is canceled", f"{_ORDERS} D1, F1", needs="orders")
def rests(stage: Stage) -> None:
    desk = Desk(stage)
    key, cancel = desk.new_id(), desk.new_id()
    desk.new(key)
    taken = desk.accepted(key)
    desk.change("F", cancel, key)
    gone = desk.report(key, "it is canceled", {150: "4", 39: "4", 11: cancel, 41: key, 151: "0"})
    stage.require(gone, {37: taken[37]}, "one OrderID for the order's life: a report")


@CASES.add(
    "duplicate-id", "A ClOrdID that was used is refused, the first order unharmed", f"{_ORDERS} A", needs="orders"
)
def duplicate_id(stage: Stage) -> None:
    desk = Desk(stage)
    key = _resting(desk)
    desk.new(key)
    _refused(desk, key, "the second order of this id is refused")
    _clean(desk, key)


@CASES.add(
    "unknown-cancel", "A cancel of what is not there: OrderCancelReject with 102=1", f"{_ORDERS} F1", needs="orders"
)
def unknown_cancel(stage: Stage) -> None:
    desk = Desk(stage)
    key = desk.new_id()
    desk.change("F", key, "NO-SUCH-ORDER")
    desk.peer.expect("9", has={11: key, 41: "NO-SUCH-ORDER", 434: "1", 102: "1"})
    desk.peer.fence()


@CASES.add(
    "unknown-replace", "A replace of what is not there: OrderCancelReject with 434=2", f"{_ORDERS} G1", needs="orders"
)
def unknown_replace(stage: Stage) -> None:
    desk = Desk(stage)
    key = desk.new_id()
    desk.change("G", key, "NO-SUCH-ORDER")
    desk.peer.expect("9", has={11: key, 434: "2", 102: "1"})
    desk.peer.fence()


@CASES.add("replace", "A replace changes quantity and keeps the order", f"{_ORDERS} G1", needs="orders")
def replace(stage: Stage) -> None:
    desk = Desk(stage)
    key = _resting(desk)
    change, quantity = desk.new_id(), str(int(desk.plan.quantity) * 2)
    desk.change("G", change, key, _38=quantity)
    found = desk.report(change, "it is replaced", {150: "5", 11: change, 41: key, 14: "0"})
    if Decimal(found.get(38) or 0) != Decimal(quantity):
        raise Mismatch(f"a report with 38={quantity}", shown(found.data))
    _clean(desk, change)


@CASES.add(
    "old-name", "After a replace the old ClOrdID names nothing", f"{_ORDERS} G1", severity=SHOULD, needs="orders"
)
def old_name(stage: Stage) -> None:
    desk = Desk(stage)
    key = _resting(desk)
    change = desk.new_id()
    desk.change("G", change, key)
    desk.report(change, "it is replaced", {150: "5"})
    desk.change("F", desk.new_id(), key)
    desk.peer.expect("9", has={434: "1"})
    _clean(desk, change)


@CASES.add("fill", "A market order is filled, and the sums are right", f"{_ORDERS} A", needs="orders")
def fill(stage: Stage) -> None:
    desk = Desk(stage)
    _fill(desk, desk.new_id())
    desk.peer.fence()


def _fill(desk: Desk, key: str) -> Received:
    desk.new(key, market=True)
    desk.accepted(key)
    while True:
        found = desk.report(key, "it is filled", {150: desk.fill_types, 39: ("1", FILLED)})
        if found[39] == FILLED:
            return found


@CASES.add("too-late", "A cancel of a filled order: OrderCancelReject with 102 0 or 1", f"{_ORDERS} F3", needs="orders")
def too_late(stage: Stage) -> None:
    desk = Desk(stage)
    key = desk.new_id()
    _fill(desk, key)
    desk.change("F", desk.new_id(), key)
    found = desk.peer.expect("9", has={41: key, 434: "1", 102: ("0", "1")})
    if found.get(102) == "0":
        stage.require(found, {39: FILLED}, "OrderCancelReject (35=9)")


@CASES.add("immediate", "Immediate-or-cancel that finds nothing is gone", f"{_ORDERS} E", needs="orders")
def immediate(stage: Stage) -> None:
    _passes_away(stage, "3")


@CASES.add("fill-or-kill", "Fill-or-kill that finds nothing is gone", f"{_ORDERS} E", needs="orders")
def fill_or_kill(stage: Stage) -> None:
    _passes_away(stage, "4")


def _passes_away(stage: Stage, tif: str) -> None:
    desk = Desk(stage)
    key = desk.new_id()
    desk.new(key, _59=tif)
    found = desk.report(key, "accepted, canceled, expired or rejected", {39: ("0", "4", "C", "8"), 14: "0"})
    if found[39] == "0":
        desk.report(key, "canceled or expired at once", {39: ("4", "C"), 14: "0", 151: "0"})
    desk.peer.fence()


@CASES.add("unknown-symbol", "An order for a symbol that there is not is refused", f"{_ORDERS} A", needs="orders")
def unknown_symbol(stage: Stage) -> None:
    desk = Desk(stage)
    key = desk.new_id()
    desk.new(key, _55="NO-SUCH-SYMBOL")
    _refused(desk, key, "there is no such symbol")
    desk.peer.fence()


@CASES.add("no-quantity", "An order of quantity 0 is refused", f"{_ORDERS} A", needs="orders")
def no_quantity(stage: Stage) -> None:
    desk = Desk(stage)
    key = desk.new_id()
    desk.new(key, _38="0")
    _refused(desk, key, "a quantity of 0 is none")
    desk.peer.fence()


@CASES.add("no-price", "A limit order without a price is refused", f"{_ORDERS} A", needs="orders")
def no_price(stage: Stage) -> None:
    desk = Desk(stage)
    key = desk.new_id()
    desk.new(key, market=True, _40="2")
    _refused(desk, key, "a limit order needs 44")
    desk.peer.fence()


@CASES.add(
    "status", "A status request is answered by the order's state", f"{_ORDERS}; OrderStatusRequest", needs="orders"
)
def status(stage: Stage) -> None:
    desk = Desk(stage)
    key = _resting(desk)
    desk.ask("H", _11=key)
    desk.report(key, "its state", {20: "3", 39: "0"} if desk.is_42 else {150: "I", 39: "0"})
    _clean(desk, key)


@CASES.add(
    "unknown-status",
    "A status request for what is not there is answered as rejected",
    f"{_ORDERS}; OrderStatusRequest",
    needs="orders",
    severity=SHOULD,
)
def unknown_status(stage: Stage) -> None:
    desk = Desk(stage)
    desk.ask("H", _11="NO-SUCH-ORDER")
    found = desk.peer.expect("8", "j", what="ExecutionReport (35=8) with 39=8, or BusinessMessageReject (35=j)")
    if found.type == "8":
        stage.require(found, {39: "8"}, "ExecutionReport (35=8)")
    desk.peer.fence()


@CASES.add(
    "mass-cancel",
    "A mass cancel of a symbol takes all its orders",
    "FIX 4.4 vol. 4, OrderMassCancelRequest",
    needs="orders",
    versions=_SINCE_44,
    severity=SHOULD,
)
def mass_cancel(stage: Stage) -> None:
    desk = Desk(stage)
    keys = [_resting(desk), _resting(desk)]
    number = desk.ask("q", _11=desk.new_id(), _530="1", _60=desk.peer.time())
    left = set(keys)
    while left:
        found = desk.peer.expect("8", "r", "j", what="OrderMassCancelReport (35=r) and a report for each order")
        if found.type == "j" and found.get(45) == str(number):
            for key in keys:
                _clean(desk, key)
            raise Skipped("mass cancels are not served")
        if found.type == "8":
            desk.check(found)
            left -= {found.get(11), found.get(41)} if found.get(39) == "4" else set()
        elif found.get(531) == "0":
            raise Mismatch("a mass cancel that is accepted (531=1)", shown(found.data))
    desk.peer.fence(skips=("r",))


@CASES.add(
    "resent",
    "Reports that are asked for again come marked, and else as they were",
    "FIX 4.4 vol. 2, session test 8",
    needs="orders",
)
def resent(stage: Stage) -> None:
    desk = Desk(stage)
    key = desk.new_id()
    desk.new(key)
    first = desk.accepted(key)
    number = int(first[34])
    desk.peer.send("2", (7, number), (16, number))
    found = desk.peer.next_of_resend(f"the report of number {number} again")
    stage.require(found, {35: "8", 34: str(number), 43: "Y"}, "the report again")
    # 122 is the first 52, at the precision that the target keeps.
    stage.require(found, {17: first[17], 11: key, 39: "0"}, "the report again")
    if (found.get(122) or "")[:17] != first[52][:17]:
        raise Mismatch(f"122={first[52]}, the time of its first sending", shown(found.data))
    _clean(desk, key)


@CASES.add(
    "possible-resend",
    "An order with 97=Y and an id that was seen makes no second order",
    "FIX 4.4 vol. 2, session test 19a",
    needs="orders",
)
def possible_resend(stage: Stage) -> None:
    desk = Desk(stage)
    key = _resting(desk)
    desk.new(key, header={97: "Y"})
    desk.ask("H", _11=key)
    what = "no second order: nothing, its state or a refusal, then the answer to a status request"
    while True:
        found = desk.peer.expect("8", what=what)
        desk.check(found)
        if found.get(150) == "0" and found.get(20) != "3":
            raise Mismatch(what, shown(found.data))
        if found.get(150) == "I" or found.get(20) == "3":
            break
    _clean(desk, key)


@CASES.add(
    "survives",
    "A resting order is known after a lost connection",
    f"{_ORDERS}; OrderStatusRequest",
    needs="orders",
    severity=SHOULD,
)
def survives(stage: Stage) -> None:
    desk = Desk(stage)
    if not stage.plan.resets:
        raise Skipped("the target begins at 1 at each logon (--no-reset)")
    key = _resting(desk)
    number = desk.peer.next_number
    desk.peer.cut()
    desk.peer = stage.log_on(number=number, resets=False)
    desk.ask("H", _11=key)
    found = desk.report(key, "its state", {39: ("0", "4")})
    if found[39] == "4":
        raise Skipped("the target cancels orders when their connection is lost")
    _clean(desk, key)
