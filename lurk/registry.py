"""Tables of named entries, filled by importing the files of a package."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Generic, TypeVar

from lurk.errors import LurkError

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from name to entry; the files of its package add themselves with `register`.

    Every look-up imports all files of the package first. Python imports a file once and makes other threads wait for
    it, so nobody sees half a table; a file that fails is tried again, and fails again, at each look-up.

    >>> shapes = Registry[int]("lurk.jobs", "--shape")
    >>> shapes.register("square")(4)
    4
    >>> shapes["square"]
    4
    """

    def __init__(self, package: str, flag: str, error: type[LurkError] = LurkError) -> None:
        """Make an empty table.

        Args:
            package: Dotted name of the package whose files register entries.
            flag: The command-line flag that takes such a name, for messages.
            error: What is raised for an unknown name.
        """
        self._package, self._flag, self._error = package, flag, error
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that enters its argument under a name."""

        def enter(entry: T) -> T:
            self._entries[name] = entry
            return entry

        return enter

    @cached_property
    def _modules(self) -> list[str]:
        """Dotted names of the package's files."""
        package = importlib.import_module(self._package)
        return [found.name for found in pkgutil.iter_modules(package.__path__, self._package + ".")]

    def _filled(self) -> dict[str, T]:
        """The entries, after all files of the package were imported."""
        for name in self._modules:
            importlib.import_module(name)
        return self._entries

    def __getitem__(self, name: str) -> T:
        """Entry of that name; an unknown one is a user's error that lists the good ones."""
        entries = self._filled()
        if name not in entries:
            raise self._error(f"unknown {self._flag} {name!r}; known are: {', '.join(sorted(entries))}")
        return entries[name]

    def __iter__(self) -> Iterator[str]:
        """Names in alphabetical order."""
        return iter(sorted(self._filled()))

    def __contains__(self, name: object) -> bool:
        """Whether an entry has that name."""
        return name in self._filled()
