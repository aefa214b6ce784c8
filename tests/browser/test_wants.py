"""A unit's picture: it sharpens while it is drawn, is cancelled, fails, is refused, is there at once; its variants."""

from dataclasses import replace

import pytest

from tests.browser.steps import path_is, until, words_are
from tests.web.ui.fake import FakeService

pytestmark = pytest.mark.browser

LAYER = "/s/resnet18-birds/layer1.0"
DOING, CANVAS = ".doing-words", ".canvas img"
SOURCE = "(document.querySelector('.canvas img').getAttribute('src') || '')"


def opened(serve, open_page, path=f"{LAYER}/5", play="done", step=32, **options):
    service = FakeService()
    service.asks.play, service.asks.step = {"picture": play}, step
    watched = open_page(**options)
    watched.page.goto(serve(service).url + path)
    watched.page.wait_for_selector(".wants-room .canvas")
    return service, watched


def test_a_picture_sharpens_while_it_is_drawn_and_says_how_far_it_is(serve, open_page):
    service, watched = opened(serve, open_page, play="hold")
    page = watched.page
    words_are(page, DOING, "step 128 of 256 · 6 s left")
    until(page, f"{SOURCE}.includes('step=128')")
    assert page.locator(".doing progress").evaluate("bar => bar.value") == 0.5
    service.asks.play["picture"] = "run"
    page.wait_for_selector(".honesty table")
    until(page, f"{SOURCE}.endsWith('/drawn/5/0/1.0')")
    assert page.locator(".doing").is_hidden()
    assert watched.errors == []


def test_a_picture_that_is_there_is_shown_at_once_with_its_figures(serve, open_page):
    _, watched = opened(serve, open_page)
    page = watched.page
    page.wait_for_selector(".honesty table")
    until(page, "document.querySelector('.canvas img').naturalWidth === 224")
    assert "above 99.98 % of the values on real images" in page.locator(".honesty").inner_text()
    rows = page.locator(".reached tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [
        ["this picture", "5.13", "1.02"],
        ["shifted by up to 8 pixels", "4.81", "0.970"],
        ["best real image", "4.31", "1.20"],
    ]
    assert page.locator(".made").inner_text() == "gradient ascent · 256 steps · 12 s"
    assert watched.errors == []


def test_a_picture_is_cancelled_and_drawn_after_all(serve, open_page):
    service, watched = opened(serve, open_page, play="hold")
    page = watched.page
    words_are(page, DOING, "step 128")
    page.get_by_role("button", name="Cancel").click()
    words_are(page, DOING, "Stopped at step")
    assert len(service.asks.cancelled) == 1
    page.keyboard.press("ArrowRight")
    path_is(page, f"{LAYER}/6")
    words_are(page, DOING, "step ")
    page.keyboard.press("ArrowLeft")
    words_are(page, DOING, "Stopped before")
    service.asks.play["picture"] = "done"
    page.get_by_role("button", name="Draw it").click()
    page.wait_for_selector(".honesty table")
    assert watched.errors == []


def test_a_waiting_picture_says_how_many_are_ahead_and_a_failed_one_why(serve, open_page):
    service, watched = opened(serve, open_page, play="wait")
    page = watched.page
    words_are(page, DOING, "Waiting: 2 ahead of you")
    service.asks.play["picture"] = "fail"
    words_are(page, DOING, "Failed: not enough memory: 2.1 GB were asked for")
    service.asks.play["picture"] = "done"
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".honesty table")


def test_a_model_without_pictures_says_why_and_is_asked_for_none(serve, open_page):
    service = FakeService()
    service.asks.offers = [replace(offer, refusal="it has no gradients") for offer in service.asks.offers]
    page = open_page().page
    page.goto(f"{serve(service).url}{LAYER}/5")
    words_are(page, DOING, "Not for this model: it has no gradients.")
    page.wait_for_timeout(500)
    assert service.asks.posted == []
    assert page.locator(".doing button").is_hidden()


def test_before_the_model_is_loaded_the_page_waits_for_its_methods(serve, open_page):
    service = FakeService()
    service.asks.offers, offers = [], service.asks.offers
    page = open_page().page
    page.goto(f"{serve(service).url}{LAYER}/5")
    words_are(page, DOING, "Waiting for the model to be loaded")
    service.asks.offers = offers
    page.wait_for_selector(".honesty table")


