"""The load benchmark in short: it walks the pages of a server without an error, and asks nobody but this machine."""

import pytest

import lurk
from benchmarks.load import Person, Seen, Walk, stalled, study_of, walk


@pytest.fixture
def url(toy_index):
    with lurk.serve(toy_index, port=0, block=False) as page:
        yield page.url.rstrip("/")


def test_people_walk_over_every_kind_of_address_without_an_error_beside_stalled_clients(url):
    study = study_of(url)
    with stalled(url, 20):
        seen = walk(url, study, people=8, seconds=3, think_s=(0.02, 0.1))
    assert seen.errors == []
    assert {row[0] for row in seen.rows()} == {"page", "callback", "api", "media", "all"}
    assert seen.p95_ms() > 0


def test_a_walk_asks_what_the_page_asks(url):
    seen = Seen()
    person = Person(url, seen, 0)
    walking = Walk(person, study_of(url))
    walking.begin()
    assert "grid-data.data" in person.outputs
    assert "unit-body.children" in person.outputs
    body = person.call("unit-body.children", {"study": walking.study, "layer": "conv", "unit": 0}, "max", None, 1)
    assert "/media/" in body
    person.images(body, 20)
    assert seen.seconds["media"]
    assert seen.errors == []
    person.leave()


def test_an_error_is_counted(url):
    seen = Seen()
    person = Person(url, seen, 0)
    person.ask("api", "/api/v1/studies/nope")
    person.leave()
    assert seen.errors == ["api /api/v1/studies/nope: status 404"]


@pytest.mark.parametrize("far", ["http://example.org", "http://10.0.0.1:8050"])
def test_only_this_machine_is_asked(far):
    with pytest.raises(ValueError, match="only this machine"):
        walk(far, "study", people=1, seconds=1)


@pytest.mark.parametrize(("people", "seconds"), [(0, 1), (501, 1), (1, 0), (1, 7201)])
def test_it_is_bounded(people, seconds):
    with pytest.raises(ValueError, match="people for at most"):
        walk("http://127.0.0.1:9", "study", people=people, seconds=seconds)
