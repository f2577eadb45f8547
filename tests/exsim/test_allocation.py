"""Matching rules: the divisions as they are written down, rules of one's own, and rules at work in a book."""

from __future__ import annotations

from decimal import Decimal

import pytest
from exsim_venue import ACME, Stage
from hypothesis import given
from hypothesis import strategies as st

from txtrader.errors import InvalidArgument
from txtrader.exsim.allocation import Claim, add_rule, make_rule, rule_names
from txtrader.exsim.records import Changes

D = Decimal


def shares(rule, quantity, sizes, setter=None, *, min_allocation=1, top_max=0):
    made = make_rule(rule, min_allocation=min_allocation, top_max=top_max, on_fault=lambda name: None)
    return made.shares(quantity, [Claim(n, size, n == setter) for n, size in enumerate(sizes)])


@pytest.mark.parametrize(
    ("rule", "quantity", "sizes", "options", "wanted"),
    [
        ("pro_rata", 255, (100, 300, 600), {}, [26, 76, 153]),
        ("pro_rata", 255, (100, 300, 600), {"min_allocation": 50}, [26, 76, 153]),
        ("pro_rata", 1000, (100, 300, 600), {}, [100, 300, 600]),
        ("pro_rata", 2, (1, 1, 1), {}, [1, 1, 0]),
        ("pro_rata", 100, (300, 100, 600), {"min_allocation": 20}, [40, 0, 60]),
        ("pro_rata_top", 255, (100, 300, 600), {"top_max": 55, "setter": 0}, [55 + 9 + 2, 63, 126]),
        ("pro_rata_top", 255, (100, 300, 600), {"top_max": 55}, [26, 76, 153]),
        ("pro_rata_top", 40, (100, 300), {"top_max": 55, "setter": 0}, [40, 0]),
        ("size_time", 700, (300, 600, 300), {}, [100, 600, 0]),
    ],
)
def test_the_divisions_are_as_they_are_written_down(rule, quantity, sizes, options, wanted):
    assert shares(rule, quantity, sizes, **options) == wanted


@given(
    st.sampled_from(("pro_rata", "pro_rata_top", "size_time")),
    st.integers(1, 2_000),
    st.lists(st.integers(1, 500), min_size=1, max_size=12),
    st.integers(1, 60),
    st.integers(0, 100),
    st.booleans(),
)
def test_a_division_gives_out_all_and_no_one_more_than_he_shows(rule, quantity, sizes, least, top, has_setter):
    got = shares(rule, quantity, sizes, 0 if has_setter else None, min_allocation=least, top_max=top)
    assert sum(got) == min(quantity, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(got, sizes, strict=True))


def fills(stage, orders):
    return [int(order.filled) for order in orders]


def test_a_book_divides_by_its_rule_the_best_price_first():
    stage = Stage(matching="pro_rata")
    better = stage.sell(5, "99.99")
    orders = [stage.sell(size, "100.00") for size in (100, 300, 600)]
    stage.buy(260, "100.00")
    assert fills(stage, [better, *orders]) == [5, 26, 76, 153]


def test_an_iceberg_takes_part_with_what_it_shows():
    stage = Stage(matching="pro_rata")
    iceberg, plain = stage.sell(500, "100.00", display_quantity=D(100)), stage.sell(100, "100.00")
    stage.buy(100, "100.00")
    assert fills(stage, [iceberg, plain]) == [50, 50]
    stage.buy(110, "100.00")
    assert fills(stage, [iceberg, plain]) == [50 + 50 + 10, 100], "what is over meets the new slice"


def test_the_order_that_set_the_price_is_served_first_while_it_keeps_its_place():
    stage = Stage(matching="pro_rata_top", top_max=D(10))
    first, second = stage.sell(50, "100.00"), stage.sell(50, "100.00")
    stage.buy(20, "100.00")
    assert fills(stage, [first, second]) == [10 + 4 + 1, 5]
    assert stage.venue.replace("b", first.id, Changes(quantity=D(80))) is None  # to the end: nobody set it any more
    stage.buy(11, "100.00")
    assert fills(stage, [first, second]) == [15 + 6, 5 + 4 + 1]


def test_hidden_orders_come_after_the_division_by_time():
    stage = Stage(matching="size_time")
    hidden = [stage.sell(5, "100.00", hidden=True), stage.sell(50, "100.00", hidden=True)]
    shown = [stage.sell(5, "100.00"), stage.sell(10, "100.00")]
    stage.buy(18, "100.00")
    assert fills(stage, shown + hidden) == [5, 10, 3, 0]


def test_too_small_a_share_for_a_minimum_goes_to_the_others():
    stage = Stage(matching="pro_rata")
    choosy = stage.sell(50, "100.00", min_quantity=D(30))
    plain = stage.sell(50, "100.00")
    stage.buy(40, "100.00")
    assert fills(stage, [choosy, plain]) == [0, 40]


def test_a_books_rule_can_be_changed_while_orders_rest():
    stage = Stage()
    orders = [stage.sell(10, "100.00"), stage.sell(90, "100.00")]
    assert stage.venue.set_book_option(ACME.id, "matching", "size_time") == ("price_time", "size_time")
    stage.buy(10, "100.00")
    assert fills(stage, orders) == [0, 10]
    stage.venue.set_book_option(ACME.id, "matching", "price_time")
    stage.buy(10, "100.00")
    assert fills(stage, orders) == [10, 10]
    assert stage.venue._market(ACME.id).book.specials == 0


class NewestFirst:
    """A rule of one's own."""

    def __init__(self, *, min_allocation, top_max):
        self.options = (min_allocation, top_max)

    def shares(self, quantity, claims):
        got = [0] * len(claims)
        for turn in reversed(range(len(claims))):
            got[turn] = min(quantity, claims[turn].shown)
            quantity -= got[turn]
        return got


class Greedy(NewestFirst):
    def shares(self, quantity, claims):
        return [quantity for _ in claims]


def test_a_rule_of_ones_own_is_chosen_by_its_name():
    with pytest.raises(InvalidArgument):
        Stage(matching="newest_first")
    add_rule("newest_first", NewestFirst)
    assert "newest_first" in rule_names()
    stage = Stage(matching="newest_first")
    orders = [stage.sell(10, "100.00"), stage.sell(10, "100.00")]
    stage.buy(12, "100.00")
    assert fills(stage, orders) == [2, 10]
    with pytest.raises(InvalidArgument):
        add_rule("pro_rata", NewestFirst)


def test_a_rule_that_divides_what_is_not_there_is_replaced_by_time_and_said(expected_failures):
    expected_failures.append("The matching rule greedy failed")
    add_rule("greedy", Greedy)
    stage = Stage(matching="greedy")
    orders = [stage.sell(10, "100.00"), stage.sell(10, "100.00")]
    stage.buy(12, "100.00")
    assert fills(stage, orders) == [10, 2]
    assert [record[4] for record in stage.venue.tape.of_kind("rule_failed")] == ["greedy"]
