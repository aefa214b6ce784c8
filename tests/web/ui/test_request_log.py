import pytest

from lurk.storage.metric_counts import COUNTS
from lurk.web.ui.app import create_app
from lurk.web.ui.request_log import HEADER, kind_of
from tests.web.ui.fake import FakeService


@pytest.fixture(scope="module")
def client():
    return create_app(FakeService()).server.test_client()


def test_every_answer_carries_an_id_and_no_two_the_same(client):
    answers = [client.get(path) for path in ("/", "/healthz", "/nope", "/api/v1/studies")]
    answers.append(client.get("/", headers={"Host": "evil.example"}))
    assert answers[-1].status_code == 403
    ids = [answer.headers[HEADER] for answer in answers]
    assert len(set(ids)) == len(ids)
    assert all(len(one) == 16 for one in ids)


@pytest.mark.parametrize(
    ("given", "is_kept"), [("proxy-7.a_B", True), ("a b", False), ("x" * 65, False), ("a\tb", False)]
)
def test_the_id_of_a_proxy_is_kept_where_it_is_harmless(client, given, is_kept):
    assert (client.get("/healthz", headers={HEADER: given}).headers[HEADER] == given) is is_kept


def test_requests_are_counted_by_kind_and_status(client):
    key = ("lurk_requests", (("kind", "api"), ("status", "4xx")))
    before = COUNTS.read().get(key, 0)
    client.get("/api/v1/studies/nope")
    assert COUNTS.read()[key] == before + 1


def test_kinds_are_few_whatever_is_asked_for():
    assert kind_of("/api/v1/studies") == "api"
    assert kind_of("/media/x/view/1") == "media"
    assert kind_of("/_dash-update-component") == "callback"
    assert kind_of("/_dash-component-suites/dash/x.js") == "file"
    assert kind_of("/s/a/b/c") == kind_of("/") == kind_of("//..") == "page"
