"""A path prefix: the app answers with and without it, and no address that it sends lacks it."""

import json
import re

import pytest

from lurk.web.auth.access import TokenAccess
from lurk.web.ui.app import create_app
from lurk.web.ui.path_prefix import PathPrefix, inside, outside
from tests.web.ui.fake import FakeService

OURS = r"api|media|preview|assets|vendor|s|jobs|login|logout|_dash|_reload"
BARE = re.compile(rf"""["'(=]/(?:{OURS})(?:[/"'\-.]|$)""")
PLACE = {"study": "resnet18-birds", "layer": "conv1", "unit": 3}
STUDY = "/api/v1/studies/resnet18-birds"
PICTURE = {"kind": "picture", **PLACE, "method": "gradient_ascent", "options": {}}
MAP = {"kind": "map", **PLACE, "image": 3, "method": "deconvnet", "target": "maximum", "options": {}}


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("/lurk/s/birds", "/s/birds"),
        ("/s/birds", "/s/birds"),
        ("//s/birds", "/s/birds"),
        ("/lurk", "/"),
        ("/lurk/", "/"),
        ("/", "/"),
        ("", "/"),
        ("/lurker/s", "/lurker/s"),
        ("/lurk/lurk/x", "/lurk/x"),
    ],
)
def test_the_prefix_is_taken_off_wherever_a_proxy_has_left_it(given, seen):
    found = {}
    PathPrefix(lambda environ, _: found.update(environ) or [], "/lurk")({"PATH_INFO": given}, None)
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/lurk", seen)


def test_without_a_prefix_a_request_is_left_as_it_is():
    given, found = {"PATH_INFO": "//lurk/x"}, []
    PathPrefix(lambda environ, _: found.append(environ) or [], "")(given, None)
    assert found == [{"PATH_INFO": "//lurk/x"}]


def test_paths_go_out_with_the_prefix_and_come_in_without_it():
    server = create_app(FakeService(), prefix="/lurk").server
    with server.test_request_context("/", base_url="http://localhost/lurk/"):
        assert outside("/s/birds") == "/lurk/s/birds"
        assert [inside(path) for path in ("/lurk/s/birds", "/lurk", "/s/birds", "/lurker")] == [
            "/s/birds",
            "/",
            "/s/birds",
            "/lurker",
        ]
    assert (outside("/jobs"), inside("/jobs")) == ("/jobs", "/jobs")


def answers(client, app):
    """The text of all that the page and the API say."""
    yield client.get("/lurk/").text
    for path in ("/_dash-layout", "/_dash-dependencies", "/api/v1/studies", STUDY, f"{STUDY}/layers", "/api/v1/jobs"):
        yield client.get(f"/lurk{path}").text
    for path in (
        f"{STUDY}/layers/conv1/units",
        f"{STUDY}/layers/conv1/units/3",
        f"{STUDY}/layers/nope/units",
        "/api/v1/x",
    ):
        yield client.get(f"/lurk{path}").text
    for body in (PICTURE, MAP):
        yield client.post("/lurk/api/v1/jobs", json=body).text
    yield client.get(f"/lurk{STUDY}/layers/conv1/pictures?units=3").text
    values = {"layer": PLACE, "unit": PLACE, "study": "resnet18-birds", "url": "/lurk/s/nope", "grid-sort": "unit"}
    for output, known in app.callback_map.items():
        if "callback" not in known:
            continue
        for page in ("home", "jobs"):
            given = values | {"kind": "max", "page": page, "studies": ["resnet18-birds"], "ready": "resnet18-birds"}
            yield client.post("/lurk/_dash-update-component", json=callback(output, known, given)).text


def callback(output, known, given):
    one = known["output"]
    outputs = [
        {"id": o.component_id, "property": o.component_property} for o in (one if isinstance(one, list) else [one])
    ]
    return {
        "output": output,
        "outputs": outputs if isinstance(one, list) else outputs[0],
        "inputs": [{**wanted, "value": given.get(wanted["id"])} for wanted in known["inputs"]],
        "state": [{**wanted, "value": given.get(wanted["id"])} for wanted in known["state"]],
        "changedPropIds": [],
    }


def test_no_address_that_is_sent_lacks_the_prefix():
    app = create_app(FakeService(names=("resnet18-birds", "other")), prefix="/lurk")
    sent = [text.replace(r"\u002f", "/") for text in answers(app.server.test_client(), app)]
    for text in sent:
        assert not BARE.findall(text.replace('\\"', '"')), text[:300]
    together = "".join(sent)
    for path in ("/lurk/media/fake/view", "/lurk/media/fake/sprite", "/lurk/media/fake/drawn", "/lurk/media/fake/map"):
        assert path in together
    for path in ("/lurk/assets/", "/lurk/vendor/", "/lurk/_dash-component-suites/", '"/lurk/jobs"', '"/lurk/s/resnet'):
        assert path in together


def test_the_search_for_bare_addresses_finds_them():
    app = create_app(FakeService())
    assert all(BARE.search(app.server.test_client().get(path).text) for path in ("/", f"{STUDY}/layers/conv1/units"))


@pytest.mark.parametrize("path", ["", "/lurk"])
def test_every_kind_of_address_answers_with_the_prefix_and_without_it(path):
    client = create_app(FakeService(), prefix="/lurk").server.test_client()
    sprite = json.loads(client.get(f"{path}{STUDY}/layers/conv1/units").text)["sprites"][0]
    asset = re.search(r'"/lurk(/assets/lurk\.css[^"]*)"', client.get(f"{path}/").text)[1]
    for one in ("/healthz", "/readyz", "/metrics", "/jobs", "/vendor/bootstrap.min.css", asset):
        with client.get(path + one) as answer:
            assert answer.status_code == 200, one
    assert client.get(path + sprite.removeprefix("/lurk")).status_code == 200


def test_logging_in_leads_below_the_prefix_and_the_cookie_belongs_to_it():
    client = create_app(FakeService(), access=TokenAccess("key", "secret", "boss"), prefix="/lurk").server.test_client()
    led = client.get("/s/resnet18-birds")
    assert led.headers["Location"] == "/lurk/login?next=/s/resnet18-birds"
    form = client.get("/login?next=/s/resnet18-birds").text
    assert 'action="/lurk/login"' in form
    assert 'href="/lurk/login.css"' in form
    let_in = client.post("/lurk/login", data={"token": "secret", "next": "/s/resnet18-birds"})
    assert let_in.headers["Location"] == "/lurk/s/resnet18-birds"
    assert "Path=/lurk" in let_in.headers["Set-Cookie"].split("; ")
    assert client.get("/lurk/s/resnet18-birds").status_code == 200
    out = client.post("/lurk/logout")
    assert (out.headers["Location"], "Path=/lurk" in out.headers["Set-Cookie"]) == ("/lurk/login", True)
    assert client.get("/lurk/?token=secret").headers["Location"] == "/lurk/"


def test_with_a_prefix_no_log_in_leads_elsewhere():
    client = create_app(FakeService(), access=TokenAccess("key", "secret", "boss"), prefix="/lurk").server.test_client()
    for next_ in ("//evil.example", "https://evil.example", "/\\evil.example"):
        assert client.post("/login", data={"token": "secret", "next": next_}).headers["Location"] == "/lurk/"
