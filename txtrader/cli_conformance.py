"""The command `exsim conformance`: does a FIX engine, yours or your broker's, keep the rules of the session?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from txtrader.exsim.conformance.case import ACCEPTOR, INITIATOR, VERSIONS
from txtrader.exsim.conformance.plan import Plan
from txtrader.exsim.conformance.report import case_lines, case_table, result_lines, summary, to_json, to_junit
from txtrader.exsim.conformance.runner import Result, choose, exit_code, run
from txtrader.exsim.conformance.stage import Unreachable

__all__ = ["conformance"]

_UNUSABLE = 2


def _fields(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    found = []
    for value in values:
        tag, middle, text = value.partition("=")
        if not middle or not tag.isdecimal() or not text:
            raise click.BadParameter(f"{value} is not TAG=VALUE")
        found.append((int(tag), text))
    return tuple(found)


@click.command(name="conformance", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the acceptor is, or where to --listen.")
@click.option("--port", type=click.IntRange(0, 65535), help="Its port; with --listen 0 is any free one.")
@click.option("--sender", help="Our CompID.")
@click.option("--target", help="The CompID of what is tested.")
@click.option(
    "--version", type=click.Choice(VERSIONS), default="4.4", show_default=True, help="5.0SP2 is over FIXT.1.1."
)
@click.option("--username", help="553 of our Logon.")
@click.option("--password", help="554 of our Logon.", envvar="EXSIM_CONFORMANCE_PASSWORD")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="TAG=VALUE",
    callback=_fields,
    help="A field more: one of the header goes into each message, any other into our Logon.",
)
@click.option("--listen", is_flag=True, help="Test an initiator: each case takes the next connection.")
@click.option("--heartbeat", type=click.IntRange(1, 3600), default=5, show_default=True, help="HeartBtInt, seconds.")
@click.option(
    "--reset/--no-reset",
    default=True,
    help="Begin each case by 141=Y; without it the acceptor must begin at 1 at each logon.",
)
@click.option("--orders", metavar="SYMBOL", help="Send orders for this symbol as well.")
@click.option("--price", default="1.00", show_default=True, help="A price at which an order to buy rests.")
@click.option("--quantity", type=click.IntRange(1), default=100, show_default=True, help="The size of an order.")
@click.option("--account", help="Field 1 of orders.")
@click.option(
    "--case", "names", multiple=True, metavar="ID", help="This case, or all whose ids begin so; may be repeated."
)
@click.option("--list", "is_list", is_flag=True, help="Print the cases for --version and the role, and end.")
@click.option("--table", "is_table", is_flag=True, hidden=True, help="Print the table of docs/conformance.md.")
@click.option(
    "--timeout", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds to wait for an answer."
)
@click.option(
    "--limit", type=click.FloatRange(1), default=120.0, show_default=True, help="Seconds that one case may take."
)
@click.option(
    "--patience", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Seconds to wait for an initiator."
)
@click.option("--pause", type=click.FloatRange(0), default=0.0, show_default=True, help="Seconds between two cases.")
@click.option("--tls", is_flag=True, help="Speak over TLS; the certificate is checked.")
@click.option("--strict", is_flag=True, help="What only should be is a failure, too.")
@click.option("--verbose", "-v", is_flag=True, help="Print the conversation of each case that is not passed.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False), help="Write results and conversations there.")
@click.option("--junit", "junit_path", type=click.Path(dir_okay=False), help="Write a JUnit file.")
def conformance(
    host: str,
    port: int | None,
    sender: str | None,
    target: str | None,
    version: str,
    username: str | None,
    password: str | None,
    fields: tuple[tuple[int, str], ...],
    listen: bool,
    heartbeat: int,
    reset: bool,
    orders: str | None,
    price: str,
    quantity: int,
    account: str | None,
    names: tuple[str, ...],
    is_list: bool,
    is_table: bool,
    timeout: float,
    limit: float,
    patience: float,
    pause: float,
    tls: bool,
    strict: bool,
    verbose: bool,
    json_path: str | None,
    junit_path: str | None,
) -> None:
    """Test a FIX acceptor, or with --listen an initiator, by conversations that prove one rule each.

    A line for each case: pass, FAIL with what was expected and seen, warn where that is no must, skip with the reason.
    Exit code 0: nothing failed; 1: something did; 2: nothing could be tested.
    """
    if is_table:
        from txtrader.exsim.conformance.cases import ALL_CASES

        click.echo(case_table(ALL_CASES), nl=False)
        return
    plan = Plan(
        host=host,
        port=port or 0,
        version=version,
        sender=sender or "",
        target=target or "",
        role=INITIATOR if listen else ACCEPTOR,
        heartbeat=heartbeat,
        username=username,
        password=password,
        fields=fields,
        resets=reset,
        uses_tls=tls,
        timeout=timeout,
        limit=limit,
        patience=patience,
        pause=pause,
        symbol=orders,
        price=price,
        quantity=str(quantity),
        account=account,
        is_strict=strict,
    )
    try:
        cases = choose(plan, names)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--case") from None
    if is_list:
        click.echo("\n".join(case_lines(cases)))
        return
    for name, value in (("--port", port), ("--sender", sender), ("--target", target)):
        if value is None:
            raise click.UsageError(f"{name} is needed")
    if tls and listen:
        raise click.UsageError("--tls and --listen do not go together: put a TLS terminator before it")
    results: list[Result] = []
    code = None
    try:
        for result in run(plan, cases, on_listening=lambda number: click.echo(f"listening {host}:{number}")):
            results.append(result)
            click.echo("\n".join(result_lines(result, with_conversation=verbose)))
            sys.stdout.flush()
    except Unreachable as error:
        click.echo(f"exsim: {error}", err=True)
        code = _UNUSABLE
    click.echo(summary(results, plan))
    if json_path is not None:
        Path(json_path).write_bytes(to_json(results, plan))
    if junit_path is not None:
        Path(junit_path).write_text(to_junit(results, plan), encoding="utf-8")
    sys.exit(exit_code(results) if code is None else code)
