"""The protocols by name: what an endpoint may speak, with its properties; those of others are in `PLUGINS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from txtrader.errors import NotFound
from txtrader.exsim.control.broker_wires import CQG_PROPERTIES, TWS_PROPERTIES, CqgWire, TwsWire
from txtrader.exsim.control.fix_wire import FIX_PROPERTIES, VERSIONS, FixWire
from txtrader.exsim.control.ouch_wire import OUCH_PROPERTIES, OUCH_VERSIONS, OuchWire
from txtrader.exsim.control.problems import ControlError, not_found
from txtrader.exsim.control.requests import Property
from txtrader.exsim.control.wires import Watcher, Wire
from txtrader.exsim.endpoints.fix.drop_copy import DropCopy
from txtrader.exsim.endpoints.fix.echo import Echo
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions
from txtrader.exsim.errors import AlreadyExists
from txtrader.exsim.registry import Registry
from txtrader.exsim.venue import Venue

if TYPE_CHECKING:
    from txtrader.exsim.control.engines import Engine
    from txtrader.exsim.control.world import Endpoint, World

__all__ = ["PLUGINS", "PROTOCOLS", "ProtocolPlugIn", "make_wire", "properties_of", "register_protocol"]

_FIX = {found.name: found for found in FIX_PROPERTIES}
_OUCH = {found.name: found for found in OUCH_PROPERTIES}
PROTOCOLS: dict[str, dict[str, Property]] = {
    **dict.fromkeys(VERSIONS, _FIX),
    "tws": {found.name: found for found in TWS_PROPERTIES},
    "cqg": {found.name: found for found in CQG_PROPERTIES},
    **dict.fromkeys(OUCH_VERSIONS, _OUCH),
}


class ProtocolPlugIn:
    """Somebody's protocol: a subclass says its properties, and makes the listening end."""

    properties: ClassVar[tuple[Property, ...]] = ()

    def make_wire(self, venue: Venue, reactor: Any, now_ns: Callable[[], int], watcher: Watcher, **more: Any) -> Wire:
        """Make the listening end (see `Wire`); `more`: values (of the properties), port, interface."""
        raise NotImplementedError


PLUGINS: Registry[ProtocolPlugIn] = Registry(ProtocolPlugIn, "txtrader.exsim.protocols", "protocol")


def register_protocol(name: str, cls: type[ProtocolPlugIn]) -> None:
    """Offer a protocol under a name.  Raises AlreadyExists, and Unsupported for what is no protocol."""
    if name in PROTOCOLS:
        raise AlreadyExists(f"there is a protocol {name} already", path="name")
    PLUGINS.register(name, cls)


def properties_of(protocol: str) -> dict[str, Property]:
    """Return what a protocol can be set to.  Raises ControlError `not-found`, and PluginError."""
    known = PROTOCOLS.get(protocol)
    if known is not None:
        return known
    try:
        return {found.name: found for found in PLUGINS.get(protocol).properties}
    except NotFound:
        raise not_found("protocol", protocol) from None


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
    if protocol in OUCH_VERSIONS and engine.class_name != "echo":
        return OuchWire(
            engine.venue, world.clock, world.now_ns, endpoint, endpoint.protocol_properties, protocol=protocol, **where
        )
    if protocol not in PROTOCOLS:
        try:
            return PLUGINS.get(protocol)().make_wire(
                engine.venue, world.clock, world.now_ns, endpoint, values=endpoint.protocol_properties, **where
            )
        except Exception as error:  # noqa: BLE001  it is somebody else's code
            raise ControlError("plugin-error", f"{protocol}: {type(error).__name__}: {error}", "protocol") from None
    raise ControlError("unsupported", f"engine class {engine.class_name} cannot speak {protocol}", "protocol")
