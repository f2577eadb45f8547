"""Orders in words: `txtrader buy 100 IBM -l 124.5`."""

from __future__ import annotations

import sys
from typing import Any

import click

from txtrader.client.caller import UNKNOWN, Caller, output_options

__all__ = ["commands"]

_SIDES = {"buy": "BUY", "sell": "SELL", "short": "SELLSHORT", "cover": "BUYTOCOVER"}
_SAID = {"BUY": "Buy", "SELL": "Sell", "SELLSHORT": "Sell short", "BUYTOCOVER": "Buy to cover"}


def commands() -> list[click.Command]:
    """Make buy, sell, short, cover and submit."""
    made = [_command(word, side) for word, side in _SIDES.items()]
    side = click.Argument(["side"], type=click.Choice(list(_SAID), case_sensitive=False), metavar="SIDE")
    submit = click.Command(
        "submit",
        callback=_submit,
        params=[side, *_parameters()],
        help="Send an order; SIDE is BUY, SELL, SELLSHORT or BUYTOCOVER. It asks first.",
    )
    return [*made, submit]


def _command(word: str, side: str) -> click.Command:
    @click.pass_obj
    def order(caller: Caller, /, **given: Any) -> None:
        _send(caller, side, **given)

    return click.Command(
        word,
        callback=order,
        params=_parameters(),
        help=f"{_SAID[side]}: at the market, or as the options say. It asks first.",
    )


@click.pass_obj
def _submit(caller: Caller, /, side: str, **given: Any) -> None:
    _send(caller, side, **given)


def _parameters() -> list[click.Parameter]:
    return [
        click.Argument(["quantity"]),
        click.Argument(["symbol"]),
        click.Option(["-l", "--limit"], metavar="PRICE", help="Limit price."),
        click.Option(["-s", "--stop"], metavar="PRICE", help="Stop price."),
        click.Option(
            ["--trail"], metavar="AMOUNT|PERCENT%", help="Trail the price by an amount or by so many percent."
        ),
        click.Option(["--limit-offset"], metavar="AMOUNT", help="With --trail: a limit so far from the stop."),
        click.Option(["--tif"], help="DAY, GTC, IOC, FOK, GTD, OPG or CLS."),
        click.Option(["--good-till"], metavar="TIME", help="With --tif GTD: an ISO time."),
        click.Option(["--extended-hours"], is_flag=True, help="Fill outside regular hours, too."),
        click.Option(["--key"], metavar="ID", help="client_order_id: the same again makes no second order."),
        click.Option(["--tag"], help="A word kept with the order."),
        click.Option(["--staged"], metavar="TAG", help="Make a ticket of this tag, which waits for approval."),
        click.Option(["-f", "--yes"], is_flag=True, help="Do not ask."),
        *output_options(),
    ]


def _send(caller: Caller, side: str, *, yes: bool, key: str | None, **given: Any) -> None:
    order = _order(side, **given)
    if key is not None:
        order["client_order_id"] = key
    if not yes:
        _ask(caller, order)
    record = caller.call("submit_order", order)
    caller.show(record)
    if record.get("status") == "Unknown":
        click.get_current_context().exit(UNKNOWN)


def _order(
    side: str,
    *,
    quantity: str,
    symbol: str,
    limit: str | None,
    stop: str | None,
    trail: str | None,
    limit_offset: str | None,
    tif: str | None,
    good_till: str | None,
    extended_hours: bool,
    tag: str | None,
    staged: str | None,
) -> dict[str, Any]:
    """Say the words as the fields of `submit_order`.  Raises click.UsageError for words that do not go together."""
    order: dict[str, Any] = {"symbol": symbol, "side": side, "quantity": quantity}
    if trail is not None:
        if limit is not None or stop is not None:
            raise click.UsageError("--trail goes with --limit-offset, not with --limit or --stop")
        order["type"] = "TrailingStop" if limit_offset is None else "TrailingStopLimit"
        order["trail_percent" if trail.endswith("%") else "trail_amount"] = trail.removesuffix("%")
    elif limit_offset is not None:
        raise click.UsageError("--limit-offset goes with --trail")
    else:
        order["type"] = {(0, 0): "Market", (1, 0): "Limit", (0, 1): "Stop", (1, 1): "StopLimit"}[
            limit is not None, stop is not None
        ]
    if staged is not None:
        if tag not in (None, staged):
            raise click.UsageError("--staged names the tag already")
        order["stage"], tag = True, staged
    options = {
        "limit_price": limit,
        "stop_price": stop,
        "limit_offset": limit_offset,
        "tif": None if tif is None else tif.upper(),
        "good_till": good_till,
        "extended_hours": extended_hours or None,
        "tag": tag,
    }
    return order | {name: value for name, value in options.items() if value is not None}


def _ask(caller: Caller, order: dict[str, Any]) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; say -f to send without a question")
    words = [f"{_SAID[order['side']]} {order['quantity']} {order['symbol'].upper()}, {order['type']}"]
    named = {"limit_price": "limit", "stop_price": "stop", "trail_amount": "trail", "trail_percent": "trail %"}
    words += [f"{named.get(name, name)} {value}" for name, value in order.items() if name not in _TOLD]
    words += [f"{name} {value}" for name, value in (("account", caller.account), ("route", caller.route)) if value]
    click.confirm(", ".join(words) + "?", abort=True, err=True)


_TOLD = frozenset({"symbol", "side", "quantity", "type"})
