"""Who asks: a person's name and role."""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["viewer", "member", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
LONGEST_PERSON = 64


@dataclass(frozen=True)
class Person:
    """Somebody who looks at the pages.

    Args:
        name: Under which their jobs are kept; empty for whoever sits at a server without a log-in.
        role: `viewer` looks; `member` also asks for jobs, and sees and cancels those; `admin` sees and cancels all.
    """

    name: str = ""
    role: Role = "admin"

    @property
    def is_admin(self) -> bool:
        """Whether all jobs are theirs to see and to cancel."""
        return self.role == "admin"


OWNER = Person()


def is_name(text: str) -> bool:
    """Whether a text can be a person's name: letters, digits and `_ . @ + -`, at most 64 of them."""
    return 0 < len(text) <= LONGEST_PERSON and all(sign.isalnum() or sign in "_.@+-" for sign in text)
