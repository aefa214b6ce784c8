"""Which channels are shown, of images that have other than one or three."""

import pytest

from tests.browser.steps import until
from tests.web.ui.fake import FakeService

pytestmark = pytest.mark.browser

SOURCES = "[...document.querySelectorAll('.hits .view img, .hits img.patch')].map(one => one.src)"
TILES = "document.getElementById('grid').style.getPropertyValue('--sprite-0')"


def ends(page, channels):
    """Wait until all images are shown in these channels."""
    until(page, f"{SOURCES}.length >= 18 && {SOURCES}.every(one => one.endsWith('/c/{channels}'))")
    until(page, f"{TILES}.endsWith('/c/{channels}\")')")
    until(page, f"(document.querySelector('img.drawn')?.src || '').endsWith('/c/{channels}')")
    until(page, f"[...document.querySelectorAll('.map img.map-image')].every(one => one.src.endsWith('/c/{channels}'))")


def test_six_channels_are_chosen_among_and_each_is_shown_alone(serve, open_page):
    service, watched = FakeService(channels=6), open_page()
    page = watched.page
    page.add_init_script("sessionStorage.setItem('lurk-map', JSON.stringify({method: 'deconvnet'}))")
    page.goto(f"{serve(service).url}/s/resnet18-birds/conv1/3")
    ends(page, "0-1-2")
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_label("Channel shown in green").select_option("5")
    until(page, f"{TILES}.endsWith('/c/0-5-2\")')")
    page.get_by_label("How channels are shown").select_option("4")
    assert page.get_by_label("Channel shown in green").count() == 0
    page.locator("#grid button.tile").nth(3).click()
    ends(page, "4")
    page.reload()
    ends(page, "4")
    assert {"0-1-2", "0-5-2", "4"} <= service.shown_in
    assert watched.errors == []


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colours_leave_nothing_to_choose(serve, open_page, channels):
    page = open_page().page
    page.goto(f"{serve(FakeService(channels=channels)).url}/s/resnet18-birds/conv1")
    page.wait_for_selector("#grid button.tile")
    until(page, f"{TILES} !== ''")
    assert "/c/" not in page.evaluate(TILES)
    assert not page.locator("#channels-room").is_visible()
