"""The tables of hostile requests once more, over real sockets: gunicorn and waitress, with a log-in and without."""

import copy
import json
import socket
import sys
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import BytesParser
from urllib.parse import parse_qs, urlsplit

import pytest

from lurk.config.options import Settings
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.index_writer import show_in_study, write_index
from lurk.web.auth.access import TokenAccess, open_access
from lurk.web.server.in_process import start
from lurk.web.server.web_process import Web
from lurk.web.ui.app import create_app
from tests.conftest import LAYERS, finish, make_manifest
from tests.web.ui.fake import FakeService
from tests.web.ui.test_app import GRID, JUNK, PLACES
from tests.web.ui.test_login_routes import OPEN, every_route
from tests.web.ui.test_refusals import (
    BODIES,
    CALLBACK,
    FOREIGN,
    HOSTS,
    KINDS,
    LEAKS,
    LENGTHS,
    QUERIES,
    STUDY,
    TRAVERSALS,
    WRITES,
)

NAME = "resnet18-birds"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gunicorn needs a POSIX system")


@dataclass
class Answer:
    """What came back; status 0 where the connection was closed without a word."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Client:
    """Sends requests byte by byte as they are given, each over a connection of its own."""

    def __init__(self, url: str, token: str = "") -> None:
        self.place, self.cookie = (urlsplit(url).hostname, urlsplit(url).port), ""
        if token:
            self.cookie = self.open("GET", f"/?token={token}").headers["Set-Cookie"].partition(";")[0]

    def open(self, method: str, path: str, body: bytes = b"", *, cookie: str | None = None, **headers: str) -> Answer:
        given = {"Host": "localhost", "Content-Length": str(len(body)), "Cookie": self.cookie, "Connection": "close"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if cookie is not None:
            given["Cookie"] = cookie
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        received = b""
        with socket.create_connection(self.place, timeout=30) as one:
            try:
                one.sendall("\r\n".join(lines).encode("latin-1") + body)
                while more := one.recv(65536):
                    received += more
            except (ConnectionResetError, BrokenPipeError):  # it was refused while it was still being sent
                pass
        line, _, rest = received.partition(b"\r\n")
        head, _, content = rest.partition(b"\r\n\r\n")
        return Answer(int(line.split()[1]) if line else 0, BytesParser().parsebytes(head), content)

    def send(self, method: str, path: str, value: object, **headers: str) -> Answer:
        return self.open(method, path, json.dumps(value).encode(), Content_Type="application/json", **headers)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache whose study is called, and whose layer is called, what the tables name."""
    made = prepare_cache(tmp_path_factory.mktemp("cache"))
    manifest = make_manifest(layers=(replace(LAYERS[0], name="conv1"), LAYERS[1]))
    with write_index(made, manifest, [(f"{number}.png", number % 2) for number in range(6)]) as writer:
        finish(writer)
        show_in_study(made, NAME, writer.folder)
    return made


@pytest.fixture(scope="module", params=["gunicorn open", "gunicorn token", "waitress open", "waitress token"])
def client(request, cache):
    server, auth = request.param.split()
    settings = Settings(port=0, cache=str(cache), name=NAME, auth=None if auth == "open" else "token")
    access = open_access(settings, cache)
    token = parse_qs(urlsplit(access.start_url("http://localhost").split()[0]).query)["token"][0] if access else ""
    if server == "gunicorn":
        with Web(settings) as web:
            web.wait(lambda: False)
            yield Client(web.url, token)
    else:
        with start(FakeService(), settings) as running:
            yield Client(running.url, token)


def fine(answer: Answer) -> int:
    assert 0 < answer.status < 500, answer.text
    assert not [leak for leak in LEAKS if leak in answer.text and answer.status != 200]
    assert "Content-Security-Policy" in answer.headers
    assert "Server" not in answer.headers
    return answer.status


@pytest.mark.parametrize("path", TRAVERSALS, ids=lambda path: path[:40])
def test_no_path_leads_out(client, path):
    assert fine(client.open("GET", path)) in (400, 404, 414)


def test_no_other_site_changes_anything(client):
    for headers in FOREIGN:
        for method, path in WRITES:
            assert fine(client.send(method, path, {}, **headers)) == 403, (headers, method, path)


def test_no_other_name_is_answered(client):
    for host in HOSTS:
        for path in ("/", "/api/v1/studies", "/login", "/media/fake/view/1", "/assets/lurk.css"):
            assert fine(client.open("GET", path, Host=host)) in (400, 403), (host, path)


def test_no_body_breaks_a_route(client):
    for body in BODIES:
        for method, path in WRITES[:6]:
            for kind in KINDS:
                assert client.open(method, path, body, Content_Type=kind).status < 500, (path, kind, body[:9])
        assert client.open("GET", "/api/v1/studies").status == 200


def test_no_length_breaks_a_route(client):
    for length in LENGTHS:
        for method, path in WRITES:
            answer = client.open(method, path, b"{}", Content_Length=length)
            assert fine(answer) in (400, 413), (length, path)


def test_junk_in_the_query_is_4xx_or_ignored(client):
    for query in QUERIES:
        for path in (f"{STUDY}/layers/conv1/units", f"{STUDY}/layers/conv1/pictures", "/", "/login", "/jobs"):
            fine(client.open("GET", f"{path}?{query}"))


def test_a_malformed_callback_is_4xx_and_the_next_one_works(client):
    for path in PLACES:
        for junk in JUNK:
            body = copy.deepcopy(GRID)
            place = body
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = junk
            fine(client.send("POST", CALLBACK, body))
    assert client.send("POST", CALLBACK, GRID).status == 200


@pytest.mark.parametrize("client", ["gunicorn token", "waitress token"], indirect=True)
def test_every_route_without_a_cookie_is_401_or_leads_to_the_login_page(client):
    app = create_app(FakeService(), access=TokenAccess("key", "secret", "boss"))
    for method, path in every_route(app):
        for cookie in ("", "lurk-00000000=nonsense", client.cookie[:-3] + "xxx"):
            answer = client.open(method, path, cookie=cookie)
            assert fine(answer)
            if path in OPEN:
                assert answer.status in ((200, 401, 429) if method == "POST" else (200,)), (method, path)
            else:
                is_page = answer.status == 302 and answer.headers["Location"].startswith("/login?next=")
                assert answer.status == 401 or is_page, (method, path, answer.status)


def test_the_study_behind_the_refusals_is_there(client):
    """What the tables name is there, so that it is the refusals that answer them."""
    assert client.open("GET", STUDY).status == 200
