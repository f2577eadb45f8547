"""The `txtrader` command: every operation by its name, orders in words, a monitor and a live view.

Exit codes: 0 done, 1 an error (its code on standard error), 2 usage, 3 the outcome of an order is not known.
"""

from __future__ import annotations

import re
from typing import Any

import click

from txtrader.client import command_orders, command_stream
from txtrader.client.caller import (
    ERROR,
    LITERALS,
    UNKNOWN,
    Caller,
    json_or_word,
    login_options,
    output_options,
    read_secret,
)
from txtrader.client.calls import is_order, make_invocation
from txtrader.errors import OutcomeUnknown, TxTraderError
from txtrader.model.operations import OPERATIONS, Argument, Operation
from txtrader.version import __date__, __version__

__all__ = ["Commands", "main", "monitor_main"]

_NUMBER = re.compile(r"-[0-9.]+")
_ORDER_GROUPS = ("trade", "cancel")


class Commands(click.Group):
    """Commands that turn errors into exit codes, and stand in groups in the help."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OutcomeUnknown as error:
            _complain(error)
            ctx.exit(UNKNOWN)
        except TxTraderError as error:
            _complain(error)
            ctx.exit(ERROR)
        except TimeoutError as error:
            click.echo(f"txtrader: timeout: {error}", err=True)
            ctx.exit(ERROR)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, cmd_name.replace("-", "_"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            operation = OPERATIONS.get(name)
            group = operation.group.capitalize() if operation is not None else "Commands"
            groups.setdefault(group, []).append((name, command.get_short_help_str(90)))
        for group in ("Commands", *(g for g in groups if g != "Commands")):
            with formatter.section(group):
                formatter.write_dl(groups[group])


def _complain(error: TxTraderError) -> None:
    order = error.order or {}
    named = order.get("id") or order.get("client_order_id")
    click.echo(f"txtrader: {error.code}: {error.text}" + (f" [order={named}]" if named else ""), err=True)


@click.pass_context
def _start(ctx: click.Context, /, **options: Any) -> None:
    ctx.obj = Caller(**options)


def _operation_command(operation: Operation) -> click.Command:
    @click.pass_obj
    def call(caller: Caller, /, words: tuple[str, ...], **options: Any) -> None:
        given = {name: json_or_word(value) for name, value in options.items() if value is not None}
        values = _values(operation, words)
        try:
            make_invocation(operation, values, given)
        except TypeError as error:
            raise click.UsageError(str(error)) from None
        result = caller.call(operation.name, *values, **given)
        caller.show(result)
        if operation.group in _ORDER_GROUPS and isinstance(result, dict) and result.get("status") == "Unknown":
            click.get_current_context().exit(UNKNOWN)

    return click.Command(
        operation.name,
        callback=call,
        params=[
            click.Argument(["words"], nargs=-1, metavar=_metavar(operation)),
            *(_option(argument) for argument in operation.parameters if not argument.required),
            *output_options(),
        ],
        help=_help(operation),
        short_help=operation.doc,
        context_settings={"ignore_unknown_options": True},  # a negative quantity is none
    )


def _help(operation: Operation) -> str:
    """Write the help without the options, which click lists."""
    lines = [f"  {argument.name.upper()}: {argument.doc}" for argument in operation.arguments]
    lines.append(f"  Result: {operation.result}")
    if operation.errors:
        lines.append(f"  Errors: {', '.join(operation.errors)}")
    return "\n".join([operation.doc, "", "\b", *lines, f"  Role: {operation.role}"])


def _option(argument: Argument) -> click.Option:
    names = ["--" + argument.name.replace("_", "-"), argument.name]
    if argument.name == "client_order_id":
        names.insert(0, "--key")
    if argument.kind == "boolean":
        return click.Option(names, is_flag=True, default=None, help=argument.doc)
    return click.Option(names, metavar=argument.kind.upper(), help=argument.doc)


def _metavar(operation: Operation) -> str:
    words = [a.name.upper() if a.required else f"[{a.name.upper()}]" for a in operation.arguments]
    if not is_order(operation) or operation.name == "submit_order":
        if operation.arguments and operation.arguments[-1].kind in ("order", "changes"):
            words[-1] = "{JSON | NAME=VALUE...}"
        return " ".join(words)
    at = 1 if words[0] == "TAG" else 0
    return " ".join([*words[:at], "[ACCOUNT ROUTE]", *words[at:]])


def _values(operation: Operation, words: tuple[str, ...]) -> list[Any]:
    """Turn words into arguments: JSON where it looks like it, NAME=VALUE for an order's or change's fields."""
    kinds = [argument.kind for argument in operation.arguments]
    values: list[Any] = []
    fields: dict[str, Any] = {}
    takes_fields = bool(kinds) and kinds[-1] in ("order", "changes")
    for word in words:
        if word.startswith("-") and len(word) > 1 and not _NUMBER.fullmatch(word):
            raise click.UsageError(f"No such option: {word}")
        name, equals, value = word.partition("=")
        if takes_fields and equals and name.isidentifier():
            fields[name] = json_or_word(value)
        elif len(values) < len(kinds) and kinds[len(values)] == "boolean":
            values.append(LITERALS.get(word, word))
        elif len(values) < len(kinds) and kinds[len(values)] == "secret":
            values.append(read_secret(word, "the password"))
        elif word == "null" and len(values) < len(kinds) and kinds[len(values)] == "route":
            values.append(None)
        else:
            values.append(json_or_word(word, literals=False))
    return [*values, fields] if fields else values


@click.pass_obj
def _query_all_symbols(caller: Caller) -> None:
    caller.show(caller.call("query_all_symbols"))


main = Commands(
    "txtrader",
    callback=_start,
    params=[
        click.Option(["--protocol"], type=click.Choice(["http", "https"]), help="How to speak to the gateway."),
        *login_options(),
        click.Option(["-a", "--account"], help="The account of orders."),
        click.Option(["-r", "--route"], help="The route of orders: a name, or JSON."),
        click.Option(["-m", "--mode"], help="Use the settings TXTRADER_<MODE>_..."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Say how long the call took."),
        click.Option(["-c", "--compact"], is_flag=True, help="Print JSON in one line."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, on a terminal, too."),
        click.Option(["--table", "as_table"], is_flag=True, help="Print tables, into a pipe, too."),
    ],
    help="""Speak to a txTrader gateway.

    Where and as whom: the options, else the environment, .env, TXTRADER_ENVDIR or /etc/txtrader.  Try: txtrader
    status; txtrader add_symbol IBM; txtrader buy 100 IBM -l 124.5; txtrader watch.
    """,
    context_settings={"help_option_names": ["--help"]},
)
click.version_option(__version__, message=f"txtrader {__version__} {__date__}")(main)
for _command in (
    *(_operation_command(operation) for operation in OPERATIONS.values()),
    click.Command(
        "query_all_symbols",
        callback=_query_all_symbols,
        params=output_options(),
        help="Read the records of all symbols that were added.",
    ),
    *command_orders.commands(),
    *command_stream.commands(),
):
    main.add_command(_command)


def monitor_main() -> None:
    """Run `txtrader_monitor`, the command of the published monitor."""
    command_stream.txtrader_monitor()
