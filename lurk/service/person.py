"""A person who uses the pages: name and role."""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["viewer", "member", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
LONGEST_PERSON = 64


@dataclass(frozen=True)
class Person:
    """A person who uses the pages.

    Args:
        name: Name under which their jobs are kept; empty on a server without a log-in.
        role: A `viewer` only looks; a `member` also submits jobs and sees and cancels their own; an `admin` sees and
            cancels everybody's.
    """

    name: str = ""
    role: Role = "admin"

    @property
    def is_admin(self) -> bool:
        """Whether they may see and cancel everybody's jobs."""
        return self.role == "admin"


OWNER = Person()


def is_name(text: str) -> bool:
    """Whether a text can be a person's name: letters, digits and `_ . @ + -`, at most 64 of them."""
    return 0 < len(text) <= LONGEST_PERSON and all(sign.isalnum() or sign in "_.@+-" for sign in text)
