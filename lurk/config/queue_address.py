"""The address of the queue: on this machine, or in a Redis, whose password must be set and is never shown."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from lurk.errors import LurkError

LOCAL = "local"
QUEUE_VARIABLE = "LURK_QUEUE"  # passes the address to child processes; every user can read a command line
SCHEMES = ("redis", "rediss")
EXAMPLE = "redis://:PASSWORD@HOST:6379/0"


def check_queue(address: str) -> None:
    """Refuse an address that names no queue, and a Redis that everyone on the network could use.

    Args:
        address: `local`, or the address of a Redis.

    Raises:
        LurkError: It is neither, or the Redis is on another machine and has no password.
    """
    if address == LOCAL:
        return
    parts = _parts(address)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        raise LurkError(f"--queue must be {LOCAL} or an address such as {EXAMPLE}, not {without_password(address)!r}")
    if not parts.password and not _is_loopback(parts.hostname):
        raise LurkError(
            f"--queue {without_password(address)} names a Redis without a password on another machine, which everyone "
            f"on the network could use; set requirepass there and give {EXAMPLE}, best in LURK_QUEUE"
        )


def _parts(address: str) -> SplitResult | None:
    """The parts of an address; None if its port or database is no number."""
    try:
        parts = urlsplit(address)
        database = parts.path.strip("/")
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if has_port and (not database or (database.isascii() and database.isdecimal())) else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def without_password(address: str) -> str:
    """An address without its user and password."""
    front, at, rest = address.rpartition("@")
    scheme, slashes, _ = front.partition("://")
    return f"{scheme}{slashes}{rest}" if at and slashes else rest
