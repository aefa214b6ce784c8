"""The page below a path prefix: without a proxy, and behind one that leaves it or takes it off."""

from contextlib import nullcontext

import pytest

from lurk.web.auth.access import TokenAccess
from tests.browser.proxy import proxy
from tests.browser.steps import path_is, until
from tests.web.ui.fake import FakeService

pytestmark = pytest.mark.browser

LONG = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("direct", "leaving")]
LOADED = "[...document.images].filter(one => one.src && !(one.complete && one.naturalWidth)).length === 0"


def shown(served, kind):
    if kind == "direct":
        return nullcontext((f"{served.url}/lurk", []))
    return proxy(served.port, "/lurk", strips=kind == "stripping")


def walk(page, url):
    """All pages: studies, a study, a unit with picture and map, back by the history, jobs, an address of nothing."""
    page.goto(f"{url}/")
    page.locator(".cards a").first.click()
    path_is(page, "/lurk/s/resnet18-birds")
    page.wait_for_selector("#grid button.tile")
    until(
        page, "getComputedStyle(document.querySelector('#grid button.tile')).backgroundImage.includes('/lurk/media/')"
    )
    page.locator("#grid button.tile").nth(3).click()
    path_is(page, "/lurk/s/resnet18-birds/layer4.1.conv2/3")
    page.wait_for_selector(".unit-modal .hits img")
    page.get_by_label("Map beside each image").select_option("deconvnet")
    until(page, "document.querySelectorAll('.map img.map-image').length >= 9")
    until(page, "Boolean(document.querySelector('.wants-room img.drawn')?.src.includes('/lurk/media/'))")
    until(page, LOADED)
    page.keyboard.press("ArrowRight")
    path_is(page, "/lurk/s/resnet18-birds/layer4.1.conv2/4")
    page.go_back()
    path_is(page, "/lurk/s/resnet18-birds/layer4.1.conv2/3")
    until(page, "document.querySelector('.unit-title').textContent.includes('3')")
    page.keyboard.press("Escape")
    path_is(page, "/lurk/s/resnet18-birds/layer4.1.conv2")
    page.get_by_role("link", name="Jobs").click()
    path_is(page, "/lurk/jobs")
    page.wait_for_selector("table.jobs")
    page.locator(".brand").click()
    path_is(page, "/lurk/")
    page.wait_for_selector(".cards")
    page.goto(f"{url}/s/resnet18-birds/fc/7")
    page.wait_for_selector(".unit-modal .hits img")
    page.goto(f"{url}/s/nope")
    page.get_by_role("link", name="Back to the studies").click()
    path_is(page, "/lurk/")


@pytest.mark.parametrize("kind", [*LONG, "stripping"])
def test_all_pages_work_below_a_prefix(serve, open_page, kind):
    service = FakeService(names=("resnet18-birds", "other"))
    served, watched = serve(service, prefix="/lurk"), open_page()
    with shown(served, kind) as (url, refused):
        walk(watched.page, url)
        assert refused == []
        assert [error for error in watched.errors if "404" not in error] == []
        assert len(watched.errors) <= 1  # the page of nothing is itself a 404


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["leaving", "stripping"])
def test_logging_in_works_below_a_prefix(serve, open_page, kind):
    served, page = serve(FakeService(), access=TokenAccess("key", "secret", "boss"), prefix="/lurk"), open_page().page
    with shown(served, kind) as (url, refused):
        page.goto(f"{url}/s/resnet18-birds/conv1")
        path_is(page, "/lurk/login")
        page.locator("#token").fill("secret")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_selector("#grid button.tile")
        path_is(page, "/lurk/s/resnet18-birds/conv1")
        page.context.clear_cookies()
        page.wait_for_url("**/lurk/login?next=%2Fs%2Fresnet18-birds%2Fconv1")
        page.locator("#token").fill("secret")
        page.get_by_role("button", name="Log in").click()
        path_is(page, "/lurk/s/resnet18-birds/conv1")
        page.get_by_role("button", name="Log out").click()
        path_is(page, "/lurk/login")
        assert refused == []
