"""What the queue needs of a store: texts by name, changed in transactions.

`disk_text_store` and `redis_text_store` are the two that there are.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol


class Texts(Protocol):
    """Texts by name; every call raises QueueError if the store cannot be used."""

    def transaction(self) -> AbstractContextManager[None]:
        """Change several texts together: all changes are kept or none, and nobody else sees half of them.

        A transaction within another one of the same thread is a part of it.
        """

    def get(self, name: str) -> str | None:
        """Return the text of a name, None if there is none."""

    def put(self, name: str, text: str) -> None:
        """Keep a text under a name."""

    def drop(self, name: str) -> None:
        """Remove a name, if it is there."""

    def items(self) -> Mapping[str, str]:
        """Return all texts by name."""

    def next_number(self, name: str) -> int:
        """Count up from 1; no number is given twice."""

    def risks(self) -> list[str]:
        """Say which settings of the store may lose jobs, and how to change them."""

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
