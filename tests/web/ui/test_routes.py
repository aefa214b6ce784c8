import io
import json

import pytest

from lurk.web.ui.app import create_app
from tests.web.ui.fake import FakeService

STUDY = "/api/v1/studies/resnet18-birds"


@pytest.fixture
def service():
    return FakeService()


@pytest.fixture
def client(service):
    return create_app(service).server.test_client()


def test_studies_tell_the_state_of_their_sweep(client):
    (study,) = client.get("/api/v1/studies").json
    assert study["name"] == "resnet18-birds"
    assert study["state"] == "done"
    assert study["weights"] == "pretrained"
    assert client.get(STUDY).json == study


def test_untrained_weights_are_in_the_json():
    client = create_app(FakeService(notice="untrained!")).server.test_client()
    assert client.get(STUDY).json["notice"] == "untrained!"


def test_layers_carry_the_names_of_layer_info(client):
    first = client.get(f"{STUDY}/layers").json[0]
    assert first["name"] == "conv1"
    assert first["shape"] == [64, 112, 112]
    assert first["receptive_field"] == [7, 7]


def test_units_are_cut_and_put_in_order(client):
    found = client.get(f"{STUDY}/layers/layer1.0/units?sort=max&limit=5&offset=2").json
    everything = client.get(f"{STUDY}/layers/layer1.0/units?sort=max").json
    assert found["order"] == everything["order"][2:7]


@pytest.mark.parametrize("query", ["sort=nothing", "limit=-1", "limit=x", "offset=1e3", "limit=" + "9" * 40])
def test_a_query_that_makes_no_sense_is_refused_in_a_line(client, query):
    answer = client.get(f"{STUDY}/layers/layer1.0/units?{query}")
    assert answer.status_code == 400
    assert set(answer.json) == {"error"}


def test_json_has_null_where_a_number_is_not_known(client):
    answer = client.get(f"{STUDY}/layers/layer1.0/units/3")
    json.loads(answer.text, parse_constant=pytest.fail)
    assert answer.json["mean"] is None
    assert answer.json["study"] == "resnet18-birds"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/studies/nope",
        "/api/v1/studies/nope/layers",
        f"{STUDY}/layers/nope/units",
        f"{STUDY}/layers/layer1.0/units/128",
        f"{STUDY}/layers/layer1.0/units/-1",
        f"{STUDY}/layers/layer1.0/units/x",
        "/api/v1/jobs/nope",
        "/api/v1/nope",
        "/api/v1/",
        "/media/nope",
        "/media/../../etc/passwd",
    ],
)
def test_what_is_not_there_is_404_in_json(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert set(answer.json) == {"error"}
    assert "Traceback" not in answer.text


def test_a_check_is_asked_for_and_followed(client, service):
    answer = client.post(
        "/api/v1/jobs", json={"kind": "verify", "study": "resnet18-birds", "layer": "conv1", "unit": 3}
    )
    assert answer.status_code == 202
    assert service.asked == ["verify conv1 3"]
    assert client.get(f"/api/v1/jobs/{answer.json['key']}").json["state"] == "done"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"kind": "sweep"}', 400),
        (b'{"kind": "verify", "study": 1, "layer": "conv1", "unit": 3}', 400),
        (b'{"kind": "verify", "study": "resnet18-birds", "layer": "conv1", "unit": true}', 400),
        (b'{"kind": "verify", "study": "resnet18-birds", "layer": "conv1", "unit": 64}', 404),
        (b'{"kind": "verify", "study": "nope", "layer": "conv1", "unit": 3}', 404),
    ],
)
def test_a_job_that_cannot_be_is_refused(client, service, body, status):
    answer = client.post("/api/v1/jobs", data=body, content_type="application/json")
    assert (answer.status_code, set(answer.json)) == (status, {"error"})
    assert service.asked == []


def test_a_sweep_is_stopped_and_goes_on(client, service):
    assert client.post(f"{STUDY}/cancel").json["state"] == "cancelled"
    assert client.post(f"{STUDY}/resume").json["state"] == "running"
    assert client.get(f"{STUDY}/cancel").status_code in (404, 405)
    assert service.asked == ["cancel", "resume"]


def test_health_says_nothing_and_ready_says_why(client):
    assert (client.get("/healthz").status_code, client.get("/healthz").data) == (200, b"")
    assert client.get("/readyz").json == {"ready": True, "workers": 1}
    waiting = create_app(FakeService(is_ready=False)).server.test_client()
    assert waiting.get("/readyz").status_code == 503
    assert client.get("/metrics").text == "lurk_workers 1\n"


def test_bootstrap_is_served_by_us(client):
    with client.get("/vendor/bootstrap.min.css") as answer:
        assert answer.mimetype == "text/css"
        assert b"Bootstrap  v5" in answer.data[:100]
    assert "/vendor/bootstrap.min.css" in client.get("/").text


def test_a_body_is_cut_off_while_it_is_read(client):
    answer = client.post(
        "/api/v1/jobs",
        input_stream=iter_stream(13),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413


def iter_stream(megabytes: int) -> io.BytesIO:
    return io.BytesIO(b"1" * megabytes * 1024**2)