def test_walking_past_units_asks_for_none_of_them_and_leaving_one_cancels_it(serve, open_page):
    service, watched = opened(serve, open_page, play="hold")
    page = watched.page
    words_are(page, DOING, "step ")
    for unit in (6, 7, 8):
        page.keyboard.press("ArrowRight")
        until(page, "unit => (document.querySelector('.wants-room') || {dataset: {}}).dataset.unit === unit", str(unit))
    words_are(page, DOING, "step ")
    units = [body["unit"] for body in service.asks.posted]
    assert units[0] == 5
    assert units[-1] == 8
    until(page, "document.querySelector('#grid button[aria-current]').dataset.unit === '8'")
    left = [job.state for job in service.asks.jobs.values() if job.body["unit"] != 8]
    assert left == ["cancelled"] * len(left)


def test_a_picture_that_somebody_else_began_is_not_cancelled_by_leaving(serve, open_page):
    service = FakeService()
    service.asks.play, service.asks.step = {"picture": "hold"}, 32
    body = {"kind": "picture", "study": "resnet18-birds", "layer": "layer1.0", "unit": 5, "method": "gradient_ascent"}
    begun = service.asks.ask(body | {"options": {}})
    for _ in range(3):
        service.asks.look(begun["key"])
    page = open_page().page
    page.goto(f"{serve(service).url}{LAYER}/5")
    words_are(page, DOING, "step 128")
    page.keyboard.press("Escape")
    page.wait_for_selector(".unit-modal", state="detached")
    page.wait_for_timeout(300)
    assert service.asks.cancelled == []
    assert list(service.asks.jobs) == [begun["key"]]


def test_a_variant_is_drawn_kept_for_the_next_units_and_taken_back(serve, open_page):
    service, watched = opened(serve, open_page)
    page = watched.page
    page.wait_for_selector(".honesty table")
    page.get_by_role("button", name="Variants").click()
    assert page.locator(".variants .options > .option-row label").all_inner_texts() == [
        "objective", "direction", "preset", "diversity",
    ]  # fmt: skip
    page.get_by_label("diversity").fill("99")
    page.get_by_role("button", name="Draw", exact=True).click()
    assert page.get_by_label("diversity").evaluate("input => input.validity.rangeOverflow")
    page.get_by_label("diversity").fill("3")
    page.get_by_label("direction").select_option("minimise")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.wait_for_selector(".thumbs button >> nth=2")
    assert service.asks.posted[-1]["options"] == {"direction": "minimise", "diversity": 3}
    page.get_by_role("button", name="Picture 3 of 3").click()
    assert page.locator(".reached tbody td").first.inner_text() == "4.93"
    assert "direction minimise · diversity 3" in page.locator(".made").inner_text()

    page.keyboard.press("Escape")
    page.wait_for_selector(".variants", state="detached")
    page.keyboard.press("ArrowRight")
    path_is(page, f"{LAYER}/6")
    until(page, f"{SOURCE}.includes('/drawn/6/')")
    assert service.asks.posted[-1]["options"] == {"direction": "minimise", "diversity": 3}
    page.reload()
    page.wait_for_selector(".thumbs button >> nth=2")
    page.get_by_role("button", name="Variants").click()
    page.get_by_role("button", name="Reset").click()
    until(page, "document.querySelector('.thumbs').hidden && !document.querySelector('.honesty').hidden")
    assert service.asks.posted[-1]["options"] == {}
    assert watched.errors == []


def test_the_figures_follow_the_sweep_while_the_picture_stays(serve, open_page, monkeypatch):
    from tests.web.ui import fake_asks

    service = FakeService(state="running", done=312, rate=42.0)
    page = open_page().page
    page.goto(f"{serve(service).url}{LAYER}/5")
    page.wait_for_selector(".honesty table")
    made = fake_asks.picture_result
    more = {"best_real_max": 4.9}
    monkeypatch.setattr(
        fake_asks, "picture_result", lambda body: made(body) | {"pictures": [made(body)["pictures"][0] | more]}
    )
    service.done, service.serial = 624, 2
    until(page, "(document.querySelector('.reached tbody tr:last-child td') || {}).textContent === '4.90'")
    assert page.locator(".canvas").get_attribute("data-state") == "done"


def test_a_checkpoint_of_the_sweep_disturbs_neither_the_picture_nor_its_variants_nor_the_close_up(serve, open_page):
    service = FakeService(state="running", done=312, rate=42.0)
    service.asks.play = {"picture": "hold"}
    watched = open_page()
    page = watched.page
    page.goto(f"{serve(service).url}{LAYER}/5")
    words_are(page, DOING, "step 128")
    page.get_by_label("Map beside each image").select_option("deconvnet")
    page.locator(".map-slot button").first.click()
    page.get_by_role("button", name="Variants").click()
    page.get_by_label("diversity").fill("5")
    service.done, service.serial = 624, 2
    until(page, "(document.querySelector('.wants-room') || {dataset: {}}).dataset.seen === '624'")
    words_are(page, DOING, "step 128")
    assert page.get_by_label("diversity").input_value() == "5"
    page.wait_for_selector(".closeup .map-image")
    assert service.asks.cancelled == []
    assert watched.errors == []


