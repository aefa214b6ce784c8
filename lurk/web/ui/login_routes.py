"""Logging in and out: every request is given its person before anything else looks at it, or is turned away."""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, g, has_request_context, redirect, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from lurk.service.person import OWNER, Person
from lurk.web.auth.access import Access
from lurk.web.auth.request_guard import HEALTH, SAFE_METHODS
from lurk.web.ui import login_page
from lurk.web.ui.login_limit import LoginLimit
from lurk.web.ui.page_addresses import API
from lurk.web.ui.path_prefix import outside
from lurk.web.ui.responses import JSON_PATHS, error

LOGIN, LOGIN_STYLE, LOGOUT = "/login", "/login.css", "/logout"
OPEN_PATHS = (HEALTH, LOGIN, LOGIN_STYLE)
COOKIE_S = 12 * 3600


def person() -> Person:
    """Who sent the request; the owner if the server has no log-in."""
    found = g.get("person", OWNER) if has_request_context() else OWNER
    return found if isinstance(found, Person) else OWNER


def can_log_out() -> bool:
    """Whether the person has logged in on this page, and not at a proxy."""
    return bool(has_request_context() and g.get("can_log_out"))


def register(server: Flask, access: Access | None, assets: Path) -> None:
    """Add the log-in to an app, before anything else that looks at a request.

    Args:
        server: The app.
        access: Who is let in; None for everyone.
        assets: Folder of the login page's style sheet.
    """
    if access is None:
        return
    login = Login(access, assets)
    server.before_request(login.check)
    server.add_url_rule(LOGIN, "lurk login", login.show, methods=["GET"])
    server.add_url_rule(LOGIN, "lurk log in", login.log_in, methods=["POST"])
    server.add_url_rule(LOGIN_STYLE, "lurk login style", login.style)
    server.add_url_rule(LOGOUT, "lurk log out", login.log_out, methods=["POST"])


class Login:
    """Identifies the person of each request by a signed cookie, a token or a proxy's header."""

    def __init__(self, access: Access, assets: Path) -> None:
        self._access, self._limit = access, LoginLimit()
        self._style = (assets / "login.css").read_bytes()
        self._signer = URLSafeTimedSerializer(access.signing, salt=f"lurk {access.kind}")
        self._cookie = f"lurk-{hashlib.sha256(access.signing.encode()).hexdigest()[:8]}"  # ports share their cookies

    def check(self) -> Response | None:
        """Let a request through, or answer it: 401 to a program, the login page to a person."""
        found = self._person()
        if found is not None:
            g.person, g.can_log_out = found, self._access.kind != "header"
            return self._refusal(found)
        if request.path in OPEN_PATHS:
            return None
        if "token" in request.args and request.method in SAFE_METHODS and not request.path.startswith(JSON_PATHS):
            return self._enter(request.args["token"], request.path)
        if request.path.startswith(JSON_PATHS) or request.method not in SAFE_METHODS:
            return error("log in first", 401)
        next_ = login_page.local_path(request.full_path.rstrip("?"))
        return _redirect(f"{LOGIN}?next={quote(next_, safe='/')}", 302)

    def _person(self) -> Person | None:
        access, kind = self._access, self._access.kind
        if kind == "header":
            return access.by_header(request.remote_addr or "", request.headers.get(getattr(access, "header", ""), ""))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind == "token" and scheme.lower() == "bearer":
            found = access.by_token(token.strip())
            return found and Person("script", found.role)
        return self._by_cookie(request.cookies.get(self._cookie))

    def _by_cookie(self, text: str | None) -> Person | None:
        try:
            name, role, stamp = self._signer.loads(text or "", max_age=COOKIE_S)
        except (BadSignature, ValueError, TypeError):
            return None
        return self._access.by_cookie(str(name), str(role), str(stamp))

    def _refusal(self, found: Person) -> Response | None:
        if found.role == "viewer" and request.method not in SAFE_METHODS and request.path.startswith(API):
            return error("you may look at everything here, but not ask for jobs; a member may", 403)
        if "token" in request.args and request.method == "GET" and not request.path.startswith(JSON_PATHS):
            return _redirect(request.path)  # the token leaves the address bar
        return None

    def show(self) -> Response:
        """The login page; with the token in its address it logs in at once."""
        next_ = login_page.local_path(request.args.get("next"))
        if "token" in request.args:
            return self._enter(request.args["token"], next_)
        return self._page(next_) if "person" not in g else _redirect(next_)

    def log_in(self) -> Response:
        """Log in with the form of the login page."""
        next_ = login_page.local_path(request.form.get("next"))
        if self._access.kind == "token":
            return self._enter(request.form.get("token", "").strip(), next_)
        name, password = request.form.get("name", "").strip()[:200], request.form.get("password", "")
        return self._try(lambda: self._access.by_password(name, password), name, next_, "name or password is wrong")

    def _enter(self, token: str, next_: str) -> Response:
        return self._try(
            lambda: self._access.by_token(token), "", login_page.local_path(next_), "this token does not fit"
        )

    def _try(self, find: Callable[[], Person | None], name: str, next_: str, trouble: str) -> Response:
        address = request.remote_addr or ""
        wait_s = self._limit.wait_s(address, name)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            answer = self._page(next_, f"Too many tries; the next one is heard in {seconds} s.", 429)
            answer.headers["Retry-After"] = str(seconds)
            return answer
        found = find()
        if found is None:
            self._limit.count_failure(address, name)
            return self._page(next_, trouble[:1].upper() + trouble[1:] + ".", 401)
        answer = _redirect(next_)
        text = self._signer.dumps([found.name, found.role, self._access.stamp(found)])
        answer.set_cookie(self._cookie, str(text), max_age=COOKIE_S, **self._cookie_attributes())
        return answer

    def _cookie_attributes(self) -> dict[str, Any]:
        is_https = "https" in (request.scheme, request.headers.get("X-Forwarded-Proto", "").strip().lower())
        return {"httponly": True, "samesite": "Lax", "secure": is_https, "path": outside("") or "/"}

    def log_out(self) -> Response:
        """Forget the cookie."""
        answer = _redirect(LOGIN)
        answer.delete_cookie(self._cookie, **self._cookie_attributes())
        return answer

    def style(self) -> Response:
        """The login page's style sheet."""
        return Response(self._style, 200, {"Cache-Control": "private, max-age=3600"}, mimetype="text/css")

    def _page(self, next_: str, trouble: str = "", status: int = 200) -> Response:
        text = login_page.page(self._access.kind, next_, trouble)
        return Response(text, status, {"Cache-Control": "no-store"}, mimetype="text/html")


def _redirect(path: str, status: int = 303) -> Response:
    answer = redirect(outside(path), status)
    answer.headers["Cache-Control"] = "no-store"
    return answer  # type: ignore[return-value]  # Flask's own redirect gives its response
