"""The web servers over real sockets: gunicorn in its own process, waitress and Werkzeug in this one."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lurk.config.options import Settings
from lurk.errors import LurkError
from lurk.web.auth.request_guard import LARGEST_BODY, security_headers
from lurk.web.server.in_process import start
from lurk.web.server.web_process import Web, is_serving
from tests.acceptance.server import command_line, descendants, is_alive
from tests.waiting import wait_for
from tests.web.ui.fake import FakeService

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

PARENT = """
import sys, time
from lurk.config.options import Settings
from lurk.web.server.web_process import Web
with Web(Settings(port=0, cache=sys.argv[1])) as web:
    web.wait(lambda: False)
    print(web.url, flush=True)
    time.sleep(600)
"""


def arbiters(pid=None):
    return [
        one
        for one in descendants(pid or os.getpid())
        if "lurk.web.server.gunicorn_app" in command_line(one) and is_alive(one)
    ]


def place(url):
    host, _, port = url.removeprefix("http://").rstrip("/").rpartition(":")
    return host, int(port)


def ask(url, path="/", method="GET", body=None, **headers):
    connection = http.client.HTTPConnection(*place(url), timeout=20)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def raw(url, data, timeout_s=20):
    with socket.create_connection(place(url), timeout=timeout_s) as one:
        one.sendall(data)
        received = b""
        while more := one.recv(65536):
            received += more
            if b"\r\n\r\n" in received and b"HTTP/1.1 4" in received[:12]:
                break
        return received


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory):
    with Web(Settings(port=0, cache=str(tmp_path_factory.mktemp("cache")))) as web:
        web.wait(lambda: False)
        yield web


@pytest.fixture(scope="module", params=["gunicorn", "waitress", "werkzeug"])
def url(request):
    if request.param == "gunicorn":
        yield request.getfixturevalue("gunicorn").url
    else:
        with start(FakeService(), Settings(port=0, debug=request.param == "werkzeug")) as server:
            yield server.url


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/healthz", 200), ("/api/v1/studies/nope", 404), ("/media/../app.py", 404)]
)
def test_every_answer_has_the_headers_and_names_no_server(url, path, status):
    found, headers, _ = ask(url, path)
    assert found == status
    assert "Server" not in headers
    assert headers["X-Request-ID"]
    for name, value in security_headers(()):
        assert headers.get_all(name) == [value] or name == "Content-Security-Policy"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_other_names_and_other_sites_are_refused(url):
    assert ask(url, Host="evil.example")[0] == 403
    assert ask(url, "/healthz", Host="evil.example")[0] == 200
    assert ask(url, "/api/v1/jobs", "POST", b"{}", Sec_Fetch_Site="cross-site")[0] == 403


def test_a_body_that_is_too_large_is_refused_by_its_length(url):
    with socket.create_connection(place(url), timeout=20) as one:
        head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LARGEST_BODY + 1}\r\n\r\n"
        one.sendall(head.encode())
        assert b" 413 " in one.recv(65536).partition(b"\r\n")[0]


def test_a_body_without_a_length_is_refused_while_it_is_read(url):
    piece = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(place(url), timeout=20) as one:
        sent = 0
        try:
            one.sendall(head)
            while sent < 4 * LARGEST_BODY:
                one.sendall(piece)
                sent += len(piece)
                one.setblocking(False)
                try:
                    if one.recv(1, socket.MSG_PEEK):
                        break
                except BlockingIOError:
                    pass
                finally:
                    one.settimeout(20)
            answer = one.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            answer = b"HTTP/1.1 413 "
    assert answer[9:12] in (b"413", b"400")  # the second from Werkzeug
    assert sent <= 3 * LARGEST_BODY
    assert ask(url, "/healthz")[0] == 200


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"B@D / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 300_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=["no request", "version", "method", "header", "address", "chunk", "length"],
)
def test_what_is_no_request_gets_4xx_or_nothing_and_no_traceback(gunicorn, data):
    try:
        answer = raw(gunicorn.url, data)
    except ConnectionResetError:
        answer = b""
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert b"Traceback" not in answer
    assert b"unicorn" not in answer
    if answer:
        assert b"Content-Security-Policy" in answer
    assert ask(gunicorn.url, "/healthz")[0] == 200


def test_stalled_clients_do_not_keep_others_waiting(url):
    head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
    clients = []
    try:
        for number in range(20):
            one = socket.create_connection(place(url), timeout=5)
            one.sendall(head[: 30 + number] if number % 2 else head + b"\r\n{")
            clients.append(one)
        assert [ask(url, "/healthz")[0] for _ in range(10)] == [200] * 10
    finally:
        for one in clients:
            one.close()


def test_clients_that_connect_and_say_nothing_do_not_keep_others_waiting(url):
    clients = [socket.create_connection(place(url), timeout=5) for _ in range(200)]
    try:
        began = time.monotonic()
        assert [ask(url, "/healthz")[0] for _ in range(40)] == [200] * 40
        assert time.monotonic() - began < 5
        clients[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert clients[0].recv(12) == b"HTTP/1.1 200"
    finally:
        for one in clients:
            one.close()


def test_clients_that_stay_when_they_were_answered_do_not_keep_others_waiting(url):
    """Each could hold up everybody for 2 s, where the server waits for it to go."""
    clients = []
    try:
        for number in range(20):
            one = socket.create_connection(place(url), timeout=20)
            ending = b"Connection: close\r\n" if number % 2 else b"Content-Length: x\r\n"
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + ending + b"\r\n")
            clients.append(one)
        began = time.monotonic()
        assert all(one.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 400") for one in clients)
        assert [ask(url, "/healthz")[0] for _ in range(40)] == [200] * 40
        assert time.monotonic() - began < 8  # of 20 s, were they waited for in turn by two processes
    finally:
        for one in clients:
            one.close()


def test_the_processes_that_fork_have_no_second_thread_and_none_has_torch(gunicorn):
    ask(gunicorn.url)
    first, *workers = arbiters()
    assert len(workers) == 2
    assert len(list(Path(f"/proc/{first}/task").iterdir())) == 1
    assert not [one for one in Path(f"/proc/{first}/fd").iterdir() if ".db" in str(one.readlink())]
    for pid in (first, *workers):
        assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()


def test_a_killed_worker_and_a_killed_web_process_are_replaced_on_the_same_port(gunicorn):
    for victim in (-1, 0):
        before = wait_for(lambda: len(arbiters()) == 3 and arbiters())
        os.kill(before[victim], signal.SIGKILL)
        wait_for(lambda before=before: len(arbiters()) == 3 and set(arbiters()) != set(before))
        wait_for(lambda: is_serving(gunicorn.url))
        assert ask(gunicorn.url)[0] == 200


def test_all_web_workers_count_together(gunicorn):
    for _ in range(20):
        ask(gunicorn.url, "/api/v1/studies")

    def counted():
        lines = ask(gunicorn.url, "/metrics")[2].decode().splitlines()
        found = [line for line in lines if line.startswith('lurk_requests_total{kind="api",status="2xx"}')]
        return found and float(found[0].split()[-1]) >= 20

    wait_for(counted)


def test_the_web_process_ends_with_its_parent_however_that_ends(tmp_path):
    for number in (signal.SIGTERM, signal.SIGKILL):
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        url = parent.stdout.readline().strip()
        try:
            family = wait_for(lambda parent=parent: len(arbiters(parent.pid)) == 3 and arbiters(parent.pid))
            parent.send_signal(number)
            parent.wait(20)
        finally:
            parent.kill()
            parent.wait()
            parent.stdout.close()
        wait_for(lambda family=family: not [pid for pid in family if is_alive(pid)])
        assert not is_serving(url)


def test_a_web_process_that_cannot_start_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("lurk.web.server.web_process.MODULE", "lurk.nothing")
    with Web(Settings(port=0, cache=str(tmp_path))) as web, pytest.raises(LurkError, match="does not start"):
        web.wait(lambda: False)


def test_the_log_has_a_request_with_the_id_that_its_answer_carries(tmp_path):
    log = (tmp_path / "log").open("w+")
    environment = {**os.environ, "LURK_LOG": "json"}
    with (
        log,
        subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path / "cache")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        ) as parent,
    ):
        url = parent.stdout.readline().strip()
        _, headers, _ = ask(url, "/api/v1/studies")
        parent.terminate()
        parent.wait(20)
        log.seek(0)
        lines = [json.loads(line) for line in log]
    found = [line for line in lines if line.get("request") == headers["X-Request-ID"]]
    assert [(line["event"], line["path"], line["status"]) for line in found] == [("request", "/api/v1/studies", 200)]
