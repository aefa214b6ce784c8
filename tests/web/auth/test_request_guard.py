import io

import pytest

from lurk.web.auth.request_guard import LARGEST_BODY, Guard


def ask(method="GET", path="/", host="localhost:8050", allowed=(), body=b"", **headers):
    """Status, headers and body that a guard around a plain app gives."""
    seen = {}

    def app(environ, start_response):
        start_response("200 OK", [("Server", "Werkzeug/3"), ("Content-Type", "text/plain"), ("Referrer-Policy", "x")])
        return [b"inside"]

    def start_response(status, headers, *_):
        seen.update(status=int(status[:3]), headers=dict(headers), pairs=headers)

    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        **headers,
    }
    if host is not None:
        environ["HTTP_HOST"] = host
    seen["body"] = b"".join(Guard(app, ["'sha256-x'"], allowed)(environ, start_response))
    return seen


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:8050", "127.9.9.9", "[::1]:8050", "localhost."]
)
def test_loopback_names_are_let_in(host):
    assert ask(host=host)["status"] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8050", "10.0.0.1", "", None, "localhost@evil"],
)
def test_other_names_are_refused(host):
    assert ask(host=host)["status"] == 403
    assert ask(host=host, path="/healthz")["status"] == 200


def test_a_name_that_was_allowed_is_let_in_on_any_port():
    assert ask(host="lab.example:80", allowed=["Lab.Example"])["status"] == 200
    assert ask(host="other.example", allowed=["lab.example"])["status"] == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, 200),
        ({"HTTP_SEC_FETCH_SITE": "none"}, 200),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, 403),
        ({"HTTP_SEC_FETCH_SITE": "same-site"}, 403),
        ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_ORIGIN": "http://localhost:8050"}, 403),
        ({"HTTP_ORIGIN": "http://localhost:8050"}, 200),
        ({"HTTP_ORIGIN": "https://localhost:8050"}, 403),
        ({"HTTP_ORIGIN": "http://localhost:8051"}, 403),
        ({"HTTP_ORIGIN": "null"}, 403),
        ({}, 200),
    ],
)
def test_only_our_own_page_and_scripts_change_something(headers, status):
    assert ask("POST", **headers)["status"] == status
    assert ask("DELETE", **headers)["status"] == status
    assert ask("GET", **headers)["status"] == 200


def test_a_large_body_is_refused_before_it_is_read():
    assert ask("POST", CONTENT_LENGTH=str(LARGEST_BODY))["status"] == 200
    assert ask("POST", CONTENT_LENGTH=str(LARGEST_BODY + 1))["status"] == 413
    assert ask("POST", CONTENT_LENGTH="9" * 50)["status"] == 413
    assert ask("POST", CONTENT_LENGTH="-1")["status"] == 400


@pytest.mark.parametrize("answer", [{"host": "localhost"}, {"host": "evil.example"}])
def test_every_answer_carries_the_headers_once(answer):
    seen = ask(**answer)
    names = [name.lower() for name, _ in seen["pairs"]]
    assert len(names) == len(set(names))
    assert seen["headers"]["X-Content-Type-Options"] == "nosniff"
    assert seen["headers"]["Referrer-Policy"] == "same-origin"
    assert seen["headers"]["Cross-Origin-Opener-Policy"] == "same-origin"
    assert seen["headers"]["Cross-Origin-Resource-Policy"] == "same-origin"
    policy = seen["headers"]["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self' 'sha256-x';" in policy
    assert "unsafe-eval" not in policy
    assert "server" not in names
