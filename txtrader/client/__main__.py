"""`python -m txtrader.client SERVER COMMAND ARGS`: the command line of 2015; SERVER is a mode, such as tws."""

from __future__ import annotations

import sys

import click

from txtrader.client.command import main

if __name__ == "__main__":
    if len(sys.argv) < 3:
        click.echo("usage: python -m txtrader.client SERVER COMMAND [ARGS]...", err=True)
        sys.exit(2)
    main(args=["-m", *sys.argv[1:]], prog_name="python -m txtrader.client")
