"""What watchers of a market are told, and that it is true."""

from __future__ import annotations

from decimal import Decimal

from exsim_venue import ACME, Eye, Stage
from hypothesis import given
from hypothesis import strategies as st

from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.market import row_changes
from txtrader.exsim.records import DepthRow, Phase
from txtrader.model.order import Side

D = Decimal


def test_a_quote_is_told_once_a_message_that_changes_the_best():
    stage, eye = Stage(), Eye()
    stage.venue.watch(ACME.id, eye)
    stage.buy(10, "99.00")
    stage.buy(10, "98.00")  # not the best: nothing to tell
    stage.sell(5, "101.00")
    stage.sell(30, "98.00")  # sweeps two levels and rests: one quote
    assert [(top.bid, top.bid_size, top.ask, top.ask_size) for top in eye.of("top")] == [
        (99, 10, None, None),
        (99, 10, 101, 5),
        (None, None, 98, 10),
    ]
    assert [(trade.price, trade.size, trade.aggressor) for trade in eye.of("print")] == [
        (99, 10, Side.SELL),
        (98, 10, Side.SELL),
    ]
    numbers = [trade.number for trade in eye.of("print")]
    assert numbers == [numbers[0], numbers[0] + 1]


def test_prints_carry_the_sessions_volume_and_stats_its_extremes():
    stage, eye = Stage(), Eye()
    base = stage.venue.stats(ACME.id)
    stage.venue.watch(ACME.id, eye)
    high = (base.high + 1).quantize(D("0.01"))
    stage.trade_at(str(high))
    assert eye.of("print")[-1].volume == base.volume + 1
    assert eye.of("stats")[-1].high == high
    assert stage.venue.stats(ACME.id).last == high
    assert stage.venue.last_print(ACME.id) == eye.of("print")[-1]


def test_no_prints_after_the_watch_is_closed():
    stage, eye = Stage(), Eye()
    watch = stage.venue.watch(ACME.id, eye, depth=5)
    watch.close()
    watch.close()
    eye.seen.clear()
    stage.buy(10, "99.00")
    assert eye.seen == []


def test_a_halt_is_told():
    stage, eye = Stage(), Eye()
    stage.venue.watch(ACME.id, eye)
    stage.venue.set_phase(ACME.id, Phase.HALT)
    assert eye.of("phase") == [Phase.HALT] and stage.venue.phase(ACME.id) is Phase.HALT


def test_the_end_of_each_message_is_told_after_all_that_it_did():
    class Ends(Eye):
        def published(self, listing_id):
            self.seen.append(("end", listing_id))

    stage, ends = Stage(), Ends()
    stage.venue.watch(ACME.id, ends, depth=5)
    ends.seen.clear()
    stage.sell(10, "100.00")
    stage.buy(10, "100.00")
    kinds = [kind for kind, _ in ends.seen]
    assert kinds.count("end") == 2 and kinds[-1] == "end"
    assert kinds.index("end") < kinds.index("print")


def test_a_watcher_that_fails_hurts_nobody_else(expected_failures):
    expected_failures.append("A watcher of ACME failed")

    class Broken(MarketListener):
        def top_changed(self, top):
            raise RuntimeError("a bug of its own")

    stage, eye = Stage(), Eye()
    stage.venue.watch(ACME.id, Broken())
    stage.venue.watch(ACME.id, eye)
    stage.buy(10, "99.00")
    assert len(eye.of("top")) == 1


def apply(view, changes):
    for change in changes:
        rows = view[change.side]
        if change.operation == "insert":
            rows.insert(change.position, change.row)
        elif change.operation == "update":
            rows[change.position] = change.row
        else:
            assert rows[change.position].price == change.row.price
            del rows[change.position]


def test_depth_steps_rebuild_the_book_at_every_moment():
    stage = Stage(has_house=True, activity="fast")

    class Rows(MarketListener):
        def __init__(self):
            self.view = {Side.BUY: [], Side.SELL: []}
            self.batches = 0

        def depth_changed(self, listing_id, changes):
            apply(self.view, changes)
            self.batches += 1
            bids, asks = stage.venue.depth(listing_id, 5)
            assert (self.view[Side.BUY], self.view[Side.SELL]) == (bids, asks)

    rows = Rows()
    stage.venue.watch(ACME.id, rows, depth=5)
    assert len(rows.view[Side.BUY]) == len(rows.view[Side.SELL]) == 5
    stage.clock.pump([0.02] * 1_000)
    assert rows.batches > 300


ladders = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 3)), max_size=6, unique_by=lambda row: row[0])


def ladder(rows, side):
    made = [DepthRow(price=D(price), size=D(size), count=1) for price, size in rows]
    return sorted(made, key=lambda row: row.price, reverse=side is Side.BUY)


@given(ladders, ladders, st.sampled_from(list(Side)[:2]))
def test_row_changes_lead_from_any_view_to_any_other(old, new, side):
    before, after = ladder(old, side), ladder(new, side)
    view = {side: list(before)}
    apply(view, row_changes(side, before, after))
    assert view[side] == after
