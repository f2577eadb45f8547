"""Classes by name: those that come along, those that a program registers, and those of installed packages.

An installed package offers a class as an entry point; it is imported when its name is asked for, and never before.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Generic, TypeVar

from txtrader.errors import NotFound
from txtrader.exsim.errors import AlreadyExists, PluginError, Unsupported

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """The classes of one kind, all of them made from `base`; `group` is that of the entry points."""

    def __init__(self, base: type[T], group: str, what: str) -> None:
        self._base = base
        self._group = group
        self._what = what
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str, cls: type[T]) -> None:
        """Offer a class under a name; another one there is AlreadyExists, one of another kind Unsupported."""
        if not (isinstance(cls, type) and issubclass(cls, self._base)):
            raise Unsupported(f"{cls!r} is no {self._what}", path="class")
        if self._classes.setdefault(name, cls) is not cls:
            raise AlreadyExists(f"there is a {self._what} class {name} already", path="name")

    def get(self, name: str) -> type[T]:
        """Return the class of a name; NotFound, or PluginError if it is somebody's and cannot be imported."""
        known = self._classes.get(name)
        if known is not None:
            return known
        for point in sorted(entry_points(group=self._group, name=name), key=lambda point: point.value):
            try:
                cls = point.load()
            except Exception as error:
                raise PluginError(f"{point.value}: {type(error).__name__}: {error}") from error
            self.register(name, cls)
            return self.get(name)
        raise NotFound(f"there is no {self._what} class {name}", path="class")

    def names(self) -> list[str]:
        """List what can be asked for, without importing anything."""
        return sorted({*self._classes, *(point.name for point in entry_points(group=self._group))})