def test_a_part_of_a_picture_that_did_not_matter_is_faded(serve, open_page):
    _, watched = opened(serve, open_page)
    page = watched.page
    page.get_by_role("button", name="Variants").click()
    page.get_by_label("Method").select_option("maco")
    page.get_by_role("button", name="Draw", exact=True).click()
    until(page, "getComputedStyle(document.querySelector('.canvas img')).maskImage.includes('/opacity/5')")
    assert "Faded where the picture did not matter" in page.locator(".honesty").inner_text()


WINDOW, PHONE = (1280, 720), (390, 844)


@pytest.mark.parametrize(
    ("theme", "size"),
    [
        ("light", PHONE),
        ("dark", WINDOW),
        pytest.param("light", WINDOW, marks=pytest.mark.slow),
        pytest.param("dark", PHONE, marks=pytest.mark.slow),
    ],
)
def test_the_picture_its_variants_and_a_map_are_accessible_and_fit(serve, open_page, theme, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    viewport = {"width": size[0], "height": size[1]}
    _, watched = opened(serve, open_page, color_scheme=theme, viewport=viewport)
    page = watched.page
    page.wait_for_selector(".histogram .barlayer .point")
    page.get_by_label("Map beside each image").select_option("smoothgrad")
    page.wait_for_selector(".scale >> nth=8")
    page.get_by_role("button", name="Sanity check").click()
    page.wait_for_selector(".closeup .meter-row >> nth=3")
    page.get_by_role("button", name="Variants").click()
    page.wait_for_selector(".variants .options")
    found = axe.Axe().run(page).response["violations"]
    assert [
        (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")
    ] == []
    for part in [".modal-content"] if size[0] < 500 else [".unit-body", ".modal-content"]:
        hidden = page.evaluate(
            "part => { const e = document.querySelector(part); return e.scrollHeight - e.clientHeight }", part
        )
        assert hidden <= 0, part
    assert page.evaluate("(e => e.scrollWidth - e.clientWidth)(document.querySelector('.unit-body'))") <= 0
    assert watched.errors == []


def test_a_unit_that_is_never_active_is_hatched_and_drawn_only_when_asked_for(serve, open_page):
    service = FakeService()
    page = open_page().page
    page.goto(f"{serve(service).url}/s/resnet18-birds/conv1")
    page.wait_for_selector("#grid button.tile")
    tile = page.locator("#grid button.tile[data-unit='11']")
    assert tile.get_attribute("aria-label") == "unit 11, never active on these images"
    assert "repeating-linear-gradient" in tile.evaluate("one => getComputedStyle(one).backgroundImage")
    assert page.locator("#grid-note").inner_text() == "64 units, 2 dead, 1 constant"
    tile.click()
    words_are(page, ".doing-words", "Never active on these images.")
    page.wait_for_timeout(600)
    assert service.asks.posted == []
    page.get_by_role("button", name="Draw anyway").click()
    page.wait_for_selector(".canvas[data-state='done']")
    assert [body["unit"] for body in service.asks.posted] == [11]


def test_the_grids_pictures_leave_out_units_that_are_never_active(serve, open_page):
    service = FakeService()
    page = open_page().page
    page.goto(f"{serve(service).url}/s/resnet18-birds/conv1")
    page.wait_for_selector("#grid button.tile")
    page.get_by_role("button", name="pictures", exact=True).click()
    words_are(page, "#grid-shows .note", "61 of 61 drawn")
    assert {11, 42, 61} & service.asks.tiles == set()


def test_a_class_score_is_called_by_its_class_everywhere(serve, open_page):
    page = open_page().page
    page.goto(f"{serve(FakeService()).url}/s/resnet18-birds/fc/4")
    words_are(page, ".unit-title h2", "fc class goldfinch")
    page.wait_for_selector(".canvas[data-state='done']")
    assert page.locator("img.drawn").get_attribute("alt") == "Picture drawn for fc class goldfinch"
    assert page.title().startswith("fc class goldfinch ·")
    page.get_by_label("Map beside each image").select_option("deconvnet")
    page.locator("button.map").first.click()
    assert "Explains the score of class goldfinch" in page.locator(".closeup-words").inner_text()
    assert (
        page.locator("#grid button.tile[data-unit='4']").get_attribute("title").startswith("class goldfinch, highest")
    )
    assert "row " not in page.locator(".column.saw").inner_text()
