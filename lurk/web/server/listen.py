"""The listening socket: the only place that chooses address and port."""

import errno
import os
import socket

from lurk.config.options import DEFAULT_PORT, Settings
from lurk.errors import LurkError
from lurk.web.auth.access import LOOPBACK, check_open

ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - its address from this machine
PORTS_TRIED = 50
BACKLOG = 1024


def listen(settings: Settings) -> socket.socket:
    """Listen on the host and port of the settings.

    Args:
        settings: Host and port; without a port 8050 or the next free one is used, with port 0 any.

    Returns:
        The listening socket.

    Raises:
        LurkError: The port is taken, the address is not one of this machine's, or open to others.
    """
    check_open(settings)
    first = DEFAULT_PORT if settings.port is None else settings.port
    for port in range(first, first + (PORTS_TRIED if settings.port is None else 1)):
        listener = _listening(settings.host, port)
        if listener is not None:
            return listener
    raise LurkError(f"port {first} on {settings.host} is taken; choose another with --port")


def _listening(host: str, port: int) -> socket.socket | None:
    """A listening socket; None if the port is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return None
        raise LurkError(f"cannot serve on {host}: {error.strerror}; choose an address with --host") from error
    return listener


def url_of(listener: socket.socket, host: str, prefix: str = "") -> str:
    """Address of the page on this machine."""
    name = ANY.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}{prefix}/"


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """Host names under which the page answers beside loopback: those given, and the machine's own if it is open."""
    given = tuple(name.strip() for name in (settings.allowed_host or "").split(",") if name.strip())
    own = () if settings.host in LOOPBACK else (settings.host, socket.gethostname())
    return (*given, *own)
