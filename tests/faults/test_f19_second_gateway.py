"""F19: a second gateway on one journal ends at once, names the lock, and never talks to the broker."""

from __future__ import annotations

import pytest_twisted


@pytest_twisted.ensureDeferred
async def test_the_second_one_ends_before_any_logon(play):
    def script(stage):
        first = stage.start_daemon()
        accepted = stage.proxy.accepted
        second = stage.make_daemon()
        second.spawn()
        assert second.wait_end(20) != 0
        assert "lock" in second.tail().lower() or str(first.pid) in second.tail(), second.tail()
        assert str(first.pid) in second.tail(), "it names who holds it"
        assert "Traceback" not in second.tail(), second.tail()
        assert stage.proxy.accepted == accepted
        with stage.client(first) as client:
            assert client.call("status") == "Up", "the first one is unharmed"
        assert first.terminate() == 0

    await play(script)
