"""Log-in: every route needs it, cookies hold what they promise, and no form leads to another server."""

import re
import time

import pytest

from lurk.config.options import Settings
from lurk.storage.cache_dir import prepare_cache
from lurk.web.auth import passwords
from lurk.web.auth.access import HeaderAccess, open_access
from lurk.web.auth.signing_keys import shared_keys
from lurk.web.ui import login_routes
from lurk.web.ui.app import create_app
from lurk.web.ui.login_limit import MOST_OF_ADDRESS, MOST_OF_NAME, WITHIN_S, LoginLimit
from lurk.web.ui.login_page import local_path
from tests.web.ui.fake import FakeService

OPEN = {"/healthz", "/login", "/login.css"}


class Seen(FakeService):
    """Keeps who asked."""

    def __init__(self):
        super().__init__()
        self.people = []

    def jobs(self, person=None):
        self.people.append(person)
        return super().jobs()


@pytest.fixture
def cache(tmp_path):
    return prepare_cache(tmp_path / "cache")


@pytest.fixture
def service():
    return Seen()


@pytest.fixture
def make(cache, service):
    return lambda **given: create_app(service, access=open_access(Settings(**given), cache))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    file = tmp_path_factory.mktemp("people") / "people.txt"
    roles = {"ann": "admin", "mel": "member", "vic": "viewer"}
    file.write_text("\n".join(passwords.line(name, role, f"password of {name}") for name, role in roles.items()))
    return file


def log_in(client, name, **more):
    return client.post("/login", data={"name": name, "password": f"password of {name}", **more})


def every_route(app):
    """Each rule of the URL map with something in its blanks, and each of its methods."""
    fill = {"study": "resnet18-birds", "layer": "conv1", "unit": "3", "key": "1" * 32, "path": "lurk.css", "rest": "x"}
    for rule in app.server.url_map.iter_rules():
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", lambda blank: fill.get(blank[1], "x"), rule.rule)
        for method in rule.methods:
            yield method, path


@pytest.mark.parametrize("auth", ["token", "password", "header"])
def test_every_route_without_a_cookie_is_401_or_leads_to_the_login_page(make, people, auth):
    app = make(auth={"password": f"password:{people}", "header": "header:X-User@10.0.0.1"}.get(auth, auth))
    client, seen = app.server.test_client(), set()
    for method, path in [*every_route(app), ("GET", "/nowhere"), ("POST", "/nowhere"), ("GET", "/assets/../app.py")]:
        answer = client.open(path, method=method, headers={"X-User": "ann"})
        seen.add(path)
        if path in OPEN:
            assert answer.status_code in ((200, 401) if method == "POST" else (200,)), (method, path)
            continue
        is_page = answer.status_code == 302 and answer.headers["Location"].startswith("/login?next=")
        assert answer.status_code == 401 or is_page, (method, path, answer.status_code)
        assert "birds" not in answer.text.replace("resnet18-birds", "") or is_page
        assert "Content-Security-Policy" in answer.headers
    assert {"/", "/readyz", "/metrics", "/_dash-layout", "/_dash-update-component", "/api/v1/studies"} <= seen


def test_without_a_log_in_there_is_no_door(make):
    client = make().server.test_client()
    assert client.get("/api/v1/studies").status_code == 200
    assert client.get("/api/v1/me").json == {"name": "", "role": "admin"}
    assert "Log out" not in client.get("/_dash-layout").text


