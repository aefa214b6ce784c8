import re

import pytest

from lurk.web.ui.app import create_app
from lurk.web.ui.caching import FOR_GOOD
from tests.web.ui.fake import FakeService

STUDY = "/api/v1/studies/resnet18-birds"
UNIT = STUDY + "/layers/conv1/units/3"


@pytest.fixture(scope="module")
def client():
    return create_app(FakeService()).server.test_client()


def test_what_an_address_names_for_good_is_kept(client):
    page = client.get("/").text
    named = re.findall(r'(?:src|href)="([^"]+(?:\?m=|\.v\d)[^"]*)"', page)
    assert {"/assets/", "/vendor/", "/_dash-component-suites/"} <= {path[: path.index("/", 1) + 1] for path in named}
    for path in ("/media/fake/view/1", *named):
        assert client.get(path, buffered=True).headers["Cache-Control"] == FOR_GOOD


@pytest.mark.parametrize("accepted", ["", "gzip", "br"])
@pytest.mark.parametrize(
    "path", [STUDY, UNIT, "/_dash-layout", "/_dash-dependencies", "/assets/icon.svg", "/assets/lurk.css"]
)
def test_all_else_is_asked_for_again_and_sent_only_if_it_has_changed(client, path, accepted):
    asked = {"Accept-Encoding": accepted}
    first = client.get(path, headers=asked, buffered=True)
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(path, headers=asked | {"If-None-Match": first.headers["ETag"]}, buffered=True)
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(path, headers=asked | {"If-None-Match": '"other"'}, buffered=True)
    assert (other.status_code, other.headers["ETag"], len(other.data)) == (200, first.headers["ETag"], len(first.data))


def test_a_changed_study_is_sent():
    service = FakeService()
    client = create_app(service).server.test_client()
    first = client.get(STUDY)
    service.serial += 1
    again = client.get(STUDY, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200
    assert again.json != first.json


def test_errors_previews_and_answers_to_requests_are_not_kept(client):
    for path in ("/api/v1/studies/none", "/media/fake/view/x", "/healthz", "/metrics", "/assets/none.js?m=1"):
        assert client.get(path).headers["Cache-Control"] == "no-store"
    assert client.post(STUDY + "/cancel").headers["Cache-Control"] == "no-store"
