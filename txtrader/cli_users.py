"""`txtrader users`: lines for the users file."""

from __future__ import annotations

import re
import secrets
import sys
from typing import NoReturn

import click

from txtrader.errors import TxTraderError
from txtrader.gateway.passwords import hash_password
from txtrader.gateway.session import ROLES

__all__ = ["users"]

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,31}", re.ASCII)
_ACCOUNTS = re.compile(r"\*|[A-Za-z0-9._-]{1,64}(,[A-Za-z0-9._-]{1,64})*", re.ASCII)


@click.group()
def users() -> None:
    """Make lines for the users file (TXTRADER_USERS_FILE)."""


@users.command("hash")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="trade", help="What the user may do; default trade.")
@click.option("--accounts", default="*", metavar="A,B", help="The accounts that the user sees; default all.")
@click.option("--password-stdin", is_flag=True, help="Take the password from standard input, one line.")
@click.option("--random", "is_random", is_flag=True, help="Make a random password and show it on standard error.")
def _hash(name: str, role: str, accounts: str, password_stdin: bool, is_random: bool) -> None:
    """Print the users-file line of NAME; asks for the password.

    Only its scrypt hash is in the line.  Append it to the users file, which belongs to root with mode 0640.
    """
    if not _NAME.fullmatch(name):
        raise click.BadParameter("write 1 to 32 of a-z 0-9 _ . - beginning with a letter", param_hint="NAME")
    if not _ACCOUNTS.fullmatch(accounts):
        raise click.BadParameter("write account names with commas between, or *", param_hint="--accounts")
    if password_stdin and is_random:
        raise click.UsageError("--password-stdin and --random are two passwords")
    password = _password(password_stdin, is_random)
    try:
        hashed = hash_password(name, password)
    except TxTraderError as error:
        _refuse(error)
    if is_random:
        click.echo(f"password of {name}: {password}", err=True)
    click.echo(f"{name}:{role}:{hashed}:{accounts}")


def _password(from_stdin: bool, is_random: bool) -> str:
    if is_random:
        return secrets.token_urlsafe(18)
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _refuse(error: TxTraderError) -> NoReturn:
    click.echo(f"txtrader: {error.code}: {error.text}", err=True)
    sys.exit(1)
