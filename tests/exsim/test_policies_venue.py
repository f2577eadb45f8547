"""Policies about the venue and its data, ready-made ones, and the list of them, on a clock that the test moves."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from exsim_venue import ACME, BETA, Eye, Stage
from policy_room import rule

from txtrader.errors import InvalidArgument, NotFound
from txtrader.exsim.policies import Policy, ReadyPolicy, make_policy, policy_class, ready, register_policy
from txtrader.exsim.policies.faces import NotOffered
from txtrader.exsim.records import Phase
from txtrader.model.order import OrderStatus


@pytest.fixture
def stage():
    made = Stage()
    yield made
    made.venue.stop()
    assert made.clock.getDelayedCalls() == []


def add(stage, *rules, name="p", position=None, **scope):
    policy = Policy(name, rules, scope)
    stage.venue.policies.add(policy, position)
    return policy


def rejected(stage, count):
    return [stage.buy(1, "99.00").status is OrderStatus.REJECTED for _ in range(count)]


# -- what matches


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"match": {"type": "nwe"}, "action": {"do": "reject"}}, "rules[0].match.type"),
        ({"match": {"type": "new", "nth": 0}, "action": {"do": "reject"}}, "rules[0].match.nth"),
        ({"match": {"type": "new", "colour": 1}, "action": {"do": "reject"}}, "rules[0].match.colour"),
        ({"match": {"type": "new", "probability": 2}, "action": {"do": "reject"}}, "rules[0].match.probability"),
        (
            {"match": {"type": "new", "fields": {"price": {"~": 1}}}, "action": {"do": "reject"}},
            "rules[0].match.fields.price.~",
        ),
        (
            {"match": {"type": "new", "symbol": {"pattern": "("}}, "action": {"do": "reject"}},
            "rules[0].match.symbol.pattern",
        ),
        ({"match": {"type": "new", "time": {"from": "noon"}}, "action": {"do": "reject"}}, "rules[0].match.time.from"),
        ({"match": {"type": "new"}, "action": {"do": "rejct"}}, "rules[0].actions[0].do"),
        ({"match": {"type": "fill"}, "action": {"do": "reject"}}, "rules[0].actions[0].do"),
        ({"match": {"type": "new"}, "action": {"do": "reject", "reason": "bad mood"}}, "rules[0].actions[0].reason"),
        ({"match": {"type": "new"}, "action": {"do": "delay"}}, "rules[0].actions[0].seconds"),
        ({"match": {"type": "new"}, "action": {"do": "delay", "seconds": -1}}, "rules[0].actions[0].seconds"),
        ({"match": {"type": "new"}, "action": {"do": "fill", "share": 0}}, "rules[0].actions[0].share"),
        ({"match": {"type": "new"}, "action": {"do": "park", "for": 3}}, "rules[0].actions[0].for"),
        ({"match": {"type": "new"}, "actions": []}, "rules[0].actions"),
        ({"match": {"type": "new"}, "action": {"do": "park"}, "goes_on": True}, "rules[0].goes_on"),
        ({"action": {"do": "park"}}, "rules[0].match"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_by_the_name_of_its_field(given, path):
    with pytest.raises(InvalidArgument) as caught:
        Policy("p", [json.loads(json.dumps(given))])
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("match", "seen"),
    [
        ({"nth": 3}, [3]),
        ({"every": 2}, [2, 4, 6]),
        ({"first": 2}, [1, 2]),
        ({"after": 4}, [5, 6]),
        ({"after": 2, "every": 2}, [4, 6]),
        ({"probability": 0}, []),
        ({"probability": "1"}, [1, 2, 3, 4, 5, 6]),
        ({"time": {"from": "2026-01-05T17:00:00Z"}}, [1, 2, 3, 4, 5, 6]),
        ({"time": {"to": "2026-01-05T17:00:00+00:00"}}, []),
        ({"phase": "halt"}, []),
        ({"account": ["X", "A1"], "side": "BUY", "session": {"pattern": "a+"}}, [1, 2, 3, 4, 5, 6]),
        ({"fields": {"price": {">=": 99, "<": "99.01"}, "order_type": {"!=": "MARKET"}}}, [1, 2, 3, 4, 5, 6]),
        ({"fields": {"stop_price": {"!=": 5}}}, []),
    ],
)
def test_a_match_means_what_it_says(stage, match, seen):
    add(stage, rule({"type": "new", **match}, "reject"))
    assert [place for place, was in enumerate(rejected(stage, 6), 1) if was] == seen


def test_the_first_match_decides_unless_it_continues(stage):
    one = add(
        stage,
        rule({"type": "new", "nth": 1}, "reject", **{"continue": True}),
        rule("new", {"do": "delay", "seconds": 1}),
    )
    two = add(stage, rule("new", "reject"), name="two")
    order = stage.buy(1, "99.00")
    assert order.status is OrderStatus.PENDING_NEW
    assert [len(policy["rules"]) for policy in stage.venue.policies.to_list()] == [2, 1]
    assert (one.rules[0].fired, one.rules[1].fired, two.rules[0].seen) == (1, 1, 0)
    stage.clock.advance(1)
    assert order.status is OrderStatus.REJECTED, "both rules acted"


def test_policies_stand_in_order_and_are_found_by_name(stage):
    add(stage, rule("new", {"do": "reject", "text": "one"}), name="one")
    add(stage, rule("new", {"do": "reject", "text": "two"}), name="two", position=0)
    assert stage.buy(1, "99.00").end.text == "two"
    with pytest.raises(InvalidArgument, match="already"):
        add(stage, rule("new", "park"), name="two")
    stage.venue.policies.remove("two")
    assert stage.buy(1, "99.00").end.text == "one"
    stage.venue.policies.remove("one")
    assert stage.venue.gate is None and stage.buy(1, "99.00").status is OrderStatus.NEW
    with pytest.raises(NotFound):
        stage.venue.policies.remove("one")


def test_a_scope_bounds_a_policy(stage):
    add(stage, rule("new", "reject"), book="BETA", account={"in": ["A1"]})
    assert stage.buy(1, "99.00").status is OrderStatus.NEW
    assert stage.buy(1, "99.00", on=BETA).status is OrderStatus.REJECTED
    assert stage.sell(1, "101.00", on=BETA).status is OrderStatus.NEW, "another account"


# -- chance


def draws(*before, name="p", seed=7):
    stage = Stage()
    stage.venue.seed = seed
    for number, policy in enumerate(before):
        stage.venue.policies.add(Policy(f"other{number}", [policy]))
    add(stage, rule({"type": "new", "probability": "0.4"}, "reject"), name=name)
    found = rejected(stage, 40)
    stage.venue.stop()
    return found, stage.venue.tape.digest()


def test_chance_is_the_same_in_each_run_and_not_moved_by_another_policy():
    first, digest = draws()
    again, digest_again = draws()
    assert first == again and digest == digest_again
    assert 5 < sum(first) < 30
    other, _ = draws(rule({"type": "new", "probability": "0.5"}, "pend", **{"continue": True}))
    assert other == first
    assert draws(name="q")[0] != first, "each name has a generator of its own"
    assert draws(seed=8)[0] != first, "and each seed"


def test_a_throttle_lets_pass_again_when_its_interval_is_over(stage):
    policy = add(stage, rule("new", {"do": "throttle", "most": 2, "interval": 3}))
    assert rejected(stage, 3) == [False, False, True]
    assert stage.sell(1, "101.00").status is OrderStatus.NEW, "another session"
    stage.clock.advance(2.9)
    assert rejected(stage, 1) == [True]
    stage.clock.advance(0.2)
    assert rejected(stage, 3) == [False, False, True]
    assert policy.rules[0].fired == 8


def test_delays_are_drawn_from_a_range_about_a_mean_and_with_spikes():
    stage = Stage()
    seen = {}
    for name, delay in {
        "range": {"seconds": 1, "to": 3},
        "normal": {"seconds": 2, "deviation": "0.5"},
        "spikes": {"seconds": 1, "spike": 9, "chance": "0.3"},
    }.items():
        add(stage, rule("new", {"do": "delay", **delay}), name=name)
        orders = [(stage.clock.seconds(), stage.buy(1, "99.00")) for _ in range(30)]
        took = {}
        for _ in range(1100):
            for at, order in orders:
                if order.status is OrderStatus.NEW:
                    took.setdefault(order.id, stage.clock.seconds() - at)
            stage.clock.advance(0.01)
        seen[name] = sorted(took.values())
        stage.venue.policies.remove(name)
    stage.venue.stop()
    assert 0.9 < seen["range"][0] < 1.5 and 2.5 < seen["range"][-1] < 3.1
    assert 1.7 < sum(seen["normal"]) / 30 < 2.3 and len({round(one, 1) for one in seen["normal"]}) > 5
    assert {round(one) for one in seen["spikes"]} == {1, 10}


def test_parts_of_a_fill_come_one_after_the_other_and_then_the_rest_works(stage):
    stage.sell(5, "99.00")
    add(stage, rule("new", {"do": "fill", "quantity": 4, "parts": 2, "seconds": 1, "every": 2, "price": "98.50"}))
    order = stage.buy(10, "99.00")
    seen = []
    for _ in range(4):
        seen.append((order.filled, order.last_price))
        stage.clock.advance(1)
    at = Decimal("98.50")
    assert seen == [(0, None), (2, at), (2, at), (9, Decimal("99.00"))], "two, then two more, and five in the book"
    assert order.rests and order.remaining == 1


# -- the venue and its data


def test_a_market_halts_resumes_and_ends_its_day(stage):
    add(
        stage,
        rule(
            {"type": "new", "fields": {"client_order_id": "halt"}},
            {"do": "halt"},
            {"do": "wait", "seconds": 3},
            "resume",
        ),
    )
    first = stage.buy(1, "99.00", client_order_id="halt")
    assert first.status is OrderStatus.NEW and stage.venue.phase(ACME.id) is Phase.HALT
    assert stage.venue.phase(BETA.id) is Phase.CONTINUOUS
    assert stage.buy(1, "99.00").status is OrderStatus.REJECTED
    stage.clock.advance(3)
    assert stage.venue.phase(ACME.id) is Phase.CONTINUOUS
    add(stage, rule("now", "end_of_day"), name="evening")
    assert first.status is OrderStatus.EXPIRED


def test_a_restart_may_lose_the_book(stage):
    kept = stage.buy(1, "99.00")
    add(stage, rule("now", {"do": "restart"}), name="with")
    assert kept.is_open
    add(stage, rule("now", {"do": "restart", "book": False}), name="without")
    assert not kept.is_open
    stage.clock.advance(1)


def feed(stage, *actions, kind="quote"):
    eye = Eye()
    add(stage, rule(kind, *actions))
    stage.venue.watch(ACME.id, eye, depth=5)
    stage.buy(1, "99.00")
    stage.sell(1, "101.00")
    return eye


@pytest.mark.parametrize(
    ("how", "bid", "ask"),
    [
        ("crossed", "101.01", "101.00"),
        ("locked", "101.00", "101.00"),
        ("zero", "99.00", "0"),
        ("negative", "99.00", "-0.01"),
    ],
)
def test_quotes_are_crossed_locked_at_zero_or_below(stage, how, bid, ask):
    eye = feed(stage, {"do": "distort", "how": how})
    top = eye.of("top")[-1]
    assert (top.bid, top.ask) == (Decimal(bid), Decimal(ask))
    assert stage.venue.top(ACME.id).bid == Decimal("99.00"), "who asks hears the truth: the picture disagrees"


@pytest.mark.parametrize(("how", "side", "price"), [("crossed", "BUY", "101.01"), ("negative", "SELL", "-0.01")])
def test_depth_shows_a_price_that_is_not_there_until_the_next_change(stage, how, side, price):
    eye = feed(stage, {"do": "distort", "how": how}, kind="depth")
    rows = {"BUY": [], "SELL": []}

    def apply():
        for changes in eye.of("depth"):
            for change in changes:
                book = rows[change.side.value]
                if change.operation == "insert":
                    book.insert(change.position, change.row.price)
                elif change.operation == "delete":
                    assert book.pop(change.position) == change.row.price
        eye.seen.clear()
        return rows[side]

    assert apply()[0] == Decimal(price)
    stage.venue.policies.remove("p")
    assert Decimal(price) not in apply()
    stage.buy(1, "98.00")
    assert apply() == [row.price for row in stage.venue.depth(ACME.id)[side == "SELL"]]


def test_trades_are_stale_burst_and_skip_numbers(stage):
    eye = Eye()
    stage.venue.watch(ACME.id, eye)
    add(
        stage,
        rule({"type": "trade", "nth": 1}, {"do": "gap", "count": 10}),
        rule({"type": "trade", "nth": 1}, {"do": "duplicate", "times": 4}),
        rule({"type": "trade", "nth": 1}, {"do": "stale", "seconds": 5}),
    )
    for _ in range(4):
        stage.trade_at("100.00")
    assert [trade.number for trade in eye.of("print")] == [11, *[12] * 5]
    stage.clock.advance(5)
    stage.trade_at("100.00")
    assert eye.of("print")[-1].number == 15
    stage.venue.policies.remove("p")
    stage.trade_at("100.00")
    assert eye.of("print")[-1].number == 6, "the truth again"


# -- ready-made


def test_ready_made_policies_do_what_their_names_say(stage):
    def run(kind, **given):
        stage.venue.policies.add(make_policy(kind, **given))
        stage.ear.heard.clear()
        return stage.buy(10, "99.00")

    def ended(kind):
        stage.venue.policies.remove(kind)
        return stage.ear.names("order_accepted", "order_rejected", "order_filled", "order_canceled")

    order = run("reject", reason="closed", text="no")
    assert (order.end.reason, order.end.text, ended("reject")) == ("closed", "no", ["order_rejected"])
    order = run("cancel", seconds=2)
    stage.clock.advance(1.9)
    assert order.is_open
    stage.clock.advance(0.2)
    assert ended("cancel") == ["order_accepted", "order_canceled"] and not order.is_open
    order = run("partial_then_cancel", share="0.3", seconds=1)
    assert order.filled == 3 and order.is_open
    stage.clock.advance(1)
    assert ended("partial_then_cancel") == ["order_accepted", "order_filled", "order_canceled"]
    order = run("auto_fill")
    assert order.status is OrderStatus.FILLED and ended("auto_fill") == ["order_accepted", "order_filled"]
    order = run("auto_partial", share="0.2")
    assert order.filled == 2 and order.rests and ended("auto_partial") == ["order_accepted", "order_filled"]
    stage.venue.policies.add(make_policy("auto_reject", text="never"))
    assert stage.venue.cancel("a", order.id).text == "never" and order.is_open
    assert stage.buy(1, "99.00").end.text == "never"
    stage.venue.policies.remove("auto_reject")
    stage.sell(5, "98.00")
    order = run("auto_cancel")
    assert order.filled == 0 and ended("auto_cancel") == ["order_accepted", "order_canceled"]
    order = run("park")
    assert ended("park") == [] and order.status is OrderStatus.PENDING_NEW
    assert stage.venue.release(order.id) is None and order.status is not OrderStatus.PENDING_NEW


def test_policies_are_registered_by_name_and_found_in_other_packages(monkeypatch):
    class Mine(ReadyPolicy):
        def rules_of(self, **values):
            return [rule("new", "park")]

    class Point:
        name = "theirs"

        def load(self):
            return Mine

    monkeypatch.setattr(ready, "_registered", {})
    monkeypatch.setattr(ready, "entry_points", lambda group, name=None: [Point()] if name in (None, "theirs") else [])
    register_policy("mine", Mine)
    assert make_policy("mine").name == "mine" and policy_class("theirs") is Mine
    with pytest.raises(InvalidArgument, match="already"):
        register_policy("reject", Mine)
    with pytest.raises(InvalidArgument) as caught:
        policy_class("nobody")
    assert {"mine", "theirs", "reject"} <= set(caught.value.candidates)
    with pytest.raises(InvalidArgument) as caught:
        make_policy("cancel", minutes=3)
    assert caught.value.path == "minutes"


def test_a_policy_for_clients_needs_an_endpoint(stage):
    for one in (rule("ack", "duplicate"), rule("now", "drop"), rule("new", "log_out")):
        with pytest.raises(NotOffered):
            add(stage, one)
    with pytest.raises(NotOffered) as caught:
        add(stage, rule("quote", "withhold"), account="A1")
    assert caught.value.path == "scope.account", "a watcher of a market has no account"
    assert len(stage.venue.policies) == 0


def test_what_is_delayed_is_told_in_its_sequence_and_counts_once(stage):
    add(stage, rule("new", {"do": "delay", "seconds": 1}))
    order = stage.buy(10, "99.00")
    assert stage.venue.cancel("a", order.id) is None and order.is_open
    stage.clock.advance(1)
    assert stage.ear.names("order_accepted", "order_canceled") == ["order_accepted", "order_canceled"]
    position = stage.venue._accounts["A1"].position(ACME)
    assert position.open_buy == 0
    swallowed = stage.venue.policies
    swallowed.remove("p")
    add(stage, rule("new", "swallow", "fill"))
    stage.buy(10, "99.00")
    assert stage.book() == ([], []), "what was never accepted does not work"
    order = stage.buy(10, "99.00")
    assert stage.venue.cancel("a", order.id) is None and not order.is_open and position.open_buy == 0
