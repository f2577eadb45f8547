"""Requests about endpoints: where clients connect, in which protocol, to which engine."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError

from txtrader.exsim.control.kinds import ANYTHING, FLAG, MAPPING, NAME, PORT, TEXT, choice, maybe
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.protocols import make_wire, properties_of
from txtrader.exsim.control.requests import Property, arg, read_property, request
from txtrader.exsim.control.world import Endpoint, World

__all__ = ["ENDPOINT_PROPERTIES", "EndpointRoom"]

ENDPOINT_PROPERTIES = {
    found.name: found
    for found in (
        Property("auto_accept", maybe(FLAG), None, "accept connections; null: as the engine"),
        Property("auto_receive", maybe(FLAG), None, "process what is received; null: as the engine"),
    )
}


class EndpointRoom:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._world = world

    @request(
        arg("name", NAME),
        arg("engine", maybe(NAME), "null: set later", default=None),
        arg("protocol", maybe(NAME), "fix42, fix44, fix50, fix, tws, cqg, ouch42 ...; null: set later", default=None),
        arg("port", PORT, "0: the system chooses", default=0),
        arg("interface", TEXT, default="127.0.0.1"),
        arg("properties", MAPPING, "of the endpoint or of its protocol, to begin with", default={}),
        result="name, port",
    )
    async def create_endpoint(
        self, name: str, engine: str | None, protocol: str | None, port: int, interface: str, properties: dict[str, Any]
    ) -> dict[str, Any]:
        """Listen for clients.  Without engine or protocol nobody can connect until both are set."""
        world = self._world
        if name in world.endpoints:
            raise ControlError("already-exists", f"there is an endpoint {name} already", "name")
        endpoint = Endpoint(name, world)
        endpoint.port, endpoint.interface = port, interface
        endpoint.engine = None if engine is None else world.engine(engine)
        if protocol is not None:
            self._take_protocol(endpoint, protocol)
        for key, value in properties.items():
            known, place = self._place(endpoint, key)
            place[key] = read_property(known, key, value)
        world.endpoints[name] = endpoint
        try:
            await self._listen(endpoint)
        except BaseException:
            del world.endpoints[name]
            raise
        return {"name": name, "port": endpoint.port}

    def _take_protocol(self, endpoint: Endpoint, protocol: str) -> None:
        known = properties_of(protocol)
        endpoint.protocol = protocol
        endpoint.protocol_properties = {key: found.default for key, found in known.items()}
        if self._world.is_virtual and "check_latency" in known:
            endpoint.protocol_properties["check_latency"] = False  # clients live by another clock

    def _place(self, endpoint: Endpoint, key: str) -> tuple[dict[str, Property], dict[str, Any]]:
        """Return what declares a property of an endpoint, and where it is kept."""
        if key in ENDPOINT_PROPERTIES:
            return ENDPOINT_PROPERTIES, endpoint.properties
        if endpoint.protocol is None:
            raise ControlError("invalid-argument", f"there is no property {key}", key)
        return properties_of(endpoint.protocol), endpoint.protocol_properties

    async def _listen(self, endpoint: Endpoint) -> None:
        if endpoint.wire is not None or endpoint.engine is None or endpoint.protocol is None:
            return
        wire = make_wire(self._world, endpoint, endpoint.engine)
        try:
            endpoint.port = await wire.start()
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
            raise ControlError("address-in-use", f"cannot listen on port {endpoint.port}: {reason}", "port") from None
        endpoint.wire = wire

    @request(arg("engine", NAME), arg("endpoint", NAME), result="port")
    async def set_endpoint_engine(self, engine: str, endpoint: str) -> dict[str, Any]:
        """Give an endpoint its engine; not while a session is open."""
        new = self._world.engine(engine)
        found = self._idle(endpoint)
        await self._unlisten(found)
        found.engine = new
        await self._listen(found)
        return {"port": found.port}

    @request(arg("endpoint", NAME), arg("protocol", NAME), result="port")
    async def set_endpoint_protocol(self, endpoint: str, protocol: str) -> dict[str, Any]:
        """Give an endpoint its protocol; not while a session is open."""
        properties_of(protocol)
        found = self._idle(endpoint)
        await self._unlisten(found)
        self._take_protocol(found, protocol)
        await self._listen(found)
        return {"port": found.port}

    def _idle(self, name: str) -> Endpoint:
        endpoint = self._world.endpoint(name)
        if any(session.link.is_open for session in self._world.sessions_of(endpoint)):
            raise ControlError("in-use", f"endpoint {name} has an open session", "endpoint")
        return endpoint

    async def _unlisten(self, endpoint: Endpoint) -> None:
        if endpoint.wire is not None:
            wire, endpoint.wire = endpoint.wire, None
            await wire.stop()

    @request(
        arg("name", NAME),
        arg("keep_sessions", FLAG, "leave open ones as they are", default=False),
        result="sessions that were closed",
    )
    async def delete_endpoint(self, name: str, keep_sessions: bool) -> dict[str, Any]:
        """Stop listening, log sessions out and close them, and forget the endpoint."""
        world = self._world
        endpoint = world.endpoint(name)
        if keep_sessions and any(session.link.is_open for session in world.sessions_of(endpoint)):
            if endpoint.wire is not None:
                await endpoint.wire.pause("refuse")
            return {"sessions": []}
        closed = [session.name for session in world.sessions_of(endpoint) if session.link.is_open]
        await world.remove_endpoint(endpoint)
        return {"sessions": closed}

    @request(arg("endpoint", NAME), arg("property", NAME), arg("value", ANYTHING), result="old, new")
    def set_endpoint_property(self, endpoint: str, property: str, value: Any) -> dict[str, Any]:
        """Set a property of an endpoint: auto_accept, auto_receive."""
        found = self._world.endpoint(endpoint)
        new = read_property(ENDPOINT_PROPERTIES, property, value)
        old = found.properties.get(property)
        found.properties[property] = new
        self._world.apply_properties()
        return {"old": old, "new": new}

    @request(arg("endpoint_name", NAME), arg("property_name", NAME), arg("value", ANYTHING), result="old, new")
    def set_protocol_property(self, endpoint_name: str, property_name: str, value: Any) -> dict[str, Any]:
        """Set a property of an endpoint's protocol, for sessions made from now on."""
        found = self._world.endpoint(endpoint_name)
        if found.protocol is None:
            raise ControlError("wrong-state", f"endpoint {endpoint_name} has no protocol yet", "endpoint_name")
        new = read_property(properties_of(found.protocol), property_name, value)
        old = found.protocol_properties[property_name]
        if properties_of(found.protocol)[property_name].is_fixed and found.wire is not None and new != old:
            raise ControlError("wrong-state", f"{property_name} is given when the endpoint is made", "property_name")
        found.protocol_properties[property_name] = new
        if found.wire is not None:
            found.wire.change(found.protocol_properties)
        return {"old": old, "new": new}

    @request(result="endpoints")
    def list_endpoints(self) -> dict[str, Any]:
        """List the endpoints."""
        return {"endpoints": [self._shown(endpoint) for endpoint in self._world.endpoints.values()]}

    @request(arg("name", NAME), result="port, protocol, engine, sessions, waiting, properties")
    def get_endpoint(self, name: str) -> dict[str, Any]:
        """Tell everything about an endpoint."""
        return self._shown(self._world.endpoint(name))

    def _shown(self, endpoint: Endpoint) -> dict[str, Any]:
        secret = ("password",)
        return {
            "name": endpoint.name,
            "engine": endpoint.engine.name if endpoint.engine is not None else None,
            "protocol": endpoint.protocol,
            "port": endpoint.port,
            "interface": endpoint.interface,
            "paused": endpoint.paused,
            "sessions": [session.name for session in self._world.sessions_of(endpoint)],
            "waiting": [link.peer for link in endpoint.waiting],
            "accepted": endpoint.accepted,
            "properties": {
                **endpoint.properties,
                **{
                    key: "***" if key in secret and value is not None else value
                    for key, value in endpoint.protocol_properties.items()
                },
            },
        }

    @request(
        arg("name", NAME),
        arg("how", choice(("refuse", "silent")), "refuse closes the port; silent accepts and answers nothing"),
    )
    async def pause_endpoint(self, name: str, how: str) -> dict[str, Any]:
        """Let nobody in, or say nothing."""
        endpoint = self._listening(name)
        assert endpoint.wire is not None
        await endpoint.wire.pause(how)
        endpoint.paused = how
        return {}

    @request(arg("name", NAME))
    async def resume_endpoint(self, name: str) -> dict[str, Any]:
        """End a pause."""
        endpoint = self._listening(name)
        assert endpoint.wire is not None
        await endpoint.wire.pause(None)
        endpoint.paused = None
        return {}

    def _listening(self, name: str) -> Endpoint:
        endpoint = self._world.endpoint(name)
        if endpoint.wire is None:
            raise ControlError("wrong-state", f"endpoint {name} does not listen yet", "name")
        return endpoint
