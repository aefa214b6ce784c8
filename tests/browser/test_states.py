"""The page in each of its states: computing, gone, checked, without classes, with several studies."""

import pytest

from tests.browser.steps import path_is, until
from tests.web.ui.fake import UNTRAINED, FakeService

pytestmark = pytest.mark.browser

STUDY = "/s/resnet18-birds"


def test_the_sweep_fills_the_grid_is_cancelled_and_goes_on(serve, open_page):
    service = FakeService(state="starting", is_ready=False, done=0, total=0, serial=0, message="loading the model")
    served = serve(service)
    watched = open_page()
    page = watched.page
    page.goto(served.url)
    page.wait_for_selector("#grid.waiting")
    until(page, "document.getElementById('header-state').textContent === 'Starting: loading the model'")
    service.is_ready, service.state, service.done, service.total, service.rate = True, "running", 312, 1000, 42.0
    service.notice, service.serial = UNTRAINED, 1
    page.wait_for_selector("#grid button.tile >> nth=63")
    assert page.locator("#notice").inner_text() == UNTRAINED
    assert page.locator("#grid .empty").count() > 0
    assert page.locator("#header-state").inner_text() == "312 of 1,000 images · 42 images/s · 16 s left"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Resume").click()
    until(page, "document.getElementById('header-state').textContent.includes('images/s')")
    assert service.asked == ["cancel", "resume"]
    page.evaluate("document.querySelector('#grid button').dataset.same = 'yes'")
    service.state, service.done, service.serial = "done", 1000, 2
    until(page, "document.querySelectorAll('#grid .empty').length === 0")
    assert page.locator("#grid button").first.get_attribute("data-same") == "yes"
    until(page, "getComputedStyle(document.getElementById('grid')).getPropertyValue('--sprite-0').includes('/2')")
    assert watched.errors == []


def test_the_page_survives_a_server_that_is_gone_for_a_while(serve, open_page):
    served = serve(FakeService(state="running", done=10, rate=1.0))
    page = open_page().page
    page.goto(served.url)
    page.wait_for_selector("#grid button.tile")
    served.stop()
    page.wait_for_selector("#gone:not([hidden])")
    assert "does not answer" in page.locator("#gone").inner_text()
    served.start()
    page.wait_for_selector("#gone", state="hidden")


def test_a_check_tells_what_it_found(serve, open_page):
    service = FakeService()
    served = serve(service)
    page = open_page().page
    page.goto(f"{served.url}{STUDY}/conv1/3")
    page.wait_for_selector(".hits .hit")
    page.locator("#unit-check").click()
    until(page, "document.getElementById('unit-checked').textContent === 'All 18 scores agree'")
    assert service.asked == ["verify conv1 3"]


def test_skipped_images_are_listed_on_demand(serve, open_page):
    served = serve(FakeService(skipped_images=99))
    page = open_page().page
    page.goto(served.url)
    page.get_by_role("button", name="99 skipped").click()
    page.wait_for_selector(".skipped-modal tbody tr >> nth=98")
    assert "cut short" in page.locator(".skipped-modal tbody").inner_text()
    page.get_by_role("button", name="Close").click()
    page.wait_for_selector(".skipped-modal", state="detached")


def test_the_theme_is_chosen_and_remembered(serve, open_page):
    served = serve(FakeService())
    page = open_page(color_scheme="dark").page
    page.goto(served.url)
    theme = "document.documentElement.dataset.bsTheme"
    assert page.evaluate(theme) == "dark"
    page.locator("#theme").click()
    assert page.evaluate(theme) == "light"
    page.reload()
    assert page.evaluate(theme) == "light"


def test_jobs_are_listed_and_cancelled(serve, open_page):
    service = FakeService()
    served = serve(service)
    page = open_page().page
    page.goto(f"{served.url}/jobs")
    page.wait_for_selector("table.jobs tbody tr >> nth=3")
    assert "the image folder is gone" in page.locator("table.jobs").inner_text()
    page.get_by_role("button", name="Cancel Sweep").click()
    page.wait_for_timeout(300)
    assert service.asked == ["cancel " + "0" * 32]


def test_an_unknown_place_is_told_in_plain_words(serve, open_page):
    served = serve(FakeService())
    page = open_page().page
    answer = page.goto(f"{served.url}{STUDY}/nope")
    assert answer.status == 404
    page.wait_for_selector(".missing")
    assert "has no layer called 'nope'" in page.locator(".missing").inner_text()
    page.get_by_role("link", name="Back to the study").click()
    page.wait_for_selector("#grid button.tile")


def test_a_flat_folder_says_why_there_are_no_classes(serve, open_page):
    served = serve(FakeService(no_classes="the folder is flat: it has no sub-folder per class"))
    page = open_page().page
    page.goto(f"{served.url}{STUDY}/conv1/4")
    page.wait_for_selector(".histogram .barlayer .point")
    assert "the folder is flat" in page.locator(".answers").inner_text()
    assert page.locator(".figure.bars").count() == 0


def test_several_studies_are_cards(serve, open_page):
    served = serve(FakeService(names=("one", "two")))
    page = open_page().page
    page.goto(served.url)
    page.wait_for_selector(".cards a >> nth=1")
    page.locator(".cards a").nth(1).click()
    path_is(page, "/s/two")
    page.wait_for_selector("#grid button.tile")
