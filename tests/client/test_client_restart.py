"""The clients over a kill -9 of the daemon."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Queue
from typing import Any

from txtrader.client import API, Monitor
from txtrader.testing.daemon import Daemon


def test_scripts_and_monitors_outlive_a_killed_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path, {"MODE": "demo"}) as daemon:
        daemon.start()
        daemon.wait_up()
        ports = {"HTTP_PORT": daemon.http_port, "TCP_PORT": daemon.tcp_port}
        api = API(host="127.0.0.1", port=daemon.http_port, username=daemon.user, password=daemon.password)
        api.set_account(api.query_accounts()[0])
        seen: Queue[dict[str, Any]] = Queue()
        monitor = Monitor(
            "127.0.0.1",
            daemon.tcp_port,
            daemon.user,
            daemon.password,
            callbacks={"order": lambda label, record: seen.put(record)},
            parse=True,
            reconnect_min=0.05,
            reconnect_max=0.2,
        )
        thread = threading.Thread(target=monitor.run)
        thread.start()
        try:
            while monitor.state != "CONNECTED":
                assert thread.is_alive()
            order = api.limit_order("IBM", 1, 10, client_order_id="k1")
            records = [seen.get(timeout=10)]
            daemon.kill()
            daemon.start(**ports)
            daemon.wait_up()
            assert api.limit_order("IBM", 1, 10, client_order_id="k1")["id"] == order["id"]
            other = api.limit_order("IBM", 1, 10, client_order_id="k2")
            while records[-1]["id"] != other["id"]:
                records.append(seen.get(timeout=10))
            seqs = [record["seq"] for record in records]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
            assert {record["epoch"] for record in records} == {records[0]["epoch"]}
        finally:
            monitor.stop()
            thread.join()
            api.close()
