import copy
import subprocess
import sys

import pytest

from lurk.web.ui.app import create_app
from lurk.web.ui.request_body import problem
from tests.web.ui.fake import FakeService

GRID = {
    "output": "grid-data.data",
    "outputs": {"id": "grid-data", "property": "data"},
    "inputs": [
        {"id": "layer", "property": "data", "value": {"study": "resnet18-birds", "layer": "conv1"}},
        {"id": "grid-sort", "property": "value", "value": "unit"},
        {"id": "serial", "property": "data", "value": 1},
    ],
    "changedPropIds": ["layer.data"],
}
PLACES = [
    ("output",),
    ("outputs",),
    ("outputs", "id"),
    ("inputs",),
    ("inputs", 0),
    ("inputs", 0, "id"),
    ("inputs", 0, "value"),
    ("inputs", 1, "value"),
    ("inputs", 2, "value"),
    ("changedPropIds",),
    ("state",),
]
ROUTE = "/_dash-update-component"
JUNK = [
    None,
    True,
    -1,
    1.5,
    10**30,
    "x",
    "x" * 5000,
    [],
    ["x"],
    {},
    {"study": 1},
    {"study": "resnet18-birds", "layer": {}},
]


@pytest.fixture
def app():
    return create_app(FakeService())


@pytest.fixture
def client(app):
    return app.server.test_client()


def test_scripts_are_known_before_the_first_page_is_asked_for(app):
    """Another process may have answered the page, or the first request may not be over when the second one comes."""
    path = next(path for path in app.registered_paths["dash"] if "react-dom" in path)
    page = create_app(FakeService()).server.test_client().get("/").text
    assert f"/_dash-component-suites/dash/{path.split('.')[0]}" in page
    assert app.server.test_client().get(f"/_dash-component-suites/dash/{path}").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/jobs", 200),
        ("/s/resnet18-birds", 200),
        ("/s/resnet18-birds/conv1/63", 200),
        ("/s/resnet18-birds/conv1/64", 404),
        ("/s/resnet18-birds/nope", 404),
        ("/s/nope", 404),
        ("/nope", 404),
        ("/s/resnet18-birds/conv1/x", 404),
    ],
)
def test_every_address_is_a_page_and_an_unknown_one_is_404(client, path, status):
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert "Traceback" not in answer.text


def test_a_link_into_a_study_that_is_not_ready_waits():
    client = create_app(FakeService(is_ready=False, state="starting")).server.test_client()
    assert client.get("/s/resnet18-birds/conv1/3").status_code == 200


def test_the_title_is_escaped(client):
    text = client.get("/").text
    assert "resnet18 on &lt;i&gt;birds&lt;/i&gt;" in text
    assert "<i>birds" not in text


def test_the_page_names_no_other_host(client):
    text = client.get("/").text
    assert "http://" not in text
    assert "https://" not in text


def test_a_good_callback_is_answered(client):
    answer = client.post(ROUTE, json=GRID)
    assert answer.json["response"]["grid-data"]["data"]["units"] == 64


@pytest.mark.parametrize("path", PLACES, ids=str)
@pytest.mark.parametrize("junk", JUNK)
def test_a_malformed_callback_is_4xx_and_the_next_one_works(client, path, junk):
    body = copy.deepcopy(GRID)
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = junk
    answer = client.post(ROUTE, json=body)
    assert answer.status_code < 500
    assert "Traceback" not in answer.text
    assert client.post(ROUTE, json=GRID).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"output": null}'])
def test_a_body_that_is_no_callback_is_400_in_json(client, body):
    answer = client.post(ROUTE, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert set(answer.json) == {"error"}
    assert client.post(ROUTE, data=body, content_type="text/plain").status_code == 400


def test_every_callback_survives_junk_in_every_value(app, client):
    for output, known in app.callback_map.items():
        if "callback" not in known:
            continue
        one = known["output"]
        outputs = [
            {"id": o.component_id, "property": o.component_property} for o in (one if isinstance(one, list) else [one])
        ]
        for junk in JUNK:
            body = {
                "output": output,
                "outputs": outputs if isinstance(one, list) else outputs[0],
                "inputs": [{**given, "value": junk} for given in known["inputs"]],
                "state": [{**given, "value": junk} for given in known["state"]],
                "changedPropIds": [],
            }
            assert problem(body, app.callback_map) == ""
            answer = client.post(ROUTE, json=body)
            assert answer.status_code < 500, (output, junk, answer.text)


def test_our_own_mistake_is_500_without_a_traceback(monkeypatch, caplog):
    service = FakeService()
    client = create_app(service).server.test_client()
    monkeypatch.setattr(service, "jobs", lambda *_: 1 / 0)
    answer = client.get("/api/v1/jobs")
    assert answer.status_code == 500
    assert answer.json == {"error": "something went wrong in the server; its log says what"}
    assert "ZeroDivisionError" in caplog.text


def test_two_apps_in_one_process_both_work():
    one, other = FakeService(names=("one",)), FakeService(names=("other",))
    apps = [create_app(service) for service in (one, other)]
    for app, name in zip(apps, ("one", "other"), strict=True):
        client = app.server.test_client()
        assert [study["name"] for study in client.get("/api/v1/studies").json] == [name]
        body = copy.deepcopy(GRID)
        body["inputs"][0]["value"]["study"] = name
        assert client.post(ROUTE, json=body).json["response"]["grid-data"]["data"]["study"] == name
        assert len(client.get("/_dash-dependencies").json) == len(app._callback_list) > 10
        assert client.get("/_dash-layout").status_code == 200


def test_no_script_of_the_page_is_inline_but_those_that_are_hashed(app, client):
    answer = client.get("/")
    assert app._inline_scripts == []
    assert answer.headers["Content-Security-Policy"].count("sha256-") == 1


def test_the_page_never_loads_torch():
    code = "import sys, lurk.web.ui.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
