"""Requests that load somebody's classes: by an ordinary import of a module that the starter of the server allowed."""

from __future__ import annotations

import importlib
from typing import Any

from txtrader.errors import TxTraderError
from txtrader.exsim.bots import BOTS
from txtrader.exsim.control.engines import Engine, register_engine
from txtrader.exsim.control.kinds import NAME, TEXT
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.protocols import ProtocolPlugIn, register_protocol
from txtrader.exsim.control.requests import arg, request
from txtrader.exsim.control.world import World
from txtrader.exsim.policies import ReadyPolicy, register_policy
from txtrader.exsim.sources import SOURCES

__all__ = ["PluginRoom"]

_MODULE = arg("module", TEXT, "dotted name, among the server's plugins or below one")
_CLASS = arg("class", NAME)


class PluginRoom:
    """See the module.  Text from the wire is never run."""

    def __init__(self, world: World) -> None:
        self._world = world

    @request(arg("name", NAME), _MODULE, _CLASS)
    def load_engine(self, name: str, module: str, class_: str) -> dict[str, Any]:
        """Offer a class of engines, a subclass of `txtrader.exsim.control.engines.Engine`, under a name."""
        register_engine(name, self._find(module, class_, Engine))
        return {}

    @request(arg("name", NAME), _MODULE, _CLASS)
    def load_protocol(self, name: str, module: str, class_: str) -> dict[str, Any]:
        """Offer a protocol, a subclass of `txtrader.exsim.control.protocols.ProtocolPlugIn`, under a name."""
        register_protocol(name, self._find(module, class_, ProtocolPlugIn))
        return {}

    @request(arg("name", NAME), _MODULE, _CLASS)
    def load_policy(self, name: str, module: str, class_: str) -> dict[str, Any]:
        """Offer a ready-made policy under a name."""
        register_policy(name, self._find(module, class_, ReadyPolicy))
        return {}

    @request(arg("name", NAME), _MODULE, _CLASS)
    def load_bot(self, name: str, module: str, class_: str) -> dict[str, Any]:
        """Offer a class of bots under a name."""
        BOTS.register(name, self._find(module, class_, object))
        return {}

    @request(arg("name", NAME), _MODULE, _CLASS)
    def load_pricing(self, name: str, module: str, class_: str) -> dict[str, Any]:
        """Offer a class of pricing sources under a name."""
        SOURCES.register(name, self._find(module, class_, object))
        return {}

    def _find(self, module: str, class_name: str, base: type) -> Any:
        """Import a class.  Raises ControlError."""
        allowed = self._world.plugins
        if not any(module == one or module.startswith(f"{one}.") for one in allowed):
            raise ControlError("unsupported", f"the server was not started with {module} among its plugins", "module")
        try:
            found = getattr(importlib.import_module(module), class_name, None)
        except TxTraderError:
            raise
        except Exception as error:  # noqa: BLE001  it is somebody else's code
            raise ControlError("plugin-error", f"{module}: {type(error).__name__}: {error}", "module") from None
        if found is None:
            raise ControlError("not-found", f"{module} has no {class_name}", "class")
        if not (isinstance(found, type) and issubclass(found, base)):
            raise ControlError("unsupported", f"{module}.{class_name} is no {base.__name__}", "class")
        return found
