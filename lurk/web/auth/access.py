"""The ways in, as `--auth` names them: a token, a password file, or the header of a trusted proxy. No Flask."""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from pathlib import Path

from lurk.config.settings import DEFAULT_PORT, Settings
from lurk.errors import LurkError
from lurk.service.person import Person, is_name
from lurk.web.auth import passwords
from lurk.web.auth.keys import shared_keys

LOOPBACK = ("127.0.0.1", "::1", "localhost")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
WAYS = "none, token, password:FILE or header:NAME@PROXY-ADDRESSES"


class Access:
    """Who is let in; each way in is a class below this one.

    Args:
        signing: Signs cookies.
    """

    kind = ""

    def __init__(self, signing: str) -> None:
        self.signing = signing

    def by_token(self, token: str) -> Person | None:
        """Who a token lets in."""
        return None

    def by_password(self, name: str, password: str) -> Person | None:
        """Who a name and a password let in."""
        return None

    def by_header(self, peer: str, value: str) -> Person | None:
        """Who the proxy at an address says that it is."""
        return None

    def stamp(self, person: Person) -> str:
        """What a cookie says beside the person; one with another stamp no longer holds."""
        return ""

    def still(self, name: str, role: str, stamp: str) -> Person | None:
        """The person of a cookie, as they now are; None where they are no longer let in."""
        return None

    def address(self, url: str) -> str:
        """What to open, told once at the start."""
        return url


class TokenAccess(Access):
    """One random token lets members in, another one admins; each browser is a person of its own."""

    kind = "token"

    def __init__(self, signing: str, token: str, admin: str) -> None:
        super().__init__(signing)
        self._token, self._admin = token, admin

    def by_token(self, token: str) -> Person | None:
        """Who a token lets in."""
        is_member, is_admin = _same(token, self._token), _same(token, self._admin)
        if is_admin or is_member:
            return Person(f"guest-{secrets.token_hex(4)}", "admin" if is_admin else "member")
        return None

    def stamp(self, person: Person) -> str:
        """A digest of the token."""
        return _digest(self._admin if person.is_admin else self._token)

    def still(self, name: str, role: str, stamp: str) -> Person | None:
        """The person, while the token is the same."""
        person = Person(name, "admin" if role == "admin" else "member")
        return person if _same(stamp, self.stamp(person)) else None

    def address(self, url: str) -> str:
        """The page's address with the token."""
        return f"{url}?token={self._token}\nas an admin: {url}?token={self._admin}"


class PasswordAccess(Access):
    """Names and passwords in a file; a change to the file holds at once."""

    kind = "password"

    def __init__(self, signing: str, file: Path) -> None:
        super().__init__(signing)
        self._file, self._seen, self._entries = file, (0, 0), passwords.read(file)

    def _entry(self, name: str) -> passwords.Entry | None:
        try:
            found = self._file.stat()
            if (found.st_mtime_ns, found.st_size) != self._seen:
                self._entries, self._seen = passwords.read(self._file), (found.st_mtime_ns, found.st_size)
        except (OSError, LurkError):  # being written just now, or spoilt: nobody is let in by it
            return None
        return self._entries.get(name)

    def by_password(self, name: str, password: str) -> Person | None:
        """Who a name and a password let in."""
        return passwords.check(self._entry(name), password)

    def stamp(self, person: Person) -> str:
        """A digest of the password's hash."""
        entry = self._entry(person.name)
        return _digest(entry.hash) if entry else ""

    def still(self, name: str, role: str, stamp: str) -> Person | None:
        """The person as the file now has them, while the password is the same."""
        entry = self._entry(name)
        return entry.person if entry and _same(stamp, _digest(entry.hash)) else None


class HeaderAccess(Access):
    """A proxy that has checked who asks, and says so in a header; nobody else's header counts."""

    kind = "header"

    def __init__(self, signing: str, header: str, proxies: Sequence[Network], admins: Sequence[str]) -> None:
        super().__init__(signing)
        self.header, self._proxies, self._admins = header, tuple(proxies), frozenset(admins)

    def by_header(self, peer: str, value: str) -> Person | None:
        """Who the proxy at an address says that it is."""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return None
        mapped = getattr(address, "ipv4_mapped", None) or address
        name = value.strip()
        if not is_name(name) or not any(mapped in network for network in self._proxies):
            return None
        return Person(name, "admin" if name in self._admins else "member")


def open_access(settings: Settings, cache: Path) -> Access | None:
    """The way in that the options name.

    Args:
        settings: `auth` and `admins`.
        cache: The cache directory, where the keys lie.

    Returns:
        The way in; None where everyone who reaches the server is let in.

    Raises:
        LurkError: There is no such way, or its file or keys cannot be used.
    """
    kind, _, rest = (settings.auth or "none").partition(":")
    if (kind, rest) == ("none", ""):
        return None
    keys = shared_keys(cache)
    if (kind, rest) == ("token", ""):
        return TokenAccess(keys.signing, keys.token, keys.admin)
    if kind == "password" and rest:
        return PasswordAccess(keys.signing, Path(rest).expanduser())
    if kind == "header" and rest:
        header, _, addresses = rest.partition("@")
        admins = [name.strip() for name in (settings.admins or "").split(",") if name.strip()]
        return HeaderAccess(keys.signing, _header(header), _networks(addresses), admins)
    raise LurkError(f"--auth is {WAYS}, not {(settings.auth or '')[:80]!r}")


def _header(name: str) -> str:
    if not name or not all(sign.isascii() and (sign.isalnum() or sign == "-") for sign in name):
        raise LurkError(f"--auth header:NAME@PROXY-ADDRESSES names a header such as X-Remote-User, not {name[:80]!r}")
    return name


def _networks(addresses: str) -> list[Network]:
    try:
        found = [ipaddress.ip_network(part.strip(), strict=False) for part in addresses.split(",")]
    except ValueError as error:
        raise LurkError(
            f"--auth header:NAME@PROXY-ADDRESSES ends with the proxies' addresses, such as 10.0.0.0/24: {error}"
        ) from error
    if any(network.prefixlen == 0 for network in found):
        raise LurkError("--auth header:NAME@PROXY-ADDRESSES would trust every address; name those of the proxies alone")
    return found


def check_open(settings: Settings) -> None:
    """Refuse to serve others than this machine without a log-in, or with debugging; one small function, for any server.

    Args:
        settings: `host`, `auth` and `debug`.

    Raises:
        LurkError: The address is open to others.
    """
    if settings.host in LOOPBACK:
        return
    port = settings.port or DEFAULT_PORT
    if (settings.auth or "none") == "none":
        raise LurkError(
            f"--host {settings.host} would open the page to everyone on the network; let in who has the token with: "
            f"--host {settings.host} --auth token, or serve on 127.0.0.1 and reach it with: "
            f"ssh -L {port}:127.0.0.1:{port} THIS-MACHINE"
        )
    if settings.debug:
        raise LurkError(f"--debug shows tracebacks, on this machine only: leave it out, or --host {settings.host}")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:32]


def _same(one: str, other: str) -> bool:
    """Whether two texts are the same, found out in a time that does not tell."""
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))
