"""A person's walk through the page, in a real Chromium."""

import re
import time

import pytest

from tests.browser.steps import path_is, until
from tests.web.ui.fake import UNTRAINED, FakeService

pytestmark = pytest.mark.browser

STUDY = "/s/resnet18-birds"
SERIOUS = ("serious", "critical")


def wait_for_unit(page, words: str) -> None:
    until(page, "words => (document.querySelector('#unit-title h2') || {}).textContent === words", words)


def test_a_layer_is_chosen_by_dropdown_and_by_slider(serve, open_page):
    served = serve(FakeService())
    watched = open_page()
    page = watched.page
    page.goto(served.url)
    page.wait_for_selector("#grid button.tile >> nth=63")
    assert page.locator("#grid button.tile").count() == 2048  # the last layer that has positions
    assert page.locator("#layer-slider").input_value() == "5"
    counted = page.evaluate("[0, 1, 1200].map(count => lurk.counted(count, 'image'))")
    assert counted == ["0 images", "1 image", "1,200 images"]

    page.locator("#layer-choice").click()
    page.get_by_role("option", name=re.compile("layer2.0.conv1")).click()
    path_is(page, f"{STUDY}/layer2.0.conv1")
    until(page, "document.querySelectorAll('#grid button.tile').length === 512")
    assert page.locator("#layer-slider").input_value() == "3"
    assert "512 × 28 × 28" in page.locator("#layer-facts").inner_text()

    page.locator("#layer-slider").focus()
    page.keyboard.press("ArrowLeft")
    path_is(page, f"{STUDY}/layer1.0")
    until(page, "document.querySelectorAll('#grid button.tile').length === 128")
    assert "layer1.0" in page.locator("#layer-choice").inner_text()

    assert watched.errors == []
    assert watched.hosts == {served.url.removeprefix("http://")}


def test_a_sprite_that_comes_after_its_layer_was_left_is_dropped(serve, open_page):
    served = serve(FakeService())
    watched = open_page()
    page = watched.page
    held = []

    def hold(route) -> None:
        held.append(route)

    page.route("**/media/fake/sprite/3/1/**", hold)
    page.goto(f"{served.url}{STUDY}/layer2.0.conv1")
    with page.expect_request("**/media/fake/sprite/3/1/**"):
        page.locator("#grid button.tile >> nth=511").scroll_into_view_if_needed()
    page.locator("#layer-slider").focus()
    page.keyboard.press("ArrowLeft")
    until(page, "document.querySelectorAll('#grid button.tile').length === 128")
    assert held
    with page.expect_response("**/media/fake/sprite/3/1/**") as answer:
        for route in held:
            route.continue_()
    answer.value.finished()
    page.wait_for_timeout(100)
    assert watched.errors == []


def test_charts_come_though_the_server_was_gone_when_they_were_prepared(serve, open_page):
    page = open_page().page
    dropped = []

    def drop(route) -> None:
        dropped.append(route.request.url)
        route.abort()

    page.route("**/async-graph.js", drop)
    page.goto(f"{serve(FakeService()).url}{STUDY}")
    page.wait_for_selector("#grid button.tile")
    for _ in range(50):
        if dropped:
            break
        page.wait_for_timeout(100)
    page.wait_for_timeout(200)
    assert len(dropped) == 1
    page.unroute("**/async-graph.js")
    page.locator("#grid button.tile").first.click()
    page.wait_for_selector(".modal .js-plotly-plot .bars")


def test_only_sprites_in_view_are_asked_for(serve, open_page):
    page = open_page().page
    asked = []
    page.on("request", lambda request: "/sprite/" in request.url and asked.append(request.url.split("/sprite/")[1][:3]))
    page.goto(f"{serve(FakeService()).url}{STUDY}/layer4.1.conv2")
    page.wait_for_selector("#grid button.tile")
    until(page, "document.getElementById('grid').style.getPropertyValue('--sprite-0') !== ''")
    page.wait_for_timeout(100)
    assert len(set(asked)) < 4
    with page.expect_request("**/sprite/*/7/**"):
        page.locator("#grid button.tile >> nth=2047").scroll_into_view_if_needed()
    assert len(set(asked)) < 8
    assert len(asked) == len(set(asked))


