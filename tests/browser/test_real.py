"""A person's walk through the real dashboard, on a small network and on the bundled one with the demo images.

The long form makes the README's pictures.
"""

import os
import re
from pathlib import Path

import pytest

from tests.acceptance.server import ROOT, real_server
from tests.acceptance.toy_study import toy_study
from tests.browser.steps import path_is, until

pytestmark = pytest.mark.browser

SAMPLE = os.environ.get("LURK_SCREENSHOT_SAMPLE", "2")


@pytest.fixture
def bundled(put_demo_set, tmp_path) -> tuple[str, ...]:
    """The options of a study of the bundled network, beside a cache that has its images."""
    put_demo_set(tmp_path / "cache")
    return ("--sample", SAMPLE)


@pytest.fixture
def toy(tmp_path) -> tuple[str, ...]:
    """The options of a study of a small network."""
    return toy_study(tmp_path)


def take_picture(page, name: str) -> None:
    """Take a picture of the page; one for the README once all has faded in."""
    folder = Path(os.environ.get("LURK_SCREENSHOTS", ROOT / "build"))
    folder.mkdir(exist_ok=True)
    if "LURK_SCREENSHOTS" in os.environ:
        page.wait_for_timeout(1500)
    page.screenshot(path=str(folder / f"{name}.png"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("options", "layer", "units"),
    [("toy", "2", 32), pytest.param("bundled", "_blocks.5._expand_conv", 240, marks=pytest.mark.slow)],
)
def test_from_the_first_page_to_a_units_page(request, tmp_path, open_page, options, layer, units):
    with real_server(tmp_path, *request.getfixturevalue(options)) as server:
        watched = open_page()
        page = watched.page
        page.set_viewport_size({"width": 1280, "height": 720})
        page.goto(server.url)
        study = server.json("studies")[0]["name"]
        server.wait(study, lambda now: now["state"] == "done", timeout_s=240)
        page.wait_for_selector("#grid button.tile >> nth=23", timeout=30_000)

        choose_layer(page, layer)
        path_is(page, f"/s/{study}/{layer}")
        until(page, "units => document.querySelectorAll('#grid button.tile').length === units", units)
        until(page, "!document.querySelector('#grid button.tile.waiting')")
        take_picture(page, "grid")

        page.locator("#layer-slider").focus()
        page.keyboard.press("ArrowRight")
        until(page, f"!location.pathname.endsWith('{layer}')")
        page.go_back()
        path_is(page, f"/s/{study}/{layer}")
        until(page, "layer => window.lurk.drawn.layer === layer", layer)

        page.locator("#grid button.tile[data-unit='12']").click()
        path_is(page, f"/s/{study}/{layer}/12")
        page.wait_for_selector(".modal .js-plotly-plot .bars")
        picture_of_a_unit(page)
        by_max = page.locator(".modal img").evaluate_all("images => images.map(image => image.src)")
        page.locator("#kind-mean").click()
        until(
            page,
            "before => [...document.querySelectorAll('.modal img')].map(i => i.src).join() !== before",
            ",".join(by_max),
        )
        page.locator("#unit-next").click()
        path_is(page, f"/s/{study}/{layer}/13")
        page.keyboard.press("ArrowLeft")
        path_is(page, f"/s/{study}/{layer}/12")
        page.keyboard.press("Escape")
        path_is(page, f"/s/{study}/{layer}")

        page.goto(f"{server.url}/s/{study}/{layer}/7")
        until(page, "((document.querySelector('#unit-title h2') || {}).textContent || '').endsWith('unit 7')")
        assert watched.errors == []
        assert watched.hosts == {server.url.removeprefix("http://")}
        a_picture_sharpens_is_cancelled_and_a_map_is_there_after_a_reload(page)


def choose_layer(page, layer: str) -> None:
    """Go to the first layer by the slider, and from there to a layer by the dropdown."""
    page.locator("#layer-slider").focus()
    page.keyboard.press("Home")
    until(page, "document.getElementById('layer-slider').value === '0' && location.pathname !== '/'")
    page.locator("#layer-choice").click()
    page.get_by_role("option", name=re.compile("^" + re.escape(layer))).click()


def picture_of_a_unit(page):
    """A screenshot; for the README once the unit's picture and the maps are whole."""
    if "LURK_SCREENSHOTS" in os.environ:
        page.get_by_label("Map beside each image").select_option("deconvnet")
        drawn = "(slot.querySelector('.map-image') || {}).naturalWidth"
        until(page, f"[...document.querySelectorAll('.map-slot')].every(slot => {drawn})", timeout_s=300)
        until(page, "document.querySelector('.canvas img').src.includes('/media/')", timeout_s=300)
    take_picture(page, "unit")


def a_picture_sharpens_is_cancelled_and_a_map_is_there_after_a_reload(page):
    sharpens = "(document.querySelector('.canvas img') || {src: ''}).src.includes('/preview/')"
    until(page, sharpens, timeout_s=60)
    page.locator(".doing").get_by_role("button", name="Cancel").click(timeout=60_000)
    page.get_by_role("button", name="Draw it").wait_for(timeout=60_000)
    page.get_by_label("Map beside each image").select_option("deconvnet")
    is_there = "((document.querySelector('.map-slot .map-image') || {}).naturalWidth || 0) > 0"
    until(page, is_there, timeout_s=120)
    page.reload()
    until(page, is_there, timeout_s=30)
