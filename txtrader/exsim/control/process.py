"""A simulator as a process of its own: made by fork or by a fresh interpreter, told by its starter what to be.

It binds its control port, writes one JSON line with port and token to a pipe, and closes that.  It ends when it is told
to, when its starter is gone (a second pipe) together with the last client of its control, or on SIGTERM.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import logging
import os
import random
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from txtrader.exsim.control.listener import ControlPort
    from txtrader.exsim.control.world import World

__all__ = ["ServerOptions", "main", "run_forked", "serve"]


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a server process is to be.

    `start_time` is where a virtual clock starts (integer nanoseconds UTC), None for the usual.  `plugins` are modules
    that are imported first, and from which requests may load classes.  `tape_folder` is where save_tape may write,
    `data_folder` where the files of bots and sources are.
    """

    name: str = "default"
    seed: int = 1
    clock: str = "real"
    managed: bool = False
    start_time: int | None = None
    plugins: tuple[str, ...] = ()
    tape_folder: str | None = None
    data_folder: str | None = None
    port: int = 0
    interface: str = "127.0.0.1"


def serve(
    options: ServerOptions,
    announce: Callable[[ControlPort, World], None],
    *,
    alive: int | None = None,
    token: str | None = None,
    script: Sequence[dict[str, Any]] = (),
) -> int:
    """Run a server until it is to end; return the exit code.

    `announce` is called once it listens and the `script` has been run; a request of that which fails ends it with
    code 1.  With `alive`, the end of a pipe that the starter holds, the server goes with its starter and its last
    client; without it, on a signal or when it is told.
    """
    # A reactor that was inherited by a fork has the starter's sockets: this process makes its own.
    sys.modules.pop("twisted.internet.reactor", None)
    from twisted.internet.defer import Deferred
    from twisted.internet.epollreactor import EPollReactor
    from twisted.internet.main import installReactor

    reactor: Any = EPollReactor()
    installReactor(reactor)
    _log_to_stderr()
    for name in options.plugins:
        importlib.import_module(name)

    from txtrader.exsim.control.dispatcher import Dispatcher
    from txtrader.exsim.control.listener import ControlPort
    from txtrader.exsim.control.world import VIRTUAL_START, World

    world = World(
        reactor,
        name=options.name,
        seed=options.seed,
        is_virtual=options.clock == "virtual",
        is_managed=options.managed,
        start_ns=VIRTUAL_START if options.start_time is None else options.start_time,
        tape_folder=options.tape_folder,
        data_folder=options.data_folder,
        plugins=options.plugins,
    )

    def leave() -> None:
        reactor.callLater(0, end)

    def end() -> None:
        if not is_ending:
            is_ending.append(True)
            port.stop().addCallback(lambda _: world.stop()).addBoth(lambda _: reactor.stop())

    is_ending: list[bool] = []
    codes: list[int] = []
    dispatcher = Dispatcher(world, leave)
    port = ControlPort(
        world,
        dispatcher,
        reactor,
        token=token or secrets.token_urlsafe(24),
        port=options.port,
        interface=options.interface,
        on_alone=None if alive is None else leave,
    )
    port.start()
    if alive is not None:
        reactor.addReader(_Starter(alive, on_gone=lambda: None if port.has_clients else leave()))
    reactor.addSystemEventTrigger("before", "shutdown", world.stop)

    async def begin() -> None:
        for number, step in enumerate(script, 1):
            reply = await dispatcher.run(step)
            if not reply["result"]:
                error = reply["error"]
                sys.stderr.write(f"exsim: request {number} of the script: {error['code']}: {error['message']}\n")
                codes.append(1)
                leave()
                return
        announce(port, world)

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(begin()))
    reactor.run()
    return codes[0] if codes else 0


def _tell(handle: int) -> Callable[[ControlPort, World], None]:
    """Return what writes port and token to a pipe, and closes it."""

    def announce(port: ControlPort, _: World) -> None:
        line = json.dumps({"port": port.port, "token": port.token, "pid": os.getpid()}).encode() + b"\n"
        os.write(handle, line)
        os.close(handle)

    return announce


class _Starter:
    """The pipe whose other end the starter holds: it becomes readable when the starter is gone."""

    def __init__(self, handle: int, on_gone: Callable[[], None]) -> None:
        self._handle = handle
        self._on_gone = on_gone

    def fileno(self) -> int:
        return self._handle

    def logPrefix(self) -> str:
        return "starter"

    def doRead(self) -> Exception | None:
        from twisted.internet.main import CONNECTION_DONE

        if os.read(self._handle, 1):
            return None
        self._on_gone()
        return CONNECTION_DONE

    def connectionLost(self, reason: Any) -> None:
        with contextlib.suppress(OSError):
            os.close(self._handle)
        self._handle = -1


def _log_to_stderr() -> None:
    """Log warnings and faults to standard error, and nothing through what the starter had set up."""
    from twisted.logger import (
        FilteringLogObserver,
        LogLevel,
        LogLevelFilterPredicate,
        globalLogPublisher,
        textFileLogObserver,
    )

    logging.getLogger().handlers.clear()
    for observer in list(globalLogPublisher._observers):
        globalLogPublisher.removeObserver(observer)
    predicate = LogLevelFilterPredicate(LogLevel.warn)
    globalLogPublisher.addObserver(FilteringLogObserver(textFileLogObserver(sys.stderr), [predicate]))


def run_forked(options: ServerOptions, announce: int, alive: int, errors: int) -> None:
    """Be the child after a fork: drop what was the parent's, serve, and leave without a trace of it."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(errors, 2)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        for entry in os.listdir("/proc/self/fd"):
            if int(entry) > 2 and int(entry) not in (announce, alive):
                with contextlib.suppress(OSError):
                    os.close(int(entry))
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  they live as long as the process
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        atexit._clear()
        random.seed(options.seed)
        code = serve(options, _tell(announce), alive=alive)
    except BaseException:  # noqa: BLE001  whatever it is: the starter reads it, and this copy of it must not go on
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Be a fresh interpreter: options as JSON, and the numbers of two pipes."""
    options = msgspec.json.decode(sys.argv[1].encode(), type=ServerOptions)
    sys.exit(serve(options, _tell(int(sys.argv[2])), alive=int(sys.argv[3])))


if __name__ == "__main__":
    main()