def test_the_printed_address_lets_in_and_the_token_leaves_the_address_bar(make, cache):
    client = make(auth="token").server.test_client()
    answer = client.get(f"/?token={shared_keys(cache).token}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert client.get("/api/v1/studies").status_code == 200
    me = client.get("/api/v1/me").json
    assert me["role"] == "member"
    assert me["name"].startswith("guest-")
    again = client.get(f"/s/resnet18-birds?token={shared_keys(cache).token}")
    assert (again.status_code, again.headers["Location"]) == (303, "/s/resnet18-birds")
    assert client.get("/api/v1/me").json == me
    assert client.get("/?token=wrong").status_code == 303


def test_a_wrong_token_is_401_with_the_form(make):
    client = make(auth="token").server.test_client()
    answer = client.get("/?token=wrong")
    assert answer.status_code == 401
    assert "does not fit" in answer.text
    assert "wrong" not in answer.text
    assert "Set-Cookie" not in answer.headers


def test_a_script_sends_the_token_as_a_bearer(make, cache):
    client = make(auth="token").server.test_client()
    for token, status in ((shared_keys(cache).token, 200), ("wrong", 401), ("", 401)):
        assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == status
    basic = client.get("/api/v1/me", headers={"Authorization": f"Basic {shared_keys(cache).token}"})
    assert basic.status_code == 401


def test_workers_that_share_the_cache_know_each_others_cookies(make, people):
    first, second = (make(auth=f"password:{people}").server.test_client(use_cookies=False) for _ in range(2))
    cookie = log_in(first, "mel").headers["Set-Cookie"].partition(";")[0]
    assert second.get("/api/v1/me", headers={"Cookie": cookie}).json == {"name": "mel", "role": "member"}


@pytest.mark.parametrize(
    ("base", "headers", "is_secure"),
    [
        ("http://localhost", {}, False),
        ("https://localhost", {}, True),
        ("http://localhost", {"X-Forwarded-Proto": "https"}, True),
        ("http://localhost", {"X-Forwarded-Proto": "http"}, False),
    ],
)
def test_the_cookie_is_closed_to_scripts_and_other_sites_and_lasts_12_hours(make, people, base, headers, is_secure):
    client = make(auth=f"password:{people}").server.test_client()
    form = {"name": "mel", "password": "password of mel"}
    cookie = client.post("/login", base_url=base, data=form, headers=headers).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert ("Secure" in cookie.split("; ")) is is_secure


def test_a_cookie_ends_after_12_hours_and_with_its_signature(make, people, monkeypatch):
    client = make(auth=f"password:{people}").server.test_client(use_cookies=False)
    name, _, value = log_in(client, "mel").headers["Set-Cookie"].partition(";")[0].partition("=")
    signed, _, signature = value.rpartition(".")
    forged = f"{signed}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"  # the last letter also holds unused bits
    spoilt = [forged, "x" + value, "", "a.b.c", "é", value.partition(".")[0]]
    stranger = make(auth="token").server.test_client(use_cookies=False)
    assert stranger.get("/api/v1/me", headers={"Cookie": f"{name}={value}"}).status_code == 401
    for text in spoilt:
        assert client.get("/api/v1/me", headers={"Cookie": f"{name}={text}"}).status_code == 401
    good = {"Cookie": f"{name}={value}"}
    assert client.get("/api/v1/me", headers=good).status_code == 200
    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + login_routes.COOKIE_S + 2)
    assert client.get("/api/v1/me", headers=good).status_code == 401


def test_who_logs_out_is_out(make, people):
    client = make(auth=f"password:{people}").server.test_client()
    log_in(client, "mel")
    assert "Log out" in client.get("/_dash-layout").text
    assert client.get("/logout").status_code in (404, 405)
    assert client.get("/api/v1/me").status_code == 200
    assert client.post("/logout").headers["Location"] == "/login"
    assert client.get("/api/v1/me").status_code == 401


def test_a_viewer_looks_and_asks_for_nothing(make, people, service):
    app = make(auth=f"password:{people}")
    client = app.server.test_client()
    log_in(client, "vic")
    for method, path in every_route(app):
        if path.startswith("/api/") and method == "POST":
            answer = client.open(path, method=method, json={})
            assert (answer.status_code, set(answer.json)) == (403, {"error"}), path
        elif method == "GET" and path.startswith(("/api/v1/studies", "/media")):
            assert client.get(path).status_code != 403
    assert client.get("/s/resnet18-birds").status_code == 200
    assert service.asked == []


def test_jobs_are_asked_for_under_the_name_of_the_person(make, people, service):
    client = make(auth=f"password:{people}").server.test_client()
    log_in(client, "mel")
    client.get("/api/v1/jobs")
    assert (service.people[-1].name, service.people[-1].role) == ("mel", "member")


