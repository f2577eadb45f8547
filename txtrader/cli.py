"""The commands: `txtraderd` runs the daemon, `txtrader` speaks to one, `exsim` is a market to test against.

`python -m txtrader.cli daemon ...` is `txtraderd ...` where nothing is installed, `... client ...` is `txtrader ...`,
`... exsim ...` is `exsim ...`.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from txtrader.errors import ConfigError
from txtrader.settings import Settings, SettingsError
from txtrader.version import __date__, __version__

__all__ = ["check_config", "exsim", "main", "txtrader", "txtraderd"]


@click.command(name="txtraderd", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("tac", required=False, type=click.Path(exists=True, dir_okay=False, readable=True))
@click.option("--mode", metavar="MODE", help="The broker: demo, tws (TXTRADER_MODE).")
@click.option("--envdir", metavar="DIR", help="Settings, one file for each (TXTRADER_ENVDIR).")
@click.option("--check-config", is_flag=True, help="Say whether the settings are right, and end.")
@click.option("--daemon/--nodaemon", default=False, help="Go to the background; default: stay.")
@click.option("--logfile", metavar="FILE", help="Where the log goes; - is standard error (TXTRADER_DAEMON_LOGFILE).")
@click.option("--pidfile", metavar="FILE", help="Where the process id goes (TXTRADER_DAEMON_PIDFILE).")
@click.option("--reactor", metavar="NAME", help="The event loop: asyncio (TXTRADER_DAEMON_REACTOR).")
@click.option("--debug", is_flag=True, help="Log everything (TXTRADER_LOG_LEVEL=debug).")
@click.version_option(__version__, message=f"txtraderd {__version__} {__date__}")
def _daemon_command(
    tac: str | None,
    mode: str | None,
    envdir: str | None,
    check_config: bool,
    daemon: bool,
    logfile: str | None,
    pidfile: str | None,
    reactor: str | None,
    debug: bool,
) -> None:
    """Run the gateway: as TAC says, else as the settings say.

    Settings come from --envdir, .env in the working directory, the environment and these options; later wins.
    """
    if tac and mode:
        raise click.UsageError("TAC names the mode already; leave --mode away")
    # The options join the environment, so that a tac sees what we see.
    said = {
        "TXTRADER_MODE": mode,
        "TXTRADER_ENVDIR": os.path.abspath(envdir) if envdir else None,
        "TXTRADER_DAEMON_LOGFILE": os.path.abspath(logfile) if logfile and logfile != "-" else logfile,
        "TXTRADER_DAEMON_PIDFILE": os.path.abspath(pidfile) if pidfile else None,
        "TXTRADER_DAEMON_REACTOR": reactor,
        "TXTRADER_LOG_LEVEL": "debug" if debug else None,
    }
    os.environ.update({name: text for name, text in said.items() if text})
    if check_config:
        sys.exit(_check_config())
    try:
        settings = Settings.of_process()
    except SettingsError as error:
        _refuse(error.problems)
    if daemon and settings.daemon_logfile == "-":
        _refuse(["TXTRADER_DAEMON_LOGFILE: a daemon in the background needs a file for its log"])

    from txtrader.daemon import process

    report = process.go_to_background() if daemon else None
    process.limit_process(settings.max_clients + 1024)
    loop = process.install_reactor()

    from txtrader import service  # only now: it may import what needs the reactor

    try:
        sys.exit(service.run(tac, loop=loop, report=report))
    except ConfigError as error:
        if report is None:
            raise
        report(f"txtraderd: {error.text}")
        sys.exit(1)


def _check_config() -> int:
    """Print what is wrong with the settings; return the exit code."""
    try:
        settings = Settings.of_process(strict=True)
    except SettingsError as error:
        _say(error.problems)
        return 1
    from txtrader.service.check import check_settings

    problems = check_settings(settings)
    _say([*settings.warnings, *problems])
    if problems:
        return 1
    click.echo(f"the settings are right: mode {','.join(settings.mode)}, user {settings.username or 'from the file'}")
    return 0


@click.command(name="check-config")
@click.option("--envdir", metavar="DIR", help="Settings, one file for each.")
def check_config(envdir: str | None) -> None:
    """Say whether the daemon would start with these settings."""
    if envdir:
        os.environ["TXTRADER_ENVDIR"] = os.path.abspath(envdir)
    sys.exit(_check_config())


def _say(lines: list[str]) -> None:
    for line in lines:
        click.echo(f"txtraderd: {line}", err=True)


def _refuse(lines: list[str]) -> NoReturn:
    _say(lines)
    sys.exit(1)


def txtraderd() -> None:
    """Run the daemon's command."""
    try:
        _daemon_command()
    except ConfigError as error:
        _refuse(error.text.splitlines())


def txtrader() -> None:
    """Run the client's command."""
    from txtrader.cli_users import users
    from txtrader.client.command import main as client

    client.add_command(users)
    client.add_command(check_config)
    client()


def exsim() -> None:
    """Run the simulator's command."""
    from txtrader.cli_exsim import exsim as command

    command()


def main() -> None:
    """Choose a command by the first word: for a tree that is not installed."""
    commands = {"daemon": txtraderd, "client": txtrader, "exsim": exsim}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        click.echo("usage: python -m txtrader.cli daemon|client|exsim ...", err=True)
        sys.exit(2)
    command = commands[sys.argv.pop(1)]
    command()


if __name__ == "__main__":
    main()
