"""Where a queue lies: on this machine, or in a Redis, whose address is checked here and shown without its password."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from lurk.errors import LurkError

LOCAL = "local"
QUEUE_VARIABLE = "LURK_QUEUE"  # by which the processes that lurk starts are told: a command line can be read by all
SCHEMES = ("redis", "rediss")
EXAMPLE = "redis://:PASSWORD@HOST:6379/0"


def check_queue(where: str) -> None:
    """Refuse what names no queue, and a Redis that everyone on the network could use.

    Args:
        where: `local`, or the address of a Redis.

    Raises:
        LurkError: It is neither, or the Redis is on another machine and has no password.
    """
    if where == LOCAL:
        return
    parts = _parts(where)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        raise LurkError(f"--queue must be {LOCAL} or an address such as {EXAMPLE}, not {shown(where)!r}")
    if not parts.password and not _is_loopback(parts.hostname):
        raise LurkError(
            f"--queue {shown(where)} names a Redis without a password on another machine, which everyone on the "
            f"network could use; set requirepass there and give {EXAMPLE}, best in LURK_QUEUE"
        )


def _parts(where: str) -> SplitResult | None:
    """The parts of an address, None where it is none."""
    try:
        parts = urlsplit(where)
        number = parts.path.strip("/")
        known = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if known and (not number or (number.isascii() and number.isdecimal())) else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def shown(where: str) -> str:
    """An address without its user and password."""
    front, at, rest = where.rpartition("@")
    scheme, slashes, _ = front.partition("://")
    return f"{scheme}{slashes}{rest}" if at and slashes else rest
