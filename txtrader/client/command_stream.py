"""Commands that stay: `monitor` prints what the gateway says, `watch` shows it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from txtrader.client.caller import Caller, json_or_word, login_options, output_options
from txtrader.client.events import Line
from txtrader.client.monitor import Monitor
from txtrader.client.output import to_json

__all__ = ["commands", "txtrader_monitor"]


def commands() -> list[click.Command]:
    """Make `monitor` and `watch`."""
    tcp_port = click.Option(
        ["--tcp-port"], type=click.IntRange(1, 65535), help="The port of the line protocol (TXTRADER_TCP_PORT)."
    )
    symbols = click.Argument(["symbols"], nargs=-1, metavar="[SYMBOL]...")
    return [
        click.Command(
            "monitor",
            callback=_monitor,
            params=[
                symbols,
                tcp_port,
                click.Option(["--options"], metavar="JSON|WORDS", help="Options of the login: channels, symbols ..."),
                click.Option(["--once"], is_flag=True, help="End when the connection ends."),
                *output_options(),
            ],
            help="Print every line of the gateway as it comes, and add these symbols; with --json, the events as JSON.",
        ),
        click.Command(
            "watch",
            callback=_watch,
            params=[symbols, tcp_port, *output_options()],
            help="Show quotes, orders, positions and events as they change, and add these symbols; q ends it.",
        ),
    ]


def _make_monitor(caller: Caller, tcp_port: int | None, **options: Any) -> Monitor:
    return Monitor(caller.host, tcp_port, caller.username, caller.password, mode=caller.mode, **options)


@click.pass_obj
def _monitor(caller: Caller, symbols: tuple[str, ...], tcp_port: int | None, options: str | None, once: bool) -> None:
    chosen = json_or_word(options, literals=False) if options else None
    print_line = _json_line if caller.is_json else _raw_line
    monitor = _make_monitor(
        caller, tcp_port, options=chosen, callbacks={"*": print_line}, parse=True, decimals=True, reconnect=not once
    )
    for symbol in symbols:
        monitor.send(f"add {symbol}")
    run_until_signal(monitor)


@click.pass_obj
def _watch(caller: Caller, symbols: tuple[str, ...], tcp_port: int | None) -> None:
    from txtrader.client.watch import watch

    def make(callbacks: dict[str, Callable[[str, Any], Any]]) -> Monitor:
        return _make_monitor(caller, tcp_port, callbacks=callbacks, parse=True, decimals=True)

    watch(make, symbols, is_plain=caller.is_json or not sys.stdout.isatty())


def run_until_signal(monitor: Monitor) -> None:
    """Run a monitor until it ends, or SIGINT or SIGTERM ends it in order."""

    def stop(number: int, frame: object) -> None:
        monitor.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        monitor.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raw_line(label: str, line: Line) -> None:
    click.echo(line.raw)


def _json_line(label: str, line: Line) -> None:
    if not line.is_reply:
        record = {"type": line.type, "mode": line.mode, "key": line.key, "data": line.payload(decimals=True)}
        click.echo(to_json(record, compact=True))


def _run_published(
    host: str | None, port: int | None, username: str | None, password: str | None, options: str | None, log_level: str
) -> None:
    import logging

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=log_level.upper())
    chosen = json_or_word(options, literals=False) if options else None
    run_until_signal(
        Monitor(host, port, username, password, chosen, {"*": _raw_line}, log_level, parse=True, decimals=True)
    )


txtrader_monitor = click.Command(
    "txtrader_monitor",
    callback=_run_published,
    params=[
        *(p for p in login_options() if p.name != "username"),
        click.Option(["-u", "--username"], help="Who to log in as (TXTRADER_USERNAME)."),
        click.Option(["--options"], metavar="JSON|WORDS", help="Options of the login."),
        click.Option(
            ["-l", "--log-level"],
            type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
            default="warning",
            help="What is logged on standard error.",
        ),
    ],
    help="Print every line of the gateway as it comes, on its TCP port.",
    context_settings={"help_option_names": ["--help"]},
)
