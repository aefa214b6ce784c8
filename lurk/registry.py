"""Tables of named entries, filled by importing the files of a package on first use."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from lurk.errors import LurkError

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from name to entry; the files of its package add themselves with `register`.

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
        self._filled = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that enters its argument under a name."""

        def enter(entry: T) -> T:
            self._entries[name] = entry
            return entry

        return enter

    def _fill(self) -> None:
        if self._filled:
            return
        self._filled = True
        package = importlib.import_module(self._package)
        for found in pkgutil.iter_modules(package.__path__, self._package + "."):
            importlib.import_module(found.name)

    def __getitem__(self, name: str) -> T:
        """Entry of that name; an unknown one is a user's error that lists the good ones."""
        self._fill()
        if name not in self._entries:
            known = ", ".join(sorted(self._entries))
            raise self._error(f"unknown {self._flag} {name!r}; known are: {known}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        """Names in alphabetical order."""
        self._fill()
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        """Whether an entry has that name."""
        self._fill()
        return name in self._entries