def test_the_library_of_charts_is_there_before_a_unit_is_opened(serve, open_page):
    watched = open_page()
    page = watched.page
    page.goto(f"{serve(FakeService()).url}{STUDY}/conv1")
    until(page, "Boolean(document.querySelector('#charts .main-svg'))")
    assert page.locator("#charts").is_hidden()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#grid button.tile").first.click()
    page.wait_for_selector(".modal .js-plotly-plot .main-svg")
    assert not [url for url in asked if "plotly" in url or "async-graph" in url]
    assert watched.errors == []


def test_a_unit_is_opened_switched_walked_and_closed(serve, open_page):
    served = serve(FakeService())
    watched = open_page()
    page = watched.page
    page.goto(f"{served.url}{STUDY}/layer1.0")
    page.get_by_role("button", name="unit 12, highest 7.692").click()
    path_is(page, f"{STUDY}/layer1.0/12")
    wait_for_unit(page, "layer1.0 unit 12")
    page.wait_for_selector(".hits .hit >> nth=8")
    best = page.locator(".hits .score").first.inner_text()
    page.get_by_role("button", name="by mean").click()
    until(page, "old => document.querySelector('.hits .score').textContent !== old", best)
    assert page.locator("#kind-mean").get_attribute("aria-pressed") == "true"
    assert page.locator("#kind-max").get_attribute("aria-pressed") == "false"

    page.get_by_role("button", name="Next unit").click()
    path_is(page, f"{STUDY}/layer1.0/13")
    wait_for_unit(page, "layer1.0 unit 13")
    page.keyboard.press("ArrowRight")
    wait_for_unit(page, "layer1.0 unit 14")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    path_is(page, f"{STUDY}/layer1.0/12")
    until(page, "document.querySelector('#grid button[aria-current]').dataset.unit === '12'")
    page.wait_for_selector(".bars .barlayer .point")

    page.keyboard.press("Escape")
    path_is(page, f"{STUDY}/layer1.0")
    page.wait_for_selector(".unit-modal", state="detached")
    until(page, "document.activeElement.dataset.unit === '12'")
    page.go_back()
    path_is(page, f"{STUDY}/layer1.0/12")
    page.wait_for_selector(".hits .hit >> nth=8")
    page.go_forward()
    path_is(page, f"{STUDY}/layer1.0")
    assert watched.errors == []
    assert watched.hosts == {served.url.removeprefix("http://")}


def test_a_pasted_link_opens_the_unit_and_back_leaves_it(serve, open_page):
    served = serve(FakeService())
    watched = open_page()
    page = watched.page
    page.goto(served.url)
    page.wait_for_selector("#grid button.tile")
    page.goto(f"{served.url}{STUDY}/layer2.0.conv1/23")
    wait_for_unit(page, "layer2.0.conv1 unit 23")
    assert page.locator(".badge-state").inner_text() == "always on"
    page.go_back()
    path_is(page, "/")
    page.wait_for_selector("#grid button.tile")
    assert page.locator(".unit-modal").count() == 0
    assert watched.errors == []


def test_the_modal_fits_a_small_window_without_scrolling(serve, open_page):
    served = serve(FakeService())
    page = open_page().page
    page.goto(f"{served.url}{STUDY}/layer1.0.conv1/5")
    page.wait_for_selector(".bars .barlayer .point")
    until(page, "[...document.querySelectorAll('.hits img')].every(one => one.complete && one.naturalWidth)")
    for part in (".unit-body", ".scroll", ".modal-content", "html"):
        hidden = page.evaluate(
            "part => { const e = document.querySelector(part); return e.scrollHeight - e.clientHeight }", part
        )
        assert hidden <= 0, part


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize("path", ["/", f"{STUDY}/layer1.0.conv1/37", "/jobs", f"{STUDY}/fc/11", "/s/unknown"])
def test_axe_finds_nothing_serious(serve, open_page, path, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    served = serve(FakeService(state="running", done=312, rate=42.0, notice=UNTRAINED, skipped_images=2))
    page = open_page(color_scheme=theme).page
    page.goto(served.url + path)
    page.wait_for_selector("#grid button.tile, table.jobs, .missing")
    if path.count("/") == 4:
        page.wait_for_selector(".histogram .barlayer .point")
    found = axe.Axe().run(page).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in SERIOUS]
    assert serious == []


