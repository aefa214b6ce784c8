"""The grid with pictures in place of patches: those in view first, filled in as they come."""

import pytest

from tests.browser.steps import path_is, until, words_are
from tests.web.ui.fake import FakeService

pytestmark = pytest.mark.browser

LAYER = "/s/resnet18-birds/layer2.0.conv1"
THERE = "document.querySelectorAll('#grid .cover.there').length"


def opened(serve, open_page, play="run", step=128, path=LAYER, **options):
    service = FakeService()
    service.asks.play, service.asks.step = {"pictures": play}, step
    watched = open_page(**options)
    watched.page.goto(serve(service).url + path)
    watched.page.wait_for_selector("#grid button.tile >> nth=60")
    return service, watched


def asked(service):
    return [unit for body in service.asks.posted if body["kind"] == "pictures" for unit in body["units"]]


def test_pictures_are_asked_for_in_groups_of_what_is_in_view_and_fill_in(serve, open_page):
    service, watched = opened(serve, open_page, step=128)
    page = watched.page
    page.wait_for_timeout(300)
    assert service.asks.posted == []
    page.get_by_role("button", name="pictures").click()
    until(page, f"{THERE} >= 20")
    assert {*range(11), *range(12, 21)} <= set(asked(service))
    assert 11 not in asked(service)  # it is never active
    assert all(len({unit // 8 for unit in body["units"]}) == 1 for body in service.asks.posted)
    until(page, "/^\\d+ of 491 drawn$/.test(document.querySelector('.grid-shows .note').textContent)")
    before = len(asked(service))
    service.asks.play["pictures"] = "done"
    page.evaluate("document.querySelector('#grid button[data-unit=\"500\"]').scrollIntoView()")
    until(page, "document.querySelector('#grid button[data-unit=\"500\"] .cover.there') !== null", timeout_s=60)
    assert len(asked(service)) < 491
    assert len(asked(service)) > before
    assert watched.errors == []


def test_stop_stops_and_go_on_goes_on(serve, open_page):
    service, watched = opened(serve, open_page, play="hold")
    page = watched.page
    page.get_by_role("button", name="pictures").click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Go on").wait_for()
    page.wait_for_timeout(500)
    assert 1 <= len(service.asks.posted) <= 8
    assert len(service.asks.cancelled) == len(service.asks.posted)
    service.asks.play["pictures"] = "done"
    page.get_by_role("button", name="Go on").click()
    until(page, f"{THERE} >= 32")
    assert watched.errors == []


def test_pictures_that_are_there_are_shown_at_once_and_the_choice_is_kept(serve, open_page):
    service, watched = opened(serve, open_page, path="/s/resnet18-birds/conv1")
    service.asks.tiles = set(range(64)) - {11, 42, 61}
    page = watched.page
    page.get_by_role("button", name="pictures").click()
    until(page, f"{THERE} === 61")
    words_are(page, ".grid-shows .note", "61 of 61 drawn")
    page.reload()
    until(page, f"{THERE} === 61")
    assert service.asks.posted == []
    page.get_by_role("button", name="patches").click()
    until(page, "getComputedStyle(document.querySelector('#grid .cover')).display === 'none'")
    assert watched.errors == []


def test_nothing_is_asked_for_before_it_is_known_which_pictures_are_there(serve, open_page):
    service, watched = opened(serve, open_page, path="/s/resnet18-birds/conv1")
    service.asks.tiles = set(range(64)) - {11, 42, 61}
    page = watched.page
    held = []

    def hold(route) -> None:
        held.append(route)

    page.route("**/pictures?units=*", hold)
    page.get_by_role("button", name="pictures").click()
    page.wait_for_timeout(600)
    assert held
    assert service.asks.posted == []
    for route in held:
        route.continue_()
    until(page, f"{THERE} === 61")
    assert service.asks.posted == []
    assert watched.errors == []


def test_pictures_that_fail_say_why(serve, open_page):
    _, watched = opened(serve, open_page, play="fail")
    page = watched.page
    page.get_by_role("button", name="pictures").click()
    words_are(page, ".grid-shows .note", "Failed: not enough memory")
    assert page.get_by_role("button", name="Try again").is_visible()


def test_another_layer_leaves_what_the_last_one_asked_for(serve, open_page):
    service, watched = opened(serve, open_page, play="hold")
    page = watched.page
    page.get_by_role("button", name="pictures").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.locator("#layer-slider").focus()
    page.keyboard.press("ArrowLeft")
    path_is(page, "/s/resnet18-birds/layer1.0")
    until(page, "document.querySelectorAll('#grid button.tile').length === 128")
    page.get_by_role("button", name="Stop").wait_for()
    until(page, "document.querySelector('.grid-shows .note').textContent.endsWith('of 123 drawn')")
    page.wait_for_timeout(300)
    left = [key for key, job in service.asks.jobs.items() if job.body["layer"] == "layer2.0.conv1"]
    assert sorted(service.asks.cancelled) == sorted(left)
    assert {body["layer"] for body in service.asks.posted} == {"layer2.0.conv1", "layer1.0"}
    assert watched.errors == []


def test_what_is_out_of_view_makes_room_for_what_is_in_view(serve, open_page):
    service, watched = opened(serve, open_page, play="hold")
    page = watched.page
    page.get_by_role("button", name="pictures").click()
    until(page, "document.querySelector('.grid-shows .link').textContent === 'Stop'")
    for _ in range(100):
        page.wait_for_timeout(50)
        if len(service.asks.posted) == 8:
            break
    assert set(asked(service)) == {*range(64)} - {11, 23, 37, 42, 61} | ({23, 37} & set(asked(service)))
    page.evaluate("document.querySelector('#grid button[data-unit=\"500\"]').scrollIntoView()")
    for _ in range(200):
        page.wait_for_timeout(50)
        if max(asked(service)) > 256:
            break
    assert max(asked(service)) > 256
    assert service.asks.cancelled
    assert watched.errors == []


def test_a_phone_shows_the_switch_without_scrolling_sideways(serve, open_page):
    _, watched = opened(serve, open_page, viewport={"width": 390, "height": 844})
    page = watched.page
    page.get_by_role("button", name="pictures").click()
    until(page, f"{THERE} >= 16")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_a_picture_under_way_is_shown_and_not_counted_as_drawn(serve, open_page, monkeypatch):
    service, watched = opened(serve, open_page, play="hold", path="/s/resnet18-birds/conv1")
    page = watched.page
    monkeypatch.setattr(service.asks, "pictures", lambda units: {"3": f"/preview/{'a' * 32}?1"})
    monkeypatch.setattr(service.asks, "preview", lambda key: service.media("fake/drawn/3/0/0.5")[0])
    page.get_by_role("button", name="pictures").click()
    until(page, f"{THERE} === 1")
    words_are(page, ".grid-shows .note", "0 of 61 drawn")
    until(page, "document.querySelector('.grid-shows .link').textContent === 'Stop'")
    for _ in range(40):
        page.wait_for_timeout(50)
        if 3 in asked(service):
            break
    assert 3 in asked(service)
