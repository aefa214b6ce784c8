"""Which channels are shown, of images that have more than one."""

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


def test_a_picture_under_way_follows_the_choice(serve, open_page):
    service, page = FakeService(channels=6), open_page().page
    service.asks.play = {"picture": "hold"}
    page.add_init_script("localStorage.setItem('lurk-channels', JSON.stringify({'resnet18-birds': '4'}))")
    page.goto(f"{serve(service).url}/s/resnet18-birds/conv1/3")
    until(page, "/\\/preview\\/[0-9a-f]+\\/c\\/4\\?step=/.test(document.querySelector('img.drawn')?.src || '')")
    until(page, "document.querySelector('img.drawn').naturalWidth > 0")


def test_of_colours_each_channel_is_shown_alone(serve, open_page):
    page = open_page().page
    page.goto(f"{serve(FakeService(channels=3)).url}/s/resnet18-birds/conv1")
    page.wait_for_selector("#grid button.tile")
    until(page, f"{TILES} !== '' && !{TILES}.includes('/c/')")
    way = page.get_by_label("How channels are shown")
    assert way.locator("option").all_inner_texts() == ["as colours", *(f"channel {n} in grey" for n in range(3))]
    way.select_option("2")
    until(page, f"{TILES}.endsWith('/c/2\")')")
    way.select_option("as colours")
    until(page, f"!{TILES}.includes('/c/')")


def test_grey_leaves_nothing_to_choose(serve, open_page):
    page = open_page().page
    page.goto(f"{serve(FakeService(channels=1)).url}/s/resnet18-birds/conv1")
    page.wait_for_selector("#grid button.tile")
    until(page, f"{TILES} !== ''")
    assert "/c/" not in page.evaluate(TILES)
    assert not page.locator("#channels-room").is_visible()