def test_the_grid_is_walked_by_keyboard(serve, open_page):
    served = serve(FakeService())
    page = open_page().page
    page.goto(f"{served.url}{STUDY}/layer2.0.conv1")
    page.wait_for_selector("#grid button.tile >> nth=511")
    assert page.locator("#grid button[tabindex='0']").count() == 1
    page.locator("#grid button[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    columns = page.evaluate("getComputedStyle(document.getElementById('grid')).gridTemplateColumns.split(' ').length")
    assert page.evaluate("document.activeElement.dataset.unit") == str(columns + 1)
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.unit") == "511"
    page.keyboard.press("Enter")
    path_is(page, f"{STUDY}/layer2.0.conv1/511")
    until(page, "(document.getElementById('unit-next') || {}).disabled === true")


def test_the_layers_are_chosen_by_keyboard_alone(serve, open_page):
    served = serve(FakeService())
    page = open_page().page
    page.goto(f"{served.url}{STUDY}/conv1")
    page.wait_for_selector("#grid button.tile")
    page.get_by_label("What is “Layer”?").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "layer-choice"
    page.keyboard.press("Enter")
    page.get_by_role("option").first.wait_for()
    until(page, "document.activeElement.value === 'conv1'")
    page.keyboard.press("ArrowDown")
    until(page, "document.activeElement.value === 'layer1.0.conv1'")
    page.keyboard.press(" ")
    path_is(page, f"{STUDY}/layer1.0.conv1")


def test_two_thousand_units_are_drawn_and_opened_without_lag(serve, open_page):
    served = serve(FakeService())
    page = open_page().page
    page.goto(f"{served.url}{STUDY}/conv1")
    page.wait_for_selector("#grid button.tile")
    page.evaluate("lurk.go('/s/resnet18-birds/layer4.1.conv2')")
    started = time.monotonic()
    until(page, "document.querySelectorAll('#grid button.tile').length === 2048")
    assert time.monotonic() - started < 5
    clicked = page.evaluate(
        "() => { const t = performance.now(); document.querySelector('#grid button[data-unit=\"1000\"]').click();"
        " return performance.now() - t }"
    )
    assert clicked < 200
    wait_for_unit(page, "layer4.1.conv2 unit 1000")


def test_order_is_kept_by_the_walk(serve, open_page):
    service = FakeService()
    served = serve(service)
    page = open_page().page
    page.goto(f"{served.url}{STUDY}/layer1.0")
    page.wait_for_selector("#grid button.tile >> nth=127")
    page.locator("#grid-sort").select_option("max")
    order = service.grid("resnet18-birds", "layer1.0", "max")["order"]
    until(page, "first => document.querySelector('#grid button').dataset.unit === String(first)", order[0])
    page.locator("#grid button").first.click()
    page.wait_for_selector(".hits .hit")
    page.keyboard.press("ArrowRight")
    path_is(page, f"{STUDY}/layer1.0/{order[1]}")


def test_tiles_built_while_the_page_is_hidden_have_their_size_once_it_is_shown(serve, open_page):
    service = FakeService()
    page = open_page().page
    page.goto(serve(service).url + "/s/resnet18-birds/layer2.0.conv1")
    page.wait_for_selector("#grid button.tile >> nth=60")
    side = "document.querySelector('#grid button.tile').getBoundingClientRect().width"
    usual = page.evaluate(side)
    assert usual >= 60
    page.evaluate("document.querySelector('.study').hidden = true")
    page.evaluate("window.lurk.go('/s/resnet18-birds/conv1')")
    until(page, "document.querySelectorAll('#grid button.tile').length === 64")
    page.evaluate("window.lurk.go('/s/resnet18-birds/layer2.0.conv1')")
    until(page, "document.querySelectorAll('#grid button.tile').length === 512")
    page.evaluate("document.querySelector('.study').hidden = false")
    until(page, f"{side} === {usual}")
