"""What every command of `txtrader` shares: whom to call as whom, how to show what came back."""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from txtrader.client.api import API
from txtrader.client.output import print_table, to_json

__all__ = ["ERROR", "UNKNOWN", "Caller", "json_or_word", "login_options", "output_options", "read_secret"]

ERROR, UNKNOWN = 1, 3
"""Exit codes beside 0; click itself uses 2 for usage."""

LITERALS = {"true": True, "false": False}
"""Words that are booleans where a boolean may stand."""


class Caller:
    """What stands before the command's name: where to call, as whom, and how to show the result."""

    def __init__(self, **options: Any) -> None:
        self.host: str | None = options["host"]
        self.port: int | None = options["port"]
        self.username: str | None = options["username"]
        self.password: str | None = options["password"]
        self.account: str | None = options["account"]
        self.route: str | None = options["route"]
        self.mode: str | None = options["mode"]
        self.protocol: str | None = options["protocol"]
        self.is_verbose: bool = options["verbose"]
        self.is_compact: bool = options["compact"]
        self.is_json: bool = options["as_json"] or options["compact"]
        self.is_table: bool = options["as_table"]

    def connect(self) -> API:
        """Make the client.  Raises ConfigError."""
        return API(
            config=None if self.protocol is None else {"TXTRADER_PROTOCOL": self.protocol},
            mode=self.mode,
            host=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            account=self.account,
            route=json_or_word(self.route) if self.route else None,
            decimals=True,
        )

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        """Call an operation."""
        started = time.monotonic()
        with self.connect() as api:
            try:
                return api.cmd(name, args, options)
            finally:
                if self.is_verbose:
                    click.echo(f"txtrader: {name} took {(time.monotonic() - started) * 1000:.1f} ms", err=True)

    def show(self, result: Any) -> None:
        """Print a result: a table on a terminal, else JSON."""
        if self.is_table or (not self.is_json and sys.stdout.isatty()):
            print_table(result, width=None if sys.stdout.isatty() else 200)
        else:
            click.echo(to_json(result, compact=self.is_compact))


def read_secret(value: str, what: str) -> str:
    """Take `-` for a question (or a line of standard input), `@FILE` for a file's first line; warn of a literal."""
    if value == "-":
        if sys.stdin.isatty():
            return str(click.prompt(what.capitalize(), hide_input=True, err=True))
        return sys.stdin.readline().rstrip("\r\n")
    if value.startswith("@"):
        try:
            lines = Path(value[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise click.UsageError(f"{what}: {value[1:]}: {reason}") from None
        if not lines:
            raise click.UsageError(f"{what}: {value[1:]}: is empty")
        return lines[0]
    click.echo(f"txtrader: everybody on this machine can read {what} on the command line; use - or @FILE", err=True)
    return value


def _password(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else read_secret(value, "the password")


def login_options() -> list[click.Parameter]:
    """Return the options that say where to call and as whom."""
    return [
        click.Option(["-h", "--host"], help="Where the gateway is (TXTRADER_HOST)."),
        click.Option(["-p", "--port"], type=click.IntRange(1, 65535), help="Its port."),
        click.Option(["-U", "--username"], help="Who to log in as (TXTRADER_USERNAME)."),
        click.Option(
            ["-P", "--password"],
            callback=_password,
            metavar="-|@FILE",
            help="Ask for the password; or a file's line.",
        ),
    ]


def output_options() -> list[click.Parameter]:
    """Return --json and -c, which may stand after the command, too."""

    def take(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        caller = ctx.find_object(Caller)
        if value and caller is not None:
            caller.is_json = True
            caller.is_compact = caller.is_compact or parameter.name == "compact"

    return [
        click.Option(["--json", "as_json"], is_flag=True, hidden=True, expose_value=False, callback=take),
        click.Option(["-c", "compact"], is_flag=True, hidden=True, expose_value=False, callback=take),
    ]


def json_or_word(text: Any, *, literals: bool = True) -> Any:
    if not isinstance(text, str):
        return text
    if text.startswith("{"):
        try:
            return json.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"not JSON: {error}") from None
    return LITERALS.get(text, text) if literals else text
