"""The FIX store in a file: after any acts, a restart, or a kill in mid-line, it says what one in memory says."""

from __future__ import annotations

import resource
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.net.fix_store import FileStore, file_name_of
from txtrader.wire.fix.session import Identity
from txtrader.wire.fix.store import MemoryStore

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), st.text(st.characters(max_codepoint=255), max_size=8)),
        st.tuples(st.just("expected"), st.integers(1, 99)),
        st.just(("reset",)),
        st.just(("restart",)),
    ),
    max_size=40,
)


def facts(store):
    return store.next_number, store.expected, [store.sent(number) for number in range(50)]


@settings(max_examples=150, deadline=None)
@given(ACTS)
def test_it_is_a_store_in_memory_that_outlives_the_process(acts):
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "s.fix")
        store, model = FileStore(path, most=5), MemoryStore(most=5)
        for act, *more in acts:
            if act == "keep":
                for one in (store, model):
                    one.keep(one.next_number, more[0])
            elif act == "expected":
                for one in (store, model):
                    one.set_expected(more[0])
            elif act == "reset":
                for one in (store, model):
                    one.reset()
            else:
                store.close()
                store = FileStore(path, most=5)
            assert facts(store) == facts(model)
        store.close()
        again = FileStore(path, most=5)
        assert facts(again) == facts(model)
        again.close()


@pytest.mark.parametrize("acts", range(1, 60))
def test_no_number_is_lost_when_the_file_is_written_anew(tmp_path, acts):
    path = str(tmp_path / "s.fix")
    store = FileStore(path, most=2)
    for number in range(acts):
        store.keep(number + 1, "text")
    store.close()
    again = FileStore(path, most=2)
    assert again.next_number == acts + 1
    again.close()


def test_what_was_heard_is_there_after_a_restart_and_a_reset(tmp_path):
    path = str(tmp_path / "s.fix")
    store = FileStore(path, most=2)
    for number in range(40):
        store.hear(number, f"report {number}")
        store.set_expected(number + 2)
    store.reset()
    store.close()
    again = FileStore(path, most=2)
    assert list(again.heard) == [(number, f"report {number}") for number in range(40)]
    again.close()


def test_a_full_disk_is_said_and_spoils_nothing(tmp_path):
    path = tmp_path / "s.fix"
    store = FileStore(str(path))
    store.keep(1, "first")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, limits[1]))  # room for a part of a line
    try:
        with pytest.raises(OSError, match="space"):
            store.keep(2, "did not leave")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (store.next_number, store.sent(2)) == (2, None)
    store.set_expected(7)
    store.keep(2, "second")
    store.close()
    again = FileStore(str(path))
    assert (again.next_number, again.expected, again.sent(2)) == (3, 7, "second")
    again.close()


def test_a_kill_in_mid_line_loses_that_line_alone(tmp_path):
    path = tmp_path / "s.fix"
    store = FileStore(str(path))
    store.keep(1, "first")
    store.set_expected(7)
    store.keep(2, "second")
    store.close()
    whole = path.read_bytes()
    for size in range(len(whole) - 1, len(whole) - 15, -1):
        path.write_bytes(whole[:size])
        torn = FileStore(str(path))
        assert (torn.next_number, torn.expected, torn.sent(1), torn.sent(2)) == (2, 7, "first", None)
        torn.keep(2, "again")
        torn.close()
        mended = FileStore(str(path))
        assert mended.sent(2) == "again"
        mended.close()


def test_nobody_else_may_read_it_and_it_does_not_grow_for_ever(tmp_path):
    path = tmp_path / "s.fix"
    store = FileStore(str(path), most=10, is_synced=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for number in range(1, 500):
        store.keep(number, "x" * 50)
        store.set_expected(number)
    assert path.stat().st_size < 10_000
    assert (store.sent(499), store.sent(1), store.next_number, store.expected) == ("x" * 50, None, 500, 499)
    store.close()


@pytest.mark.parametrize("target", ["A", "../../etc/passwd", "a/b", "ä b", "%2F", "."])
def test_any_name_is_a_file_of_its_own(target, tmp_path):
    name = file_name_of(Identity("FIX.4.4", "V", target))
    assert "/" not in name and name not in (".", "..")
    assert name != file_name_of(Identity("FIX.4.4", "V", target + "x"))
    (tmp_path / name).write_bytes(b"")
