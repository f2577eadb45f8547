"""The command `exsim`: the simulated brokers alone, for whoever wants to test a client without an account."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

import click

from txtrader.cli_conformance import conformance
from txtrader.cli_server import server
from txtrader.errors import ConfigError
from txtrader.settings import Settings, SettingsError
from txtrader.version import __date__, __version__

__all__ = ["exsim"]


@click.group(name="exsim", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--tws-port",
    type=click.IntRange(0, 65535),
    help="Where the simulated TWS listens; 0: any free port.  [default: 7497, where mode tws dials]",
)
@click.option(
    "--cqg-port",
    type=click.IntRange(0, 65535),
    help="Serve the same market as a simulated CQG WebAPI there as well; 0: any free port.",
)
@click.option(
    "--fix-port",
    type=click.IntRange(0, 65535),
    help="Serve it to FIX 4.2, 4.4 and 5.0SP2 clients there as well (TargetCompID EXSIM); 0: any free port.",
)
@click.option(
    "--control-port",
    type=click.IntRange(0, 65535),
    help="Let it be driven by requests there (docs/exsim-control.md); 0: any free port.",
)
@click.option(
    "--ouch-port",
    type=click.IntRange(0, 65535),
    help="Serve it to OUCH clients over SoupBinTCP there as well; 0: any free port.",
)
@click.option("--ouch-version", type=click.Choice(["4.2", "5.0"]), help="The version of OUCH.  [default: 5.0]")
@click.option("--host", help="The address it listens on.  [default: 127.0.0.1]")
@click.option("--seed", type=click.IntRange(0, 2**31), help="The seed of the market.  [default: 7]")
@click.option("--pace", type=click.Choice(["none", "slow", "fast"]), help="How busy it is.  [default: slow]")
@click.option("--state", type=click.Path(dir_okay=False), help="Keep orders and accounts in this file over restarts.")
@click.option("--max-version", type=click.IntRange(151, 200), help="The highest server version to agree on.")
@click.option("--master-client-id", type=click.IntRange(0), help="The client that hears of everybody's orders.")
@click.option("--message-rate", type=click.IntRange(1), help="Messages a second of one client; more is error 100.")
@click.option("--logfile", metavar="FILE", help="Where the log goes.  [default: standard error]")
@click.option("--debug", is_flag=True, help="Log everything.")
@click.version_option(__version__, message=f"exsim {__version__} {__date__}")
@click.pass_context
def _command(
    context: click.Context,
    tws_port: int | None,
    cqg_port: int | None,
    fix_port: int | None,
    control_port: int | None,
    ouch_port: int | None,
    ouch_version: str | None,
    host: str | None,
    seed: int | None,
    pace: str | None,
    state: str | None,
    max_version: int | None,
    master_client_id: int | None,
    message_rate: int | None,
    logfile: str | None,
    debug: bool,
) -> None:
    """Run a simulated TWS, and CQG, FIX and OUCH beside it if told so, until Ctrl-C or SIGTERM.

    Any TWS client may connect to it: ib_async, ibapi, TXTRADER_MODE=tws; any client of CQG's WebAPI, with any user and
    password, over ws; any FIX client, with any CompID of its own; any OUCH client, with any user and password.  When it
    listens, a line on standard output says where: tws HOST:PORT, cqg ws://HOST:PORT/, fix HOST:PORT, ouch HOST:PORT;
    and for the control HOST:PORT with the token that its clients have to say (EXSIM_TOKEN, where that is set).

    `exsim conformance` tests a FIX engine instead, and runs no market; `exsim server` is a venue with nothing in it, to
    be driven by requests.
    """
    if context.invoked_subcommand is not None:
        if any(value not in (None, False) for value in context.params.values()):
            raise click.UsageError("the options of the market do not go with a command")
        return
    said = {
        "api_port": tws_port,
        "api_host": host,
        "demo_seed": seed,
        "demo_pace": pace,
        "daemon_logfile": os.path.abspath(logfile) if logfile and logfile != "-" else logfile,
        "log_level": "debug" if debug else None,
    }
    try:
        settings = Settings.of_process("tws").replace(
            **{key: value for key, value in said.items() if value is not None}
        )
    except SettingsError as error:
        _refuse(error.problems)

    from txtrader.daemon import process

    process.limit_process(1024)
    loop = process.install_reactor()

    from txtrader.service.exsim import run  # only now: it may import what needs the reactor

    limits = {"max_version": max_version, "master_client_id": master_client_id, "message_rate": message_rate}
    state_path = os.path.abspath(state) if state else None

    def report(fault: str | None, port: int, served: Mapping[str, int], token: str) -> None:
        if fault is None:
            click.echo(f"tws {settings.api_host}:{port}")
            for wire, other in served.items():
                where = f"{settings.api_host}:{other}"
                lines = {"cqg": f"cqg ws://{where}/", "control": f"control {where} {token}"}
                click.echo(lines.get(wire, f"{wire} {where}"))
        elif settings.daemon_logfile != "-":
            click.echo(f"exsim: {fault}", err=True)

    sys.exit(
        run(
            settings,
            state_path=state_path,
            limits={name: value for name, value in limits.items() if value is not None},
            loop=loop,
            report=report,
            others={
                wire: port
                for wire, port in (
                    ("cqg", cqg_port),
                    ("fix", fix_port),
                    ("ouch", ouch_port),
                    ("control", control_port),
                )
                if port is not None
            },
            ouch_version=ouch_version or "5.0",
        )
    )


_command.add_command(conformance)
_command.add_command(server)


def _refuse(problems: list[str]) -> NoReturn:
    for problem in problems:
        click.echo(f"exsim: {problem}", err=True)
    sys.exit(1)


def exsim() -> None:
    """Run the simulator's command."""
    try:
        _command()
    except ConfigError as error:
        _refuse(error.text.splitlines())
