"""Read the settings: `Settings.load` gives values that are right, or every reason why they are not.

Later wins: default, envdir, .env, environment, command line.  `TXTRADER_<MODE>_<KEY>` wins over `TXTRADER_<KEY>` for
that broker, `TXTRADER_<KEY>_FILE` names a file that holds the value, an empty value is an unset one.  What the
settings are stands in `txtrader.settings.table`.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

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
from txtrader.settings.table import HARMLESS, IGNORED, LATER, MODES, SETTINGS, Setting, SettingsTable

__all__ = ["Settings", "SettingsError", "is_loopback"]

_BY_KEY: dict[str, Setting[Any]] = {s.key: s for s in SETTINGS.values()} | {
    older: s for s in SETTINGS.values() for older in s.older
}
_LOOSE = SETTINGS["allow_loose_files"].variable


class SettingsError(ConfigError):
    """The settings are wrong; `problems` has one line for each, and each begins with its variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Name(NamedTuple):
    """What a variable's name means: the broker it is for (None: all), the attribute, whether it names a file."""

    mode: str | None
    attribute: str
    is_file: bool


class Settings(SettingsTable):
    """The values as one broker sees them; immutable.  One attribute for each setting of `SettingsTable`.

    `broker` is the mode whose own settings apply: the first of TXTRADER_MODE, or what `for_mode` was asked.
    `warnings` are lines for the operator: unknown names, names without meaning.
    """

    _parsed: Mapping[tuple[str | None, str], Any]
    broker: str
    warnings: tuple[str, ...]

    def __init__(self, parsed: Mapping[tuple[str | None, str], Any], broker: str, warnings: tuple[str, ...]) -> None:
        values = {}
        for name, setting in SETTINGS.items():
            for place in ((broker, name), (None, name)):
                if place in parsed:
                    values[name] = parsed[place]
                    break
            else:
                values[name] = setting.default_for(broker)
        for attribute, value in (("_parsed", parsed), ("_values", values), ("broker", broker), ("warnings", warnings)):
            object.__setattr__(self, attribute, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("settings are immutable; replace() makes others")

    def __repr__(self) -> str:
        shown = (f"{s.name}={self._values[s.name]!r}" for s in SETTINGS.values() if not s.secret)
        return f"<Settings {self.broker}: {' '.join(shown)}>"

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str],
        *,
        envdir: str | None = None,
        dotenv: str | None = None,
        command_line: Mapping[str, str] | None = None,
        strict: bool = False,
        listens: bool = True,
    ) -> Settings:
        """Read all sources; the result is seen by the first broker of TXTRADER_MODE.

        `environ` and `command_line` map full names to texts; `envdir` is a folder, `dotenv` a file that may be
        missing.  `strict` makes an unknown name a problem (else a warning); `listens` tells that a daemon will bind
        what is set, which a client does not.  Raises SettingsError with all problems at once.
        """
        said = {**environ, **(command_line or {})}
        allow_loose = said.get(_LOOSE, "").strip() in ("1", "true")  # by whoever starts us, not by a loose file
        sources: list[Texts] = []
        problems: list[str] = []
        if envdir is not None:
            texts, faults = from_envdir(envdir, _is_secret, allow_loose=allow_loose)
            sources.append(texts)
            problems += faults
        if dotenv is not None:
            texts, faults = from_dotenv(dotenv, _is_secret, allow_loose=allow_loose)
            sources.append(texts)
            problems += faults
        sources.append(from_environ(environ))
        sources.append(from_environ(command_line or {}, "command line"))
        reading = _Reading(sources, allow_loose=allow_loose)
        problems += reading.problems
        if strict:
            problems += reading.unknown
        warnings = (*(() if strict else reading.unknown), *reading.ignored)
        modes = reading.parsed.get((None, "mode"), SETTINGS["mode"].default_for(""))
        settings = cls(reading.parsed, modes[0], warnings)
        if not problems:
            for mode in modes:
                problems += [p for p in settings.for_mode(mode)._contradictions(listens) if p not in problems]
        if problems:
            raise SettingsError(problems)
        return settings

    @classmethod
    def of_process(cls, mode: str | None = None, *, strict: bool = False) -> Settings:
        """Read the settings as a daemon does: the envdir of TXTRADER_ENVDIR, .env here, the environment.

        `mode` wins over all of them.  Raises SettingsError.
        """
        return cls.load(
            os.environ,
            envdir=os.environ.get("TXTRADER_ENVDIR") or None,
            dotenv=".env",
            command_line={"TXTRADER_MODE": mode} if mode else None,
            strict=strict,
        )

    def for_mode(self, mode: str) -> Settings:
        """Return the settings as `mode` sees them."""
        return Settings(self._parsed, mode, self.warnings)

    def replace(self, **values: Any) -> Settings:
        """Return settings in which these values (not texts) stand for every broker."""
        unknown = values.keys() - SETTINGS.keys()
        if unknown:
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        parsed = {place: value for place, value in self._parsed.items() if place[1] not in values}
        parsed |= {(None, name): value for name, value in values.items()}
        return Settings(parsed, self.broker, self.warnings)

    @property
    def journal_path(self) -> str:
        """Where the journal lies."""
        return self.journal or os.path.join(self.data_dir, "journal.sqlite")

    def _contradictions(self, listens: bool) -> list[str]:
        """Say which values, each right alone, do not go together."""
        found = []
        if self.queue_conflate > self.queue_close or self.queue_close > self.queue_total:
            found.append(
                "TXTRADER_QUEUE_CLOSE: must lie between TXTRADER_QUEUE_CONFLATE and TXTRADER_QUEUE_TOTAL: "
                f"{self.queue_conflate}, {self.queue_close}, {self.queue_total} bytes"
            )
        if self.reconnect_min > self.reconnect_max:
            found.append(
                f"TXTRADER_RECONNECT_MIN: {self.reconnect_min:g} s is more than TXTRADER_RECONNECT_MAX, "
                f"{self.reconnect_max:g} s"
            )
        if (self.username is None) != (self.password is None):
            missing = "TXTRADER_PASSWORD" if self.password is None else "TXTRADER_USERNAME"
            found.append(f"{missing}: is missing; user and password belong together")
        if listens:
            found += self._binding_faults()
        return found

    def _binding_faults(self) -> list[str]:
        found = []
        if self.http_port is not None and self.http_port == self.tcp_port and self.http_port != 0:
            found.append(f"TXTRADER_HTTP_PORT: {self.http_port} is TXTRADER_TCP_PORT, too")
        if self.http_port is None and self.tcp_port is None:
            found.append("TXTRADER_TCP_PORT: all listeners are off; nobody could speak to the daemon")
        if not is_loopback(self.host) and not self.allow_plaintext:
            found.append(
                f"TXTRADER_HOST: {self.host} is not loopback, and without TLS everybody on the way reads passwords and "
                "orders; use 127.0.0.1 and a tunnel, or accept that with TXTRADER_ALLOW_PLAINTEXT=1"
            )
        return found


