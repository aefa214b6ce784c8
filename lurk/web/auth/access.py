"""Who may use the server, by `--auth`: a token, a password file, or the header of a trusted proxy. No Flask."""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from pathlib import Path

from lurk.config.options import DEFAULT_PORT, Settings
from lurk.errors import LurkError
from lurk.service.person import Person, is_name
from lurk.web.auth import passwords
from lurk.web.auth.signing_keys import shared_keys

LOOPBACK = ("127.0.0.1", "::1", "localhost")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AUTH_VALUES = "none, token, password:FILE or header:NAME@PROXY-ADDRESSES"


class Access:
    """How people log in; each value of `--auth` is a subclass.

    Args:
        signing: The key that signs cookies.
    """

    kind = ""

    def __init__(self, signing: str) -> None:
        self.signing = signing

    def by_token(self, token: str) -> Person | None:
        """The person of a token; None if the token is wrong."""
        return None

    def by_password(self, name: str, password: str) -> Person | None:
        """The person of a name and password; None if they are wrong."""
        return None

    def by_header(self, peer: str, value: str) -> Person | None:
        """The person whom the proxy at an address names in its header; None if it is no trusted proxy."""
        return None

    def stamp(self, person: Person) -> str:
        """A digest that a person's cookie carries; a cookie with another one is no longer valid."""
        return ""

    def by_cookie(self, name: str, role: str, stamp: str) -> Person | None:
        """The person of a cookie, with the role that they have now; None if the cookie is no longer valid."""
        return None

    def start_url(self, url: str) -> str:
        """The address to open, printed when the server starts."""
        return url


class TokenAccess(Access):
    """One random token for members, another for admins; each browser is a person of its own."""

    kind = "token"

    def __init__(self, signing: str, token: str, admin: str) -> None:
        super().__init__(signing)
        self._token, self._admin = token, admin

    def by_token(self, token: str) -> Person | None:
        """The person of a token; None if the token is wrong."""
        is_member, is_admin = _equal(token, self._token), _equal(token, self._admin)
        if is_admin or is_member:
            return Person(f"guest-{secrets.token_hex(4)}", "admin" if is_admin else "member")
        return None

    def stamp(self, person: Person) -> str:
        """A digest of the token."""
        return _digest(self._admin if person.is_admin else self._token)

    def by_cookie(self, name: str, role: str, stamp: str) -> Person | None:
        """The person, as long as the token is the same."""
        person = Person(name, "admin" if role == "admin" else "member")
        return person if _equal(stamp, self.stamp(person)) else None

    def start_url(self, url: str) -> str:
        """The page's address with the token."""
        return f"{url}?token={self._token}\nas an admin: {url}?token={self._admin}"


class PasswordAccess(Access):
    """Names and passwords in a file, which is read again when it has changed."""

    kind = "password"

    def __init__(self, signing: str, file: Path) -> None:
        super().__init__(signing)
        self._file, self._seen, self._entries = file, (0, 0), passwords.read(file)

    def _entry(self, name: str) -> passwords.Entry | None:
        try:
            found = self._file.stat()
            if (found.st_mtime_ns, found.st_size) != self._seen:
                self._entries, self._seen = passwords.read(self._file), (found.st_mtime_ns, found.st_size)
        except (OSError, LurkError):  # it is being written or is damaged: nobody can log in
            return None
        return self._entries.get(name)

    def by_password(self, name: str, password: str) -> Person | None:
        """The person of a name and password; None if they are wrong."""
        return passwords.check(self._entry(name), password)

    def stamp(self, person: Person) -> str:
        """A digest of the password's hash."""
        entry = self._entry(person.name)
        return _digest(entry.hash) if entry else ""

    def by_cookie(self, name: str, role: str, stamp: str) -> Person | None:
        """The person as the file has them now, as long as the password is the same."""
        entry = self._entry(name)
        return entry.person if entry and _equal(stamp, _digest(entry.hash)) else None


class HeaderAccess(Access):
    """A proxy that has identified the person and names them in a header; only trusted proxies are believed."""

    kind = "header"

    def __init__(self, signing: str, header: str, proxies: Sequence[Network], admins: Sequence[str]) -> None:
        super().__init__(signing)
        self.header, self._proxies, self._admins = header, tuple(proxies), frozenset(admins)

    def by_header(self, peer: str, value: str) -> Person | None:
        """The person whom the proxy at an address names in its header; None if it is no trusted proxy."""
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
    """How people log in, by the options.

    Args:
        settings: `auth` and `admins`.
        cache: The cache directory, where the keys are.

    Returns:
        How they log in; None if the server has no log-in.

    Raises:
        LurkError: `--auth` has no such value, or its file or the keys cannot be used.
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
    raise LurkError(f"--auth is {AUTH_VALUES}, not {(settings.auth or '')[:80]!r}")


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
    """Refuse to serve other machines without a log-in, or with debugging.

    Args:
        settings: `host`, `auth` and `debug`.

    Raises:
        LurkError: Other machines could reach the server in such a way.
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


def _equal(one: str, other: str) -> bool:
    """Whether two texts are the same, compared in a time that does not depend on them."""
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))
