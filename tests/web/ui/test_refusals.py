"""Tables of hostile requests on the whole app, with a log-in and without: never a 5xx, never a leak."""

import pytest

from lurk.errors import BusyError, CacheError, DiskFullError, NotAllowedError, QueueError, QueueFullError
from lurk.web.auth.access import TokenAccess
from lurk.web.ui.app import create_app
from tests.web.ui.fake import FakeService

STUDY = "/api/v1/studies/resnet18-birds"
CALLBACK = "/_dash-update-component"
LEAKS = ("Traceback", "root:", "werkzeug", "/work", "site-packages", 'File "', "create_app")
TRAVERSALS = [
    "/../app.py",
    "/assets/../app.py",
    "/assets/..%2f..%2fetc/passwd",
    "/assets/%2e%2e/%2e%2e/etc/passwd",
    "/assets//etc/passwd",
    "/assets/..\\..\\app.py",
    "/assets/%00",
    "/media/../../etc/passwd",
    "/media/..%2f..%2fkeys.json",
    "/media/%00/view/1",
    "/preview/..%2fkeys.json",
    "/vendor/../keys.json",
    "/login.css/../keys.json",
    "/keys.json",
    "/cache/keys.json",
    "/_dash-component-suites/../../etc/passwd",
    "/_dash-component-suites/dash/../../../etc/passwd",
    "/_dash-component-suites/os/path.py",
    "/.git/config",
    "/s/..%2f..",
    "/%ff%fe",
    "/" + "a" * 6000,
]
WRITES = [
    ("POST", f"{STUDY}/cancel"),
    ("POST", f"{STUDY}/resume"),
    ("POST", "/api/v1/jobs"),
    ("POST", "/api/v1/jobs/" + "0" * 32 + "/cancel"),
    ("POST", CALLBACK),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("PUT", STUDY),
    ("DELETE", STUDY),
    ("PATCH", "/"),
]
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "same-origin, cross-site"},
    {"Origin": "http://evil.example"},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost:1"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
]
HOSTS = ["evil.example", "localhost.evil.example", "10.0.0.1", "", "a" * 3000, "[::1", "localhost:x@evil", "évil"]
BODIES = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"' * 5000, b"[" * 5000, b"[" * 100_000, b'{"a":' * 50_000, b"NaN"]
KINDS = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a/b", ""]
LENGTHS = ["-1", "x", "1e3", "99999999999999999999999", str(13 * 1024**2), "\xb2", "+5", "0x10"]
QUERIES = ["limit=%00", "sort=<script>", "units=" + "1," * 9000, "a" * 9000, "%ff=%fe", "token=%00", "next=//x"]


@pytest.fixture(scope="module", params=["open", "token"])
def client(request):
    access = TokenAccess("key", "secret", "boss") if request.param == "token" else None
    made = create_app(FakeService(), access=access).server.test_client()
    if access:
        assert made.get("/?token=boss").status_code == 303
    return made


def fine(answer) -> int:
    assert answer.status_code < 500, answer.text
    assert not [leak for leak in LEAKS if leak in answer.text and answer.status_code != 200]
    assert "Content-Security-Policy" in answer.headers
    return answer.status_code


@pytest.mark.parametrize("path", TRAVERSALS, ids=lambda path: path[:40])
def test_no_path_leads_out(client, path):
    answer = client.get(path)
    assert fine(answer) in (400, 404)
    assert "torchlurk" not in answer.text or answer.mimetype == "text/html"


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_no_other_site_changes_anything(client, headers):
    for method, path in WRITES:
        assert fine(client.open(path, method=method, json={}, headers=headers)) == 403, (method, path)


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host[:20])
def test_no_other_name_is_answered(client, host):
    for path in ("/", "/api/v1/studies", "/login", "/media/fake/view/1", "/assets/lurk.css"):
        answer = client.get(path, environ_overrides={"HTTP_HOST": host})
        assert fine(answer) == 403
    with client.get("/healthz", environ_overrides={"HTTP_HOST": host}) as answer:
        assert (fine(answer), answer.data) == (200, b"") or len(host) > 1000


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body[:6]!r} {len(body)}")
def test_no_body_breaks_a_route(client, body):
    for method, path in WRITES[:6]:
        for kind in KINDS:
            fine(client.open(path, method=method, data=body, content_type=kind))
    assert client.get(STUDY).status_code == 200


@pytest.mark.parametrize("length", LENGTHS)
def test_no_length_breaks_a_route(client, length):
    for method, path in WRITES:
        answer = client.open(path, method=method, data=b"{}", environ_overrides={"CONTENT_LENGTH": length})
        assert fine(answer) in (400, 413), (length, path)


def test_junk_in_the_query_is_4xx_or_ignored(client):
    units = f"{STUDY}/layers/conv1/units"
    for query in QUERIES:
        for path in (units, f"{STUDY}/layers/conv1/pictures", "/", "/login", "/jobs", "/healthz"):
            with client.get(f"{path}?{query}") as answer:
                fine(answer)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (QueueFullError("queue full, 3 ahead"), 429),
        (DiskFullError("make 3 MB of room"), 507),
        (NotAllowedError("not yours"), 403),
        (QueueError("damaged"), 503),
        (CacheError("gone"), 503),
        (BusyError("busy"), 503),
    ],
)
def test_each_refusal_has_its_status_and_its_words(monkeypatch, error, status):
    service = FakeService()

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(service, "verify", refuse)
    client = create_app(service).server.test_client()
    body = {"kind": "verify", "study": "resnet18-birds", "layer": "conv1", "unit": 3}
    answer = client.post("/api/v1/jobs", json=body)
    assert (answer.status_code, answer.json) == (status, {"error": str(error)})
