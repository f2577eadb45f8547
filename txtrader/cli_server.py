"""The command `exsim server`: a simulator with nothing in it, driven by requests, or by a file of them."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from txtrader.exsim.control.process import ServerOptions, serve

if TYPE_CHECKING:
    from txtrader.exsim.control.listener import ControlPort
    from txtrader.exsim.control.world import World

__all__ = ["server"]


@click.command(name="server", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the control listens.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Its port; 0: any free one.")
@click.option("--script", type=click.File(), help="Requests to begin with: a JSON list, or one object a line; - reads.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="What random numbers come from.")
@click.option("--clock", type=click.Choice(["real", "virtual"]), default="real", show_default=True)
@click.option("--managed", is_flag=True, help="Accept, receive and match nothing by itself.")
@click.option("--plugin", "plugins", multiple=True, metavar="MODULE", help="Import it; classes may be loaded from it.")
@click.option("--data-folder", type=click.Path(exists=True, file_okay=False), help="Where files of sources are.")
@click.option("--tape-folder", type=click.Path(exists=True, file_okay=False), help="Where tapes may be saved.")
def server(
    host: str,
    port: int,
    script: TextIO | None,
    seed: int,
    clock: str,
    managed: bool,
    plugins: tuple[str, ...],
    data_folder: str | None,
    tape_folder: str | None,
) -> None:
    """Run a venue with nothing in it until Ctrl-C or SIGTERM.

    When it listens, a line on standard output says where, and what its clients have to say first (EXSIM_TOKEN, where
    that is set): control HOST:PORT TOKEN; then one for each endpoint of the script: endpoint NAME HOST:PORT.
    """
    options = ServerOptions(
        seed=seed,
        clock=clock,
        managed=managed,
        plugins=plugins,
        data_folder=data_folder,
        tape_folder=tape_folder,
        port=port,
        interface=host,
    )
    steps = [] if script is None else _read(script)
    sys.exit(serve(options, _announce, token=os.environ.get("EXSIM_TOKEN"), script=steps))


def _announce(port: ControlPort, world: World) -> None:
    click.echo(f"control {port.interface}:{port.port} {port.token}")
    for endpoint in world.endpoints.values():
        click.echo(f"endpoint {endpoint.name} {endpoint.interface}:{endpoint.port}")


def _read(file: TextIO) -> list[dict[str, Any]]:
    """Read requests; whoever wrote something else is told, and nothing runs."""
    text = file.read()
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.split("\n")
                                                                         if line.strip()]  # fmt: skip
    except json.JSONDecodeError as error:
        _refuse(f"{file.name}: not JSON: {error}")
    if not isinstance(found, list) or not all(isinstance(step, dict) for step in found):
        _refuse(f"{file.name}: a list of requests is expected")
    return found


def _refuse(text: str) -> NoReturn:
    click.echo(f"exsim: {text}", err=True)
    sys.exit(1)
