"""Servers as processes: started by fork and by a fresh interpreter, and surely gone."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from txtrader.exsim import API, ExsimError


def run(script, **more):
    """Run a script in a fresh interpreter, with neither threads nor a reactor."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False, **more
    )


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(call, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not call():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.01)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_server_is_started_used_and_reaped(start):
    done = run(f"""
        import os
        from txtrader.exsim import API
        with API() as api:
            server = api.create_server(start={start!r}, seed=7)
            other = api.create_server("second", start={start!r})
            assert server.ping()["books"] == other.ping()["books"] == 0
            assert server.pid != other.pid != os.getpid()
        print(server.status, other.status, api.servers)
        api.delete()
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("no children")
    """)
    assert done.stdout.split("\n")[:2] == ["0 0 {}", "no children"], done.stderr
    assert done.stderr == ""


def test_a_fork_has_what_was_imported_and_nothing_else_of_its_starter(tmp_path):
    (tmp_path / "left_over.txt").write_text("open")
    done = run(
        """
        import atexit, os, random
        from txtrader.exsim import API
        held = open("left_over.txt")
        atexit.register(print, "the starter's exit")
        random.seed(1); first = random.random(); random.seed(1)
        with API() as api:
            server = api.create_server(start="fork")
            handles = os.listdir(f"/proc/{server.pid}/fd")
            names = [os.readlink(f"/proc/{server.pid}/fd/{one}") for one in handles]
            print([name for name in names if "left_over" in name])
        print(random.random() == first)
        """,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])},
    )
    assert done.stdout.splitlines() == ["[]", "True", "the starter's exit"], done.stderr


def test_a_fork_beside_threads_or_a_running_reactor_is_refused_with_the_reason():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with API() as api, pytest.raises(ExsimError) as caught:
            api.create_server(start="fork")
    finally:
        stop.set()
        thread.join()
    assert caught.value.code == "unsupported"
    assert caught.value.field == "start"


def test_a_server_that_cannot_start_says_its_last_words():
    with API() as api, pytest.raises(ExsimError) as caught:
        api.create_server(start="spawn", plugins=["no_such_module_of_mine"])
    assert "no_such_module_of_mine" in caught.value.message
    assert api.servers == {}


def test_a_server_that_hangs_is_killed(monkeypatch):
    monkeypatch.setattr("txtrader.exsim.client.starting._LEAVE_DEADLINE", 0.2)
    monkeypatch.setattr("txtrader.exsim.client.starting._TERM_DEADLINE", 0.2)
    monkeypatch.setattr("txtrader.exsim.client.connection._PATIENCE", 0.2)
    api = API()
    server = api.create_server(start="spawn")
    os.kill(server.pid, signal.SIGSTOP)
    server.delete()
    assert server.status == -signal.SIGKILL
    assert not is_alive(server.pid)


def test_a_server_that_died_is_an_error_and_is_forgotten():
    with API() as api:
        server = api.create_server(start="spawn")
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ExsimError) as caught:
            for _ in range(100):
                server.ping()
        assert caught.value.code == "closed"
        server.delete()
        assert api.servers == {}
        api.create_server(start="spawn")


def test_sigterm_ends_a_server_in_order():
    with API() as api:
        server = api.create_server(start="spawn")
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: server._process.code is not None)
        assert server._process.code == 0


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_server_does_not_outlive_its_starter(start):
    done = run(f"""
        import os
        from txtrader.exsim import API
        server = API().create_server(start={start!r})
        print(server.pid, flush=True)
        os.kill(os.getpid(), 9)
    """)
    pid = int(done.stdout)
    wait_until(lambda: not is_alive(pid))


def test_another_client_may_detach_and_the_server_stays():
    with API() as api:
        server = api.create_server(start="spawn")
        with API() as others:
            other = others.create_server("view", start=f"127.0.0.1:{server.port}", token=server.token)
            other.create_engine("e1")
        assert server.ping()["books"] == 0
        assert [engine["name"] for engine in server.list_engines()] == ["e1"]
        with pytest.raises(ExsimError) as caught:
            api.create_server("wrong", start=f"127.0.0.1:{server.port}", token="guess")
        assert caught.value.code == "unauthenticated"


def test_the_port_is_on_loopback_alone():
    with API() as api:
        server = api.create_server(start="spawn")
        with open("/proc/net/tcp") as file:
            listening = [line.split()[1] for line in file.readlines()[1:] if line.split()[3] == "0A"]
        assert f"0100007F:{server.port:04X}" in listening
        assert f"00000000:{server.port:04X}" not in listening


def test_a_tape_is_saved_below_the_folder_that_was_named(tmp_path):
    with API() as api:
        server = api.create_server(start="spawn", tape_folder=str(tmp_path))
        server.create_engine("e1").create_book("X", symbol="X").buy("b1", 1, "5")
        saved = server.save_tape("one.tape")
        assert (tmp_path / "one.tape").read_bytes().count(b"\n") == saved["records"]
        with pytest.raises(ExsimError):
            server.save_tape("..")
