"""Where a client finds the gateway and its login: arguments, then a config, then what the machine is set to.

Lowest first: the settings' defaults, an envdir (the one that TXTRADER_ENVDIR names, else what `make run` keeps in
`.run/env` of the working directory, else `/etc/txtrader`), `.env` in the working directory, the environment, `config`,
the arguments.  `TXTRADER_<MODE>_<KEY>` wins over `TXTRADER_<KEY>`; `TXTRADER_<KEY>_FILE` names a file with the value.
Only the settings that a client needs are read, and each only when it is needed, so that a member of the group
`txtrader` types no password and nobody stumbles over a daemon's setting.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from txtrader.errors import ConfigError
from txtrader.settings.sources import (
    PREFIX,
    Text,
    Texts,
    from_dotenv,
    from_envdir,
    from_environ,
    read_value_file,
)
from txtrader.settings.table import SETTINGS

__all__ = ["ENVDIR", "ClientConfig"]

ENVDIR = "/etc/txtrader"
"""Where an installed service keeps its settings; the group may read them."""

RUN_ENVDIR = os.path.join(".run", "env")
"""Where `make run` keeps them, in the clone."""

_ENVDIR_VARIABLE = PREFIX + "ENVDIR"
_ANYWHERE = frozenset({"0.0.0.0", "::", "[::]"})


class _Found(NamedTuple):
    variable: str
    text: Text
    is_file: bool


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a client was told, with its sources; `get` looks a setting up.

    `arguments` are values that the caller gave outright, by the setting's attribute name (None: not given).
    """

    mode: str | None
    arguments: Mapping[str, Any]
    sources: tuple[Texts, ...]  # highest first

    def __repr__(self) -> str:
        return f"<ClientConfig mode={self.mode} given={sorted(k for k, v in self.arguments.items() if v is not None)}>"

    @classmethod
    def load(
        cls,
        *,
        mode: str | None = None,
        config: Mapping[str, Any] | None = None,
        arguments: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> ClientConfig:
        """Collect the sources.  Raises ConfigError when an envdir that was asked for cannot be read."""
        environ = os.environ if environ is None else environ
        said = {name: _config_text(value) for name, value in (config or {}).items() if value is not None}
        named = said.get(_ENVDIR_VARIABLE) or environ.get(_ENVDIR_VARIABLE)
        # The nearest wins: in a clone with `make run` its own daemon is meant, also where a service is installed.
        folder = named or (RUN_ENVDIR if _is_ours(RUN_ENVDIR) else ENVDIR)
        texts, faults = from_envdir(folder, _no_secret, allow_loose=True)
        if named and not texts and faults:
            raise ConfigError(faults[0], path=_ENVDIR_VARIABLE)
        dotenv, _ = from_dotenv(".env", _no_secret, allow_loose=True)
        sources = (from_environ(said, "config"), from_environ(environ), dotenv, texts)
        if mode is None:
            mode = _first_mode(sources)
        return cls(mode=mode, arguments=dict(arguments or {}), sources=sources)

    def get(self, name: str) -> Any:
        """Return the value of a setting by its attribute name.  Raises ConfigError that names the variable."""
        given = self.arguments.get(name)
        if given is not None:
            return given
        setting = SETTINGS[name]
        found = self._find((setting.key, *setting.older))
        if found is None:
            return setting.default_for(self.mode or "")
        try:
            text = read_value_file(found.text.text, allow_loose=True) if found.is_file else found.text.text
            return setting.parse(text) if text else setting.default_for(self.mode or "")
        except ValueError as error:
            shown = "" if setting.secret or found.is_file else f", not {found.text.text!r}"
            raise ConfigError(f"{error}{shown} (from {found.text.origin})", path=found.variable) from None

    @property
    def host(self) -> str:
        """Where to dial: a daemon that binds to every address is also at this one."""
        host = str(self.get("host"))
        return "127.0.0.1" if host in _ANYWHERE else host

    def port(self, name: str) -> int:
        """Return `http_port` or `tcp_port` to dial.  Raises ConfigError when it is off or not known beforehand."""
        port = self.get(name)
        if not port:
            word = "off" if port is None else "0, a port that only the daemon knows"
            raise ConfigError(f"is {word}; say which port to dial", path=PREFIX + name.upper())
        return int(port)

    def login(self) -> tuple[str, str]:
        """Return user and password.  Raises ConfigError when one is missing: there is no default."""
        user, password = self.get("username"), self.get("password")
        for value, key in ((user, "USERNAME"), (password, "PASSWORD")):
            if not value:
                raise ConfigError(
                    f"no login: give it as an argument, in the environment, or be in the group that may read {ENVDIR}",
                    path=PREFIX + key,
                )
        return str(user), str(password)

    def _find(self, keys: tuple[str, ...]) -> _Found | None:
        prefixes = [PREFIX]
        if self.mode:
            prefixes.insert(0, f"{PREFIX}{self.mode.upper()}_")
        for prefix in prefixes:
            for source in self.sources:
                for key in keys:
                    for suffix in ("", "_FILE"):
                        text = source.get(prefix + key + suffix)
                        if text is not None and text.text:
                            return _Found(prefix + key + suffix, text, bool(suffix))
        return None


def _no_secret(_: str) -> bool:
    """Leave the modes of files to the daemon: a client only reads what it may."""
    return False


def _is_ours(folder: str) -> bool:
    """Tell whether a folder belongs to who runs this: what a stranger left in a working directory logs nobody in."""
    try:
        return os.lstat(folder).st_uid == os.geteuid()
    except OSError:
        return False


def _first_mode(sources: tuple[Texts, ...]) -> str | None:
    for source in sources:
        text = source.get(PREFIX + "MODE")
        if text is not None and text.text:
            return text.text.split(",")[0].strip()
    return None


def _config_text(value: Any) -> str:
    """Write a config value as the environment would hold it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
