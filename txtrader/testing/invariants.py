"""The checker: evaluate the invariants of the gateway after a fault test.

Evidence comes from three sides that share no code: the venue's drop copy (`Witness`), the gateway's journal
(`JournalCopy`) and what clients were told (`History`, events).  Each check returns its findings as sentences; no
findings is good news.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from txtrader.model.execution import ExecType, Execution
from txtrader.model.order import Order, OrderStatus, Provenance
from txtrader.testing.evidence import JournalCopy
from txtrader.testing.history import History
from txtrader.testing.witness import Witness

__all__ = ["check_all", "standing"]

ZERO = Decimal(0)


def standing(executions: Iterable[Execution]) -> dict[str, Execution]:
    """Return the executions that count: corrected and busted ones are gone, a bust itself counts nothing."""
    known = {execution.exec_id: execution for execution in executions}
    for execution in list(known.values()):
        if execution.replaces is not None:
            known.pop(execution.replaces, None)
    return {name: execution for name, execution in known.items() if execution.exec_type is not ExecType.BUST}


def check_sent_once(witness: Witness, journal: JournalCopy, histories: Sequence[History]) -> list[str]:
    """I1: at most one new order at the broker for each key, and one answer for it everywhere."""
    found = [
        f"I1: {count} new orders at the broker for {ref}"
        for ref, count in witness.news.items()
        if count > 1 and ref in journal.orders
    ]
    answers: dict[str, set[str]] = defaultdict(set)
    for history in histories:
        for record in history.acknowledged():
            if record.get("client_order_id") is not None:
                answers[record["client_order_id"]].add(record["id"])
    for key, ids in answers.items():
        if len(ids) > 1:
            found.append(f"I1: key {key} was answered with {sorted(ids)}")
    for (_, _, key), order_id in journal.keys.items():
        if answers.get(key, {order_id}) != {order_id}:
            found.append(f"I1: key {key} is {order_id} in the journal and {answers[key]} for its clients")
    return found


def check_acknowledged(journal: JournalCopy, histories: Sequence[History]) -> list[str]:
    """I2: each order that a client was told of is in the journal."""
    return [
        f"I2: {record['id']} was acknowledged and is not in the journal"
        for history in histories
        for record in history.acknowledged()
        if record["id"] not in journal.orders
    ]


def check_no_false_end(witness: Witness, journal: JournalCopy) -> list[str]:
    """I3: an order that is over in the journal is over for the reason that the broker gave."""
    found = []
    for order in journal.orders.values():
        seen = witness.by_ref(order.order_ref or order.id)
        problem = _false_end(order, [known.status for known in seen])
        if problem:
            found.append(f"I3: {order.id} is {order.status} ({order.provenance}) but {problem}: {seen}")
    return found


def _false_end(order: Order, at_broker: Sequence[OrderStatus]) -> str | None:
    if not order.status.is_terminal:
        return None
    if order.status is OrderStatus.REJECTED and order.provenance is Provenance.LOCAL_DENY:
        return "the broker has it" if at_broker else None
    if order.status is OrderStatus.LOST:
        if order.provenance not in (Provenance.RECONCILED, Provenance.POLICY, Provenance.OPERATOR):
            return "nobody is named who settled it"
        return "the broker has it" if at_broker else None
    if not at_broker:
        return "the broker never saw it"
    words = {order.status, OrderStatus.EXPIRED} if order.status is OrderStatus.CANCELED else {order.status}
    # Some wires (TWS) have one word for both ends: an expired order is reported as cancelled.
    return None if words & set(at_broker) else f"the broker says {[str(status) for status in at_broker]}"


def check_conservation(witness: Witness, journal: JournalCopy, *, is_at_rest: bool = True) -> list[str]:
    """I4: unique executions sum to the broker's fills, order by order, and no order is filled beyond its quantity.

    Not at rest, after a kill, the journal may lack what the broker has done; it never has more.
    """
    found = []
    ours: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for execution in standing(journal.executions.values()).values():
        ours[execution.order_id or execution.order_ref or execution.permid or "?"] += execution.shares
    for order in journal.orders.values():
        if not ZERO <= order.filled <= order.quantity:
            found.append(f"I4: {order.id} is filled {order.filled} of {order.quantity}")
        if is_at_rest and ours[order.id] != order.filled:
            found.append(f"I4: {order.id} says filled {order.filled}, its executions say {ours[order.id]}")
        theirs = sum((known.filled for known in witness.by_ref(order.order_ref or order.id)), ZERO)
        if order.origin == "client" and (ours[order.id] != theirs if is_at_rest else ours[order.id] > theirs):
            found.append(f"I4: {order.id} has executions for {ours[order.id]}, the broker filled {theirs}")
    return found


def check_dense(journal: JournalCopy) -> list[str]:
    """I5, first half: in each channel of each epoch the seq rises by one."""
    found = []
    for (epoch, channel), events in journal.events.items():
        seqs = [event.seq for event in events if event.seq is not None]
        if seqs and seqs != list(range(seqs[0], seqs[0] + len(seqs))):
            found.append(f"I5: the seqs of {channel} in {epoch} have gaps: {seqs}")
    return found


def check_streams(journal: JournalCopy, streams: Sequence[Sequence[Mapping[str, Any]]]) -> list[str]:
    """I5, second half: what each client was sent is what the journal holds, each event once and in sequence.

    A stream is the payloads of one client with the envelope inside (option `sequence`), over all its connections.
    """
    found = []
    for stream in streams:
        heads: dict[tuple[str, str], int] = {}
        for data in stream:
            place = (data["epoch"], data["channel"])
            seq = int(data["seq"])
            last = heads.get(place)
            if last is not None and seq <= last:
                found.append(f"I5: {place} went from {last} to {seq}: an event came twice or late")
            if last is not None and seq > last and data.get("prev") not in (last, None):
                found.append(f"I5: {place} {seq} says that {data['prev']} was before it, the client had {last}")
            heads[place] = seq
            known = {event.seq: event for event in journal.events.get(place, [])}
            if seq not in known:
                found.append(f"I5: {place} {seq} was sent and is not in the journal")
            elif known[seq].tag != data["tag"]:
                found.append(f"I5: {place} {seq} was sent with another tag")
    return found


def check_unique_executions(journal: JournalCopy) -> list[str]:
    """G6, F07: an execution is one event, and one more when its commission comes; never a third."""
    found = []
    for (epoch, channel), events in journal.events.items():
        if channel != "execution":
            continue
        told: dict[str, list[Any]] = defaultdict(list)
        for event in events:
            told[str(event.key)].append(event.data.get("commission"))
        for exec_id, commissions in told.items():
            if len(commissions) > 2 or (len(commissions) == 2 and commissions[0] == commissions[1]):
                found.append(f"F07: execution {exec_id} was told {len(commissions)} times in {epoch}: {commissions}")
    return found


def check_at_rest(witness: Witness, journal: JournalCopy, *, accounts: Iterable[str] | None = None) -> list[str]:
    """I6: when the faults are over, the gateway's orders are the broker's, and nothing is unknown."""
    found = []
    for order in journal.orders.values():
        if order.status is OrderStatus.UNKNOWN:
            found.append(f"I6: {order.id} is still unknown")
        seen = witness.by_ref(order.order_ref or order.id)
        if order.is_open and not any(known.is_open for known in seen) and order.origin == "client":
            found.append(f"I6: {order.id} is {order.status}, at the broker {seen}")
        for known in seen:
            if known.is_open and not order.is_open:
                found.append(f"I6: {order.id} is {order.status} and works at the broker: {known}")
    for known in witness.orders.values():
        if accounts is not None and known.account not in accounts:
            continue
        if known.is_open and known.ref and known.ref.startswith("TX-") and known.ref not in journal.orders:
            found.append(f"I6: {known} works at the broker and the gateway has no record of it")
    return found


def check_all(
    witness: Witness,
    journal: JournalCopy,
    histories: Sequence[History],
    streams: Sequence[Sequence[Mapping[str, Any]]] = (),
    *,
    is_at_rest: bool = True,
) -> None:
    """Evaluate I1 to I6; raises AssertionError with all the findings."""
    found = [
        *check_sent_once(witness, journal, histories),
        *check_acknowledged(journal, histories),
        *check_no_false_end(witness, journal),
        *check_conservation(witness, journal, is_at_rest=is_at_rest),
        *check_dense(journal),
        *check_streams(journal, streams),
        *check_unique_executions(journal),
        *(check_at_rest(witness, journal) if is_at_rest else ()),
    ]
    assert not found, "\n".join(found)
