"""The protocols by name: what an endpoint may speak, with its properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txtrader.exsim.control.broker_wires import CQG_PROPERTIES, TWS_PROPERTIES, CqgWire, TwsWire
from txtrader.exsim.control.fix_wire import FIX_PROPERTIES, VERSIONS, FixWire
from txtrader.exsim.control.problems import ControlError, not_found
from txtrader.exsim.control.requests import Property
from txtrader.exsim.control.wires import Wire
from txtrader.exsim.endpoints.fix.drop_copy import DropCopy
from txtrader.exsim.endpoints.fix.echo import Echo
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions

if TYPE_CHECKING:
    from txtrader.exsim.control.engines import Engine
    from txtrader.exsim.control.world import Endpoint, World

__all__ = ["PROTOCOLS", "make_wire", "properties_of"]

_FIX = {found.name: found for found in FIX_PROPERTIES}
PROTOCOLS: dict[str, dict[str, Property]] = {
    **dict.fromkeys(VERSIONS, _FIX),
    "tws": {found.name: found for found in TWS_PROPERTIES},
    "cqg": {found.name: found for found in CQG_PROPERTIES},
}


def properties_of(protocol: str) -> dict[str, Property]:
    """Return what a protocol can be set to.  Raises ControlError `not-found`."""
    if protocol not in PROTOCOLS:
        raise not_found("protocol", protocol)
    return PROTOCOLS[protocol]


def _application(engine: Engine, values: dict[str, Any]) -> Trading | DropCopy | Echo:
    """Make what answers the clients of a FIX endpoint, by its engine and its role."""
    if engine.class_name == "echo":
        return Echo()
    if values["role"] == "drop_copy":
        return DropCopy(engine.venue, values["copies_of"])
    return Trading(
        engine.venue,
        TradingOptions(cancel_on_disconnect=engine.values["cancel_on_disconnect"], role=values["role"]),
    )


def make_wire(world: World, endpoint: Endpoint, engine: Engine) -> Wire:
    """Make the listening end of an endpoint that has an engine and a protocol."""
    protocol = endpoint.protocol
    assert protocol is not None
    where: dict[str, Any] = {"port": endpoint.port, "interface": endpoint.interface}
    if protocol in VERSIONS:
        application = _application(engine, endpoint.protocol_properties)
        wire = FixWire(
            application, world.clock, world.now_ns, endpoint, protocol=protocol,
            values=endpoint.protocol_properties, **where,
        )  # fmt: skip
        if isinstance(application, Trading | DropCopy):
            application.attach(wire.endpoint)
        return wire
    if protocol in ("tws", "cqg") and engine.class_name != "echo":
        make = TwsWire if protocol == "tws" else CqgWire
        return make(engine.venue, world.clock, world.now_ns, endpoint, endpoint.protocol_properties, **where)
    raise ControlError("unsupported", f"engine class {engine.class_name} cannot speak {protocol}", "protocol")