def is_loopback(host: str) -> bool:
    """Tell whether nothing bound to `host` can be reached from another machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name means what the resolver says today


def _resolve(name: str) -> _Name | str | None:
    """Say what a full variable name means: a `_Name`, the bare key of an ignored or later one, None if unknown."""
    key = name.removeprefix(PREFIX)
    word, _, rest = key.partition("_")
    for mode, inner in ((None, key), (word.lower(), rest)):
        if mode is not None and mode not in MODES:
            continue
        if (setting := _BY_KEY.get(inner)) is not None:
            return _Name(mode, setting.name, False)
        if inner in IGNORED or inner in LATER:
            return inner
        if inner.endswith("_FILE"):
            base = inner.removesuffix("_FILE")
            if (setting := _BY_KEY.get(base)) is not None:
                return _Name(mode, setting.name, True)
            if base in LATER:
                return base
    return None


def _is_secret(name: str) -> bool:
    found = _resolve(name)
    return isinstance(found, _Name) and SETTINGS[found.attribute].secret and not found.is_file


class _Candidate(NamedTuple):
    rank: int  # of the source: higher wins
    variable: str
    text: Text
    is_file: bool


class _Reading:
    """Merge the sources and parse: `parsed` maps (mode or None, attribute) to the value."""

    def __init__(self, sources: list[Texts], *, allow_loose: bool) -> None:
        self._allow_loose = allow_loose
        self.parsed: dict[tuple[str | None, str], Any] = {}
        self.problems: list[str] = []
        self.unknown: list[str] = []
        self.ignored: list[str] = []
        merged: dict[str, tuple[int, Text]] = {}
        for rank, texts in enumerate(sources):
            merged |= {name: (rank, text) for name, text in texts.items()}
        places: dict[tuple[str | None, str], list[_Candidate]] = {}
        for name, (rank, text) in sorted(merged.items()):
            meaning = _resolve(name)
            if not text.text:
                continue
            if meaning is None:
                self.unknown.append(f"{name}: no such setting (from {text.origin}){_like(name)}")
            elif meaning in IGNORED:
                self.ignored.append(f"{name}: means nothing any more (from {text.origin})")
            elif isinstance(meaning, str):
                if text.text.lower() not in HARMLESS:
                    self._not_offered(name, LATER[meaning], text)
            else:
                place = (meaning.mode, meaning.attribute)
                places.setdefault(place, []).append(_Candidate(rank, name, text, meaning.is_file))
        for place, candidates in places.items():
            self._parse(place, candidates)

    def _not_offered(self, name: str, feature: str, text: Text) -> None:
        self.problems.append(f"{name}: {feature} is not offered by this version (from {text.origin})")

    def _parse(self, place: tuple[str | None, str], candidates: list[_Candidate]) -> None:
        setting = SETTINGS[place[1]]
        plain = [c for c in candidates if not c.is_file]
        if len({c.text.text for c in plain}) > 1:
            names = " and ".join(c.variable for c in plain)
            self.problems.append(f"{names}: are one setting and differ; keep one")
            return
        best = max(candidates)
        same = [c for c in candidates if c.rank == best.rank and c.is_file != best.is_file]
        if same:
            self.problems.append(f"{best.variable}: {same[0].variable} is set in the same place; keep one")
            return
        try:
            text = read_value_file(best.text.text, allow_loose=self._allow_loose) if best.is_file else best.text.text
            if not text:
                raise ValueError("the file is empty")
            if setting.later and text.lower() not in HARMLESS and text != setting.default:
                self._not_offered(best.variable, setting.later, best.text)
                return
            self.parsed[place] = setting.parse(text)
        except ValueError as error:
            shown = "" if setting.secret or best.is_file else f", not {best.text.text!r}"
            self.problems.append(f"{best.variable}: {error}{shown} (from {best.text.origin})")


def _like(name: str) -> str:
    """Name the setting that was probably meant."""
    close = get_close_matches(name.removeprefix(PREFIX), _BY_KEY, n=1, cutoff=0.8)
    return f"; {PREFIX}{close[0]} is one" if close else ""
