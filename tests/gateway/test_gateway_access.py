"""Who may come in, how often, and what an attacker learns (F42, F43, F49)."""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher

from txtrader.errors import ConfigError, InvalidArgument, Throttled, Unauthenticated
from txtrader.gateway.access import Access, UserRecord, address_of, hash_password, load_users
from txtrader.gateway.passwords import SHIPPED, PasswordHash
from txtrader.gateway.session import User

# Real hashes, made once: half a second each.
ALICE = hash_password("alice", "correct horse")
BOB = hash_password("bob", "battery staple")


class Threads:
    """A pool whose threads work when the test says so."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Callable[[], bool], Deferred[bool]]] = deque()
        self.most = 0

    def run(self, work: Callable[[], bool]) -> Deferred[bool]:
        done: Deferred[bool] = Deferred()
        self.waiting.append((work, done))
        self.most = max(self.most, len(self.waiting))
        return done

    def finish_one(self) -> None:
        work, done = self.waiting.popleft()
        done.callback(work())

    def finish(self) -> int:
        count = 0
        while self.waiting:
            self.finish_one()
            count += 1
        return count


class Quick(PasswordHash, frozen=True, kw_only=True):
    """The hash of a test that makes hundreds: the same face, no cost."""

    def matches(self, password: str) -> bool:
        return hashlib.sha256(password.encode()).digest() == self.hash


def quick(name: str, password: str, role: str = "trade", accounts: frozenset[str] | None = None) -> UserRecord:
    digest = hashlib.sha256(password.encode()).digest()
    return UserRecord(
        user=User(name=name, role=role, accounts=accounts),
        password=Quick(log_n=17, r=8, p=1, salt=b"", hash=digest),
    )


class Door:
    def __init__(self, *records: UserRecord) -> None:
        self.clock = Clock()
        self.threads = Threads()
        self.access = Access(records, clock=self.clock, in_thread=self.threads.run)

    def knock(self, name: str, password: str, peer: str = "10.0.0.1:5000") -> list[Any]:
        found: list[Any] = []
        self.access.authenticate(name, password, peer).addCallbacks(
            found.append, lambda failure: found.append(failure.value)
        )
        return found

    def login(self, name: str, password: str, peer: str = "10.0.0.1:5000") -> Any:
        found = self.knock(name, password, peer)
        self.threads.finish()
        return found[0]


@pytest.fixture
def door() -> Door:
    return Door(quick("alice", "correct horse", "admin"), quick("bob", "battery staple", accounts=frozenset({"A"})))


# -- the users file


def users_file(folder: Path, text: str, mode: int = 0o640) -> str:
    path = folder / "users"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_users_file_says_who_may_do_what_for_which_accounts(tmp_path: Path) -> None:
    text = f"# operators\n\nalice:admin:{ALICE}:*\nbob:view:{BOB}:DU1,DU2\n"
    alice, bob = load_users(users_file(tmp_path, text))
    assert alice.user == User(name="alice", role="admin", accounts=None)
    assert bob.user == User(name="bob", role="view", accounts=frozenset({"DU1", "DU2"}))
    assert alice.password.matches("correct horse")
    assert not alice.password.matches("correct horsE")
    assert str(alice.password) == ALICE


def test_no_accounts_means_none_of_them(tmp_path: Path) -> None:
    (bob,) = load_users(users_file(tmp_path, f"bob:view:{BOB}:\n"))
    assert bob.user.accounts == frozenset()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"Alice:admin:{ALICE}:*", "small letter"),
        (f"alice:root:{ALICE}:*", "role of alice"),
        (f"alice:admin:{ALICE}:DU1 DU2", "accounts are"),
        (f"alice:admin:{ALICE}", "not of the form"),
        ("alice:admin:correct horse:*", "not a hash"),
        (f"alice:admin:{ALICE.replace('$17$', '$14$')}:*", "hash costs 14"),
        (f"alice:admin:{ALICE.replace('$17$', '$30$')}:*", "hash costs 30"),
        ("alice:admin:scrypt$17$8$1$AAAA$AAAA:*", "too short"),
        (f"alice:admin:{ALICE}:*\nalice:view:{BOB}:*", "line 2: user alice is there twice"),
    ],
)
def test_a_line_that_is_not_well_formed_is_named_without_its_hash(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(ConfigError, match="line ") as caught:
        load_users(users_file(tmp_path, line))
    assert why in caught.value.message
    assert caught.value.path == "USERS_FILE"
    assert "$" not in caught.value.message.replace("$SALT$HASH", "").replace("scrypt$17$8$1", "")
    assert "correct horse" not in caught.value.message


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o641, 0o666, 0o750, 0o2640])
def test_a_mode_that_lets_others_in_is_refused(tmp_path: Path, mode: int) -> None:
    """F49."""
    with pytest.raises(ConfigError, match=f"mode {mode:04o}"):
        load_users(users_file(tmp_path, f"alice:admin:{ALICE}:*", mode))


def test_owner_group_links_and_folders_are_looked_at(tmp_path: Path) -> None:
    """F49."""
    path = users_file(tmp_path, f"alice:admin:{ALICE}:*")
    found = os.stat(path)
    assert load_users(path, uid=found.st_uid, gids={found.st_gid})
    if found.st_uid != 0:
        with pytest.raises(ConfigError, match="belongs to user"):
            load_users(path, uid=found.st_uid + 1, gids={found.st_gid})
    with pytest.raises(ConfigError, match="foreign group"):
        load_users(path, uid=found.st_uid + 1 if found.st_uid == 0 else found.st_uid, gids={found.st_gid + 1})
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(ConfigError, match="symbolic link"):
        load_users(str(tmp_path / "link"))
    with pytest.raises(ConfigError, match="not a plain file"):
        load_users(str(tmp_path))
    with pytest.raises(ConfigError, match="No such file"):
        load_users(str(tmp_path / "none"))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="not a plain file"):
        load_users(str(tmp_path / "fifo"))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = users_file(tmp_path, f"alice:admin:{ALICE}:*", 0o600)
    os.chown(path, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        load_users(path)


# -- the user of the settings


def opened(**options: Any) -> Access:
    return Access.open(clock=Clock(), in_thread=lambda work: Deferred(), **options)


def test_without_any_user_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody could log in"):
        opened()
    with pytest.raises(ConfigError, match="No such file"):
        opened(users_file=str(tmp_path / "users"))
    with pytest.raises(ConfigError, match="nobody could log in"):
        opened(users_file=users_file(tmp_path, "# nobody yet\n"))


@pytest.mark.parametrize("password", [*sorted(SHIPPED), "ChangeMe", "alice"])
def test_a_default_password_is_refused(password: str) -> None:
    """H21."""
    with pytest.raises(ConfigError) as caught:
        opened(username="alice", password=password)
    assert caught.value.path == "PASSWORD"
    assert password not in caught.value.message or password in ("password", "default")
    with pytest.raises(InvalidArgument):
        hash_password("alice", password)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"username": "alice"}, "PASSWORD"),
        ({"password": "correct horse"}, "USERNAME"),
        ({"username": "Alice", "password": "correct horse"}, "USERNAME"),
        ({"username": "alice", "password": "correct horse", "role": "king"}, "USER_ROLE"),
        ({"username": "alice", "password": "a\nb"}, "PASSWORD"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, str], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(**options)
    assert caught.value.path == path


def test_settings_and_file_may_not_both_name_a_user(tmp_path: Path) -> None:
    path = users_file(tmp_path, f"alice:admin:{ALICE}:*\nbob:view:{BOB}:*\n")
    with pytest.raises(ConfigError, match="in the users file, too"):
        opened(users_file=path, username="alice", password="correct horse")
    both = opened(users_file=path, username="carol", password="correct horse", role="view")
    assert [user.name for user in both.users] == ["carol", "alice", "bob"]


@pytest_twisted.ensureDeferred
async def test_real_hashes_in_real_threads_let_the_right_one_in(tmp_path: Path) -> None:
    clock = Clock()
    access = Access.open(
        clock=clock,
        in_thread=deferToThread,
        users_file=users_file(tmp_path, f"bob:trade:{BOB}:DU1\n"),
        username="alice",
        password="correct horse",
        role="admin",
    )
    alice, bob = await gatherResults(
        [
            access.authenticate("alice", "correct horse", "127.0.0.1:1"),
            access.authenticate("bob", "battery staple", "127.0.0.1:2"),
        ]
    )
    assert (alice.name, alice.role, alice.accounts) == ("alice", "admin", None)
    assert (bob.name, bob.role, bob.accounts) == ("bob", "trade", frozenset({"DU1"}))
    with pytest.raises(Unauthenticated):
        await access.authenticate("alice", "battery staple", "127.0.0.1:1")
    begun = time.perf_counter()
    assert await access.authenticate("alice", "correct horse", "127.0.0.1:3") == alice
    assert time.perf_counter() - begun < 0.05, "a success is remembered"


# -- what strangers learn


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong"),
        ("mallory", "wrong"),
        ("ALICE", "correct horse"),
        ("alice", ""),
        ("", ""),
        ("alice", "a\0b"),
        ("alice", "x" * 257),
        ("alice", "\udc80"),
        ("a" * 33, "x"),
        ("alice:", "correct horse"),
    ],
)
def test_every_refusal_has_the_same_words(door: Door, name: str, password: str) -> None:
    """F43."""
    refused = door.login(name, password)
    assert isinstance(refused, Unauthenticated)
    assert refused.message == "the user name or the password is wrong"


def test_an_unknown_user_costs_as_much_as_a_wrong_password() -> None:
    """F43, in the small: the medians of real hashes are close."""
    known, nobody = PasswordHash.parse(ALICE), PasswordHash.dummy()
    times: dict[str, list[float]] = {"known": [], "nobody": []}
    for _ in range(3):
        for name, each in (("known", known), ("nobody", nobody)):
            begun = time.process_time()
            assert not each.matches("wrong")
            times[name].append(time.process_time() - begun)
    assert 0.5 < statistics.median(times["known"]) / statistics.median(times["nobody"]) < 2


def test_unknown_users_are_hashed_too_and_throttled_too(door: Door) -> None:
    door.knock("mallory", "wrong")
    assert len(door.threads.waiting) == 1
    door.threads.finish()
    assert isinstance(door.login("mallory", "wrong"), Throttled)


def test_names_of_nobody_stay_out_of_the_log(door: Door) -> None:
    """A password typed in the place of the name is a secret (I9)."""
    lines: list[str] = []
    observer = lambda event: lines.append(formatEvent(event))  # noqa: E731
    globalLogPublisher.addObserver(observer)
    try:
        door.login("hunter2", "alice")
        door.login("alice", "sesame")
    finally:
        globalLogPublisher.removeObserver(observer)
    text = "\n".join(lines)
    assert "an unknown user from 10.0.0.1" in text
    assert "login of alice" in text
    assert "hunter2" not in text
    assert "sesame" not in text


# -- how often one may try


def test_failures_make_one_wait_longer_each_time_per_user_and_address(door: Door) -> None:
    waits = []
    for _ in range(8):
        assert isinstance(door.login("alice", "wrong"), Unauthenticated)
        throttled = door.login("alice", "wrong again")
        assert isinstance(throttled, Throttled)
        waits.append(throttled.retry_after)
        assert isinstance(door.login("alice", "wrong", "10.0.0.2:1"), Unauthenticated | Throttled)
        door.clock.advance(throttled.retry_after)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert door.login("alice", "correct horse").name == "alice"
    assert isinstance(door.login("alice", "wrong"), Unauthenticated)
    assert door.login("alice", "wrong").retry_after == 1, "a success forgives"


def test_another_address_and_another_user_do_not_wait(door: Door) -> None:
    door.login("alice", "wrong")
    assert isinstance(door.login("alice", "correct horse"), Throttled)
    assert door.login("alice", "correct horse", "10.0.0.2:1").name == "alice"
    assert door.login("bob", "battery staple").name == "bob"


def test_old_failures_are_forgiven(door: Door) -> None:
    for _ in range(5):
        door.login("alice", "wrong")
        door.clock.advance(60)
    door.clock.advance(700)
    door.login("alice", "wrong")
    assert door.login("alice", "wrong").retry_after == 1


def test_two_hash_at_once_sixteen_wait_and_the_rest_is_turned_away() -> None:
    """F42."""
    door = Door(*[quick(f"user{number}", "right") for number in range(40)])
    found = [door.knock(f"user{number}", "wrong", f"10.0.1.{number}:1") for number in range(40)]
    assert len(door.threads.waiting) == 2
    assert [bool(each) for each in found] == [False] * 18 + [True] * 22
    assert all(isinstance(each[0], Throttled) and each[0].retry_after for each in found[18:])
    assert door.threads.finish() == 18
    assert door.threads.most == 2
    assert all(isinstance(each[0], Unauthenticated) for each in found[:18])


def test_a_flood_does_not_keep_an_operator_out_who_lately_came_from_the_same_address(door: Door) -> None:
    """F42: a queue of their own, served first."""
    assert door.login("alice", "correct horse").name == "alice"
    door.clock.advance(3600)
    for number in range(40):
        door.knock(f"user{number}", "wrong")
    assert isinstance(door.knock("bob", "battery staple")[0], Throttled), "bob is a stranger here"
    waiting = door.knock("alice", "correct horse")
    door.threads.finish_one()
    door.threads.finish_one()
    door.threads.finish_one()
    assert waiting and waiting[0].name == "alice"


def test_failures_of_others_do_not_keep_out_whose_success_is_remembered(door: Door) -> None:
    door.login("alice", "correct horse")
    for _ in range(5):
        door.login("alice", "guess")
    assert isinstance(door.login("alice", "guess"), Throttled)
    assert door.login("alice", "correct horse").name == "alice"
    assert isinstance(door.login("alice", "correct horse", "10.9.9.9:1"), User)


def test_attempts_behind_a_failing_one_are_not_hashed(door: Door) -> None:
    found = [door.knock("alice", f"guess {number}") for number in range(10)]
    assert door.threads.finish() == 2, "two at once, then everybody waits"
    assert [type(each[0]) for each in found] == [Unauthenticated] * 2 + [Throttled] * 8


def test_equal_attempts_share_one_hash(door: Door) -> None:
    found = [door.knock("alice", "correct horse") for _ in range(50)]
    assert door.threads.finish() == 1
    assert {each[0].name for each in found} == {"alice"}


def test_a_success_is_remembered_for_five_minutes_after_its_last_use(door: Door) -> None:
    door.login("alice", "correct horse")
    for _ in range(4):
        door.clock.advance(200)
        assert door.knock("alice", "correct horse")[0].name == "alice"
    assert not door.threads.waiting
    door.clock.advance(301)
    assert door.knock("alice", "correct horse") == []
    assert door.threads.finish() == 1
    assert door.knock("alice", "correct horse", "10.0.0.77:1") == [], "elsewhere it is not known"


def test_no_password_is_kept_in_memory_in_clear_text(door: Door) -> None:
    door.login("alice", "correct horse")
    door.login("bob", "some guess")
    assert "correct horse" not in repr(vars(door.access))
    assert door.access._attempts == {}


def test_a_default_password_of_the_users_file_opens_nothing(expected_failures: list[str]) -> None:
    expected_failures.append("well-known default")
    door = Door(quick("alice", "changeme"))
    assert isinstance(door.login("alice", "changeme"), Unauthenticated)


def test_a_hash_that_fails_lets_nobody_in_and_blocks_nobody(door: Door, expected_failures: list[str]) -> None:
    expected_failures.append("a password cannot be checked")
    found = door.knock("alice", "correct horse")
    _, done = door.threads.waiting.popleft()
    done.errback(MemoryError("no 128 MiB"))
    assert isinstance(found[0], Unauthenticated)
    assert door.login("alice", "correct horse").name == "alice"


def test_tables_are_bounded(door: Door) -> None:
    for number in range(10_050):
        door.access._failures.put(("x", str(number)), (1, 0.0))
    assert len(door.access._failures) == 10_000


# -- reloading


def test_reload_names_those_who_lost_something(tmp_path: Path) -> None:
    carol = hash_password("carol", "carol's own")
    path = users_file(
        tmp_path, f"alice:admin:{ALICE}:*\nbob:trade:{BOB}:A,B\ncarol:view:{carol}:A\ndave:view:{ALICE}:A\n"
    )
    access = opened(users_file=path)
    users_file(tmp_path, f"alice:trade:{ALICE}:*\nbob:trade:{BOB}:A,B,C\ncarol:view:{carol}:\n")
    assert access.reload() == {"alice", "carol", "dave"}
    users_file(tmp_path, f"alice:admin:{BOB}:*\nbob:admin:{BOB}:*\ncarol:view:{carol}:\n")
    assert access.reload() == {"alice"}
    users_file(tmp_path, "nonsense")
    with pytest.raises(ConfigError):
        access.reload()
    assert [user.name for user in access.users] == ["alice", "bob", "carol"]


def test_a_login_under_way_while_its_user_is_removed_fails(tmp_path: Path) -> None:
    threads = Threads()
    path = users_file(tmp_path, f"alice:admin:{ALICE}:*\nbob:trade:{BOB}:A\n")
    access = Access.open(clock=Clock(), in_thread=threads.run, users_file=path)
    found: list[Any] = []
    access.authenticate("alice", "correct horse", "10.0.0.1:1").addBoth(found.append)
    users_file(tmp_path, f"bob:trade:{BOB}:A\n")
    assert access.reload() == {"alice"}
    threads.finish()
    assert found[0].check(Unauthenticated)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("127.0.0.1:5000", "127.0.0.1"),
        ("[::1]:5000", "::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("127.0.0.1", "127.0.0.1"),
        ("/run/txtrader.sock", "/run/txtrader.sock"),
        ("", ""),
    ],
)
def test_the_address_of_a_peer_has_no_port(peer: str, address: str) -> None:
    assert address_of(peer) == address
