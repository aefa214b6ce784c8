"""The WSGI guard around the app: it refuses foreign hosts, other sites and large bodies, and sets security headers."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

LARGEST_BODY = 12 * 1024 * 1024
HEALTH = "/healthz"
SAFE_METHODS = ("GET", "HEAD")

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def content_security_policy(hashes: Sequence[str]) -> str:
    """Content security policy of the page.

    Args:
        hashes: What `Dash.csp_hashes` gives, after all callbacks exist.

    Returns:
        The header's value.
    """
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src blob:",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "object-src 'none'",
        )
    )


def security_headers(hashes: Sequence[str]) -> Headers:
    """Headers of every answer.

    Args:
        hashes: What `Dash.csp_hashes` gives, after all callbacks exist.

    Returns:
        (name, value) pairs.
    """
    return [
        ("Content-Security-Policy", content_security_policy(hashes)),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ]


class Guard:
    """A WSGI application around another one."""

    def __init__(self, app: Application, hashes: Sequence[str], allowed_hosts: Sequence[str] = ()) -> None:
        """Put a guard around an application.

        Args:
            app: The application that answers what is not refused.
            hashes: Hashes of the page's inline scripts.
            allowed_hosts: Host names, without a port, under which the page answers beside those of loopback.
        """
        self._app = app
        self._headers = security_headers(hashes)
        self._replaced = {name.lower() for name, _ in self._headers} | {"server"}
        self._allowed = {_host_name(host) for host in allowed_hosts}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""

        def start(status: str, headers: Headers, *more: object) -> Callable[[bytes], object]:
            kept = [pair for pair in headers if pair[0].lower() not in self._replaced]
            return start_response(status, kept + self._headers, *more)

        refused = self._refusal(environ)
        if refused is None:
            return self._app(environ, start)
        status, message = refused
        body = message.encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        start(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _refusal(self, environ: Environ) -> tuple[str, str] | None:
        if environ.get("PATH_INFO") != HEALTH and not self._is_known_host(environ):
            return (
                "403 Forbidden",
                "This page answers on this machine only. To let another name in, start it with --allowed-host NAME.\n",
            )
        if environ["REQUEST_METHOD"] not in SAFE_METHODS and not is_same_origin(environ):
            return "403 Forbidden", "Another site may not send this.\n"
        return _too_large(environ)

    def _is_known_host(self, environ: Environ) -> bool:
        name = _host_name(environ.get("HTTP_HOST") or "")
        return bool(name) and (name in self._allowed or is_loopback(name))


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:@/\\\[\]]+))(?::[0-9]{1,5})?")


def _host_name(host: str) -> str:
    """Host name in a Host header: lower case, without port, last dot and brackets; empty if it is malformed."""
    host = host.strip().lower()
    if host.count(":") > 1 and not host.startswith("["):
        return host
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).removesuffix(".") if found else ""


def is_loopback(name: str) -> bool:
    """Whether a host name can only mean this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_same_origin(environ: Environ) -> bool:
    """Whether a request comes from our own page, or from no web page at all.

    A browser says where a request comes from, in `Sec-Fetch-Site` or, if it is old, in `Origin`. A request with neither
    comes from a script outside of a browser, so no other site can have sent it.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site in ("same-origin", "none")
    origin = environ.get("HTTP_ORIGIN")
    return origin is None or origin == f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"


def _too_large(environ: Environ) -> tuple[str, str] | None:
    """Refuse by the announced length; the app itself limits a body without one."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        return "400 Bad Request", "The length of the body is no number.\n"
    if int(length[:20]) > LARGEST_BODY:
        return "413 Content Too Large", f"The body is larger than {LARGEST_BODY // 1024**2} MB.\n"
    return None
