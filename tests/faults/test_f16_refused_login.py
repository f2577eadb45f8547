"""F16, F59: a client id that is in use, and a second gateway at the same account."""

from __future__ import annotations

import pytest
import pytest_twisted

from txtrader.errors import LinkError
from txtrader.testing.daemon import Daemon

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "99.50", "tif": "GTC"}


def other_daemon(stage, **settings) -> Daemon:
    """Make a gateway with a journal of its own at the same broker."""
    known = stage.make_daemon(**settings).settings
    folder = stage.folder / "other"
    folder.mkdir()
    other = Daemon(folder, {**known, "DATA_DIR": folder / "data"})
    stage.daemons.append(other)
    return other


@pytest_twisted.ensureDeferred
async def test_a_client_id_in_use_is_tried_again_but_not_in_a_tight_loop(play):
    def script(stage):
        first = stage.start_daemon()
        second = other_daemon(stage)
        accepted = stage.proxy.accepted
        second.start()
        with stage.client(second) as client:
            second.wait(lambda: any("326" in line for line in second.lines), 10, "it says what is wrong")
            assert client.call("status") != "Up"
            with pytest.raises(LinkError):
                client.call("submit_order", ORDER)
        with stage.client(first) as client:
            assert client.call("status") == "Up", "the first one is unharmed"
            client.call("query_accounts")
        assert stage.proxy.accepted - accepted <= 6
        assert second.terminate() == 0
        assert first.terminate() == 0

    await play(script)


@pytest_twisted.ensureDeferred
async def test_another_gateways_orders_are_foreign_and_its_keys_are_not_ours(play):
    def script(stage):
        first = stage.start_daemon()
        with stage.client(first) as client:
            theirs = client.call("submit_order", {**ORDER, "client_order_id": "same-key"})
        second = other_daemon(stage, API_CLIENT_ID=9)
        second.start()
        second.wait_up()
        with stage.client(second) as client:
            (seen,) = client.call("query_orders").values()
            assert seen["origin"] == "external" and seen["client_order_id"] is None
            assert seen["permid"] == theirs["permid"]
            ours = client.call("submit_order", {**ORDER, "client_order_id": "same-key"})
            assert ours["duplicate"] is False and ours["permid"] != theirs["permid"]
        stage.histories.clear()  # the two have journals of their own: check each by what it knows
        assert second.terminate() == 0
        assert first.terminate() == 0

    await play(script)
