"""The door: who asks, found out before anything is answered, and the pages on which one logs in and out."""

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
from lurk.web.auth.guard import HEALTH, READING
from lurk.web.ui import login_page
from lurk.web.ui.login_limit import Tries
from lurk.web.ui.lookup import API
from lurk.web.ui.responses import JSON_PATHS, error

LOGIN, LOGIN_STYLE, LOGOUT = "/login", "/login.css", "/logout"
OPEN_PATHS = (HEALTH, LOGIN, LOGIN_STYLE)
LASTS_S = 12 * 3600
NOT_IN = "log in first"


def person() -> Person:
    """Who asks; whoever sits at the server where there is no log-in."""
    found = g.get("person", OWNER) if has_request_context() else OWNER
    return found if isinstance(found, Person) else OWNER


def may_leave() -> bool:
    """Whether who asks has logged in here, and so can log out."""
    return bool(has_request_context() and g.get("may_leave"))


def register(server: Flask, access: Access | None, assets: Path) -> None:
    """Put the door into an app, before anything else that looks at a request.

    Args:
        server: The app.
        access: Who is let in; None for everyone.
        assets: Folder of the login page's style sheet.
    """
    if access is None:
        return
    door = Door(access, assets)
    server.before_request(door.check)
    server.add_url_rule(LOGIN, "lurk login", door.show, methods=["GET"])
    server.add_url_rule(LOGIN, "lurk log in", door.log_in, methods=["POST"])
    server.add_url_rule(LOGIN_STYLE, "lurk login style", door.style)
    server.add_url_rule(LOGOUT, "lurk log out", door.log_out, methods=["POST"])


class Door:
    """Finds out who asks, by a signed cookie, a token or a proxy's header."""

    def __init__(self, access: Access, assets: Path, tries: Tries | None = None) -> None:
        self._access, self._tries = access, tries or Tries()
        self._style = (assets / "login.css").read_bytes()
        self._signer = URLSafeTimedSerializer(access.signing, salt=f"lurk {access.kind}")
        self._cookie = f"lurk-{hashlib.sha256(access.signing.encode()).hexdigest()[:8]}"  # ports share their cookies

    def check(self) -> Response | None:
        """Let a request in, or answer it: 401 to a program, the login page to a person."""
        found = self._who()
        if found is not None:
            g.person, g.may_leave = found, self._access.kind != "header"
            return self._refusal(found)
        if request.path in OPEN_PATHS:
            return None
        if "token" in request.args and request.method in READING and not request.path.startswith(JSON_PATHS):
            return self._enter(request.args["token"], request.path)
        if request.path.startswith(JSON_PATHS) or request.method not in READING:
            return error(NOT_IN, 401)
        shown = request.full_path.rstrip("?")
        return _to(f"{LOGIN}?next={quote(login_page.local_path(shown), safe='/')}", 302)

    def _who(self) -> Person | None:
        access, kind = self._access, self._access.kind
        if kind == "header":
            return access.by_header(request.remote_addr or "", request.headers.get(getattr(access, "header", ""), ""))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind == "token" and scheme.lower() == "bearer":
            found = access.by_token(token.strip())
            return found and Person("script", found.role)
        return self._of_cookie(request.cookies.get(self._cookie))

    def _of_cookie(self, text: str | None) -> Person | None:
        try:
            name, role, stamp = self._signer.loads(text or "", max_age=LASTS_S)
        except (BadSignature, ValueError, TypeError):
            return None
        return self._access.still(str(name), str(role), str(stamp))

    def _refusal(self, found: Person) -> Response | None:
        if found.role == "viewer" and request.method not in READING and request.path.startswith(API):
            return error("you may look at everything here, but not ask for jobs; a member may", 403)
        if "token" in request.args and request.method == "GET" and not request.path.startswith(JSON_PATHS):
            return _to(request.path)  # the token leaves the address bar
        return None

    def show(self) -> Response:
        """The login page; one that carries the token lets in at once."""
        next_ = login_page.local_path(request.args.get("next"))
        if "token" in request.args:
            return self._enter(request.args["token"], next_)
        return self._page(next_) if "person" not in g else _to(next_)

    def log_in(self) -> Response:
        """Take the login page's form."""
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
        wait_s = self._tries.wait_s(address, name)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            answer = self._page(next_, f"Too many tries; the next one is heard in {seconds} s.", 429)
            answer.headers["Retry-After"] = str(seconds)
            return answer
        found = find()
        if found is None:
            self._tries.failed(address, name)
            return self._page(next_, trouble[:1].upper() + trouble[1:] + ".", 401)
        answer = _to(next_)
        text = self._signer.dumps([found.name, found.role, self._access.stamp(found)])
        answer.set_cookie(self._cookie, str(text), max_age=LASTS_S, **self._attributes())
        return answer

    def _attributes(self) -> dict[str, Any]:
        is_https = "https" in (request.scheme, request.headers.get("X-Forwarded-Proto", "").strip().lower())
        return {"httponly": True, "samesite": "Lax", "secure": is_https, "path": "/"}

    def log_out(self) -> Response:
        """Forget the cookie."""
        answer = _to(LOGIN)
        answer.delete_cookie(self._cookie, **self._attributes())
        return answer

    def style(self) -> Response:
        """The login page's style sheet."""
        return Response(self._style, 200, {"Cache-Control": "private, max-age=3600"}, mimetype="text/css")

    def _page(self, next_: str, trouble: str = "", status: int = 200) -> Response:
        text = login_page.page(self._access.kind, next_, trouble)
        return Response(text, status, {"Cache-Control": "no-store"}, mimetype="text/html")


def _to(path: str, status: int = 303) -> Response:
    answer = redirect(path, status)
    answer.headers["Cache-Control"] = "no-store"
    return answer  # type: ignore[return-value]  # Flask's own redirect gives its response