@pytest.mark.parametrize(
    ("next_", "leads_to"),
    [
        ("/s/resnet18-birds?sort=max", "/s/resnet18-birds?sort=max"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\tevil", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        (" //evil.example", "/"),
        ("", "/"),
        ("/logout", "/"),
        ("/" + "x" * 5000, "/"),
    ],
)
def test_no_log_in_leads_elsewhere(make, people, cache, next_, leads_to):
    assert local_path(next_) == leads_to
    client = make(auth=f"password:{people}").server.test_client()
    assert log_in(client, "mel", next=next_).headers["Location"] == leads_to
    assert client.get("/login", query_string={"next": next_}).headers["Location"] == leads_to
    other = make(auth="token").server.test_client()
    answer = other.get("/login", query_string={"next": next_, "token": shared_keys(cache).token})
    assert answer.headers["Location"] == leads_to


def test_what_the_login_page_repeats_is_escaped(make, people):
    client = make(auth=f"password:{people}").server.test_client()
    answer = client.get("/login", query_string={"next": '/"><script>alert(1)</script>'})
    assert "<script" not in answer.text
    posted = client.post("/login", data={"name": "<script>", "password": "x", "next": '/"><script>'})
    assert posted.status_code == 401
    assert "<script" not in posted.text
    assert "form-action 'self'" in posted.headers["Content-Security-Policy"]


def test_a_malformed_form_is_401_and_the_next_one_works(make, people):
    client = make(auth=f"password:{people}").server.test_client()
    for body in (b"", b"\xff\xfe", b"name=%00&password=%ff&next=%0d%0a"):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "application/json"):
            assert client.post("/login", data=body, content_type=kind).status_code == 401
    assert log_in(client, "mel").status_code == 303


def test_tries_are_limited_by_name_and_by_address(make, people, monkeypatch):
    app = make(auth=f"password:{people}")
    client = app.server.test_client()
    for _ in range(MOST_OF_NAME):
        assert client.post("/login", data={"name": "ann", "password": "no"}).status_code == 401
    answer = log_in(client, "ann")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= WITHIN_S
    assert log_in(client, "mel").status_code == 303
    away = client.post(
        "/login", data={"name": "ann", "password": "password of ann"}, environ_overrides={"REMOTE_ADDR": "10.0.0.9"}
    )
    assert away.status_code == 303


def test_a_try_is_heard_again_when_its_time_has_come():
    now = [0.0]
    limit = LoginLimit(lambda: now[0])
    for number in range(MOST_OF_ADDRESS):
        assert limit.wait_s("a", f"n{number}") == 0
        limit.count_failure("a", f"n{number}")
    assert limit.wait_s("a", "new") == WITHIN_S
    assert limit.wait_s("b", "new") == 0
    now[0] = WITHIN_S - 1
    assert limit.wait_s("a", "new") == 1
    now[0] = WITHIN_S
    assert limit.wait_s("a", "new") == 0


def test_behind_a_proxy_only_its_header_counts(make):
    client = make(auth="header:X-User@127.0.0.1", admins="ann").server.test_client()
    for name, role in (("ann", "admin"), ("bob", "member")):
        assert client.get("/api/v1/me", headers={"X-User": name}).json == {"name": name, "role": role}
    assert client.get("/api/v1/me").status_code == 401
    assert "Log out" not in client.get("/_dash-layout", headers={"X-User": "bob"}).text
    other = {"REMOTE_ADDR": "10.0.0.9"}
    assert client.get("/api/v1/me", headers={"X-User": "ann"}, environ_overrides=other).status_code == 401
    assert client.get("/login").status_code == 200
    assert client.post("/login", data={"name": "ann", "password": "x"}).status_code == 401


def test_a_header_way_in_has_no_password_or_token():
    way = HeaderAccess("key", "X-User", [], [])
    assert way.by_token("") is None
    assert way.by_password("", "") is None
    assert way.by_cookie("ann", "admin", "") is None
