"""The maps beside a unit's top images: chosen, asked for at once, looked at in every mode, checked, kept."""

from dataclasses import replace

import pytest

from tests.browser.steps import path_is, until, words_are
from tests.web.ui.fake import FakeService

pytestmark = pytest.mark.browser

LAYER = "/s/resnet18-birds/layer1.0"
LOADED = "[...document.querySelectorAll('.map-slot .map-image')].filter(one => one.naturalWidth).length === 9"
FIRST = "document.querySelector('.map-slot .map-image').getAttribute('src')"


def opened(serve, open_page, method="deconvnet", path=f"{LAYER}/5", **play):
    service = FakeService()
    service.asks.play = play
    watched = open_page()
    watched.page.goto(serve(service).url + path)
    watched.page.wait_for_selector(".hits .hit >> nth=8")
    until(watched.page, "!document.querySelector('.map-bar select').disabled")
    watched.page.get_by_label("Map beside each image").select_option(method)
    return service, watched


def of_kind(service, kind):
    return [body for body in service.asks.posted if body["kind"] == kind]


def test_no_map_is_asked_for_before_one_is_chosen(serve, open_page):
    service, watched = opened(serve, open_page, method="")
    watched.page.wait_for_selector(".honesty table")
    assert of_kind(service, "maps") == []


def test_maps_are_asked_for_at_once_and_are_there_after_a_reload(serve, open_page):
    service, watched = opened(serve, open_page)
    page = watched.page
    until(page, LOADED)
    images = [hit["image"] for hit in service.unit("resnet18-birds", "layer1.0", 5).hits("max")]
    asked = of_kind(service, "maps")
    assert [body["images"] for body in asked] == [images]
    assert {(body["method"], body["target"]) for body in asked} == {("deconvnet", "maximum")}
    assert "hardly depend on the trained weights" in page.locator(".caution").inner_text()

    page.reload()
    until(page, LOADED)
    assert page.get_by_label("Map beside each image").input_value() == "deconvnet"
    assert len(of_kind(service, "maps")) == 2

    page.get_by_role("button", name="by mean").click()
    means = [hit["image"] for hit in service.unit("resnet18-birds", "layer1.0", 5).hits("mean")]
    shown = "[...document.querySelectorAll('.map-slot')].map(one => Number(one.dataset.image))"
    until(page, f"means => JSON.stringify({shown}) === JSON.stringify(means)", means)
    until(page, LOADED)
    assert [body["images"] for body in of_kind(service, "maps")[2:]] == [means]

    page.keyboard.press("ArrowRight")
    path_is(page, f"{LAYER}/6")
    until(page, "document.querySelector('.wants-room').dataset.unit === '6'")
    until(page, LOADED)
    assert {body["unit"] for body in of_kind(service, "maps")[3:]} == {6}
    assert watched.errors == []


def test_every_mode_has_its_own_picture_and_scale_and_asks_for_nothing_anew(serve, open_page):
    service, watched = opened(serve, open_page)
    page = watched.page
    until(page, LOADED)
    for mode, words in {
        "raw": "Colours from −0.0342 to 0.0342",
        "grey": "Colours from −0.0342 to 0.0342",
        "norm": "Colours from 0 to 0.0342",
        "blurred": "Colours from 0 to 0.0342",
        "signs": "Colours from −0.0342 to 0.0342",
        "overlay": "Colours from 0 to 0.0342",
    }.items():
        page.get_by_label("How the map is shown").select_option(mode)
        until(page, f"{FIRST}.includes('/{mode}/0/1')")
        assert words in page.locator(".scale").first.get_attribute("aria-label")
    under = "document.querySelector('.map-slot .under').src === document.querySelector('.view img').src"
    until(page, under)
    page.get_by_label("Opacity of the overlay").fill("0.25")
    until(page, "getComputedStyle(document.querySelector('.map-slot .map-image')).opacity === '0.25'")
    page.get_by_label("How the map is shown").select_option("signs")
    page.get_by_label("Gamma").select_option("0.3")
    page.get_by_label("Boost").select_option("0.8")
    until(page, f"{FIRST}.endsWith('/signs/0.8/0.3')")
    assert "Boosted" in page.locator(".scale").first.get_attribute("aria-label")
    assert len(of_kind(service, "maps")) == 1
    assert watched.errors == []


def test_the_target_and_the_options_are_part_of_what_is_asked_for(serve, open_page):
    service, watched = opened(serve, open_page, method="smoothgrad")
    page = watched.page
    until(page, LOADED)
    page.get_by_label("What the map explains").select_option("class")
    until(page, LOADED)
    page.locator(".map-slot button").first.click()
    words_are(page, ".closeup-words p", "Explains the class tree frog: 5.949")
    page.keyboard.press("Escape")
    page.wait_for_selector(".closeup", state="detached")
    page.locator(".map-options summary").click()
    page.get_by_label("copies").fill("50")
    page.get_by_role("button", name="Apply").click()
    until(page, "document.querySelector('.map-options summary').textContent === 'Options •'")
    until(page, LOADED)
    last = of_kind(service, "maps")[-1]
    assert (last["target"], last["options"]) == ("class", {"copies": 50})


def test_a_waiting_map_says_so_a_failed_one_why_and_a_refused_one_cannot_be_chosen(serve, open_page):
    service, watched = opened(serve, open_page, maps="wait")
    page = watched.page
    words_are(page, ".map-slot p", "Waiting: 2 ahead of you")
    refused = page.locator(".map-bar option[value='lrp']")
    assert refused.is_disabled()
    assert "could not be traced" in refused.get_attribute("title")
    service.asks.play["maps"] = "fail"
    words_are(page, ".map-slot p", "not enough memory")
    service.asks.play["maps"] = "done"
    page.get_by_role("button", name="Try again").first.click()
    page.wait_for_selector(".map-slot .map-image")
    assert [len(body["images"]) for body in of_kind(service, "maps")] == [9, 1]


def test_maps_that_are_ready_are_shown_while_the_others_are_being_drawn(serve, open_page):
    service, watched = opened(serve, open_page, maps="hold")
    page = watched.page
    until(page, LOADED.replace("=== 9", "=== 4"))
    words_are(page, ".map-slot [aria-busy=true] p", "step 128 of 256")
    assert page.locator(".map-slot [aria-busy=true]").count() == 5
    service.asks.play["maps"] = "run"
    until(page, LOADED)
    assert len(of_kind(service, "maps")[0]["images"]) == 9
    assert watched.errors == []


def test_coarse_maps_of_a_slow_method_stand_there_until_the_final_ones_come(serve, open_page):
    service, watched = opened(serve, open_page, method="occlusion", maps="wait", draft="wait")
    page = watched.page
    until(page, "document.querySelectorAll('.map-slot p').length === 9")
    service.asks.play["draft"] = "done"
    until(page, LOADED)
    words_are(page, ".map-slot .coarse-words", "Coarse so far")
    assert page.locator(".map-slot .map[data-kind=coarse][aria-busy=true]").count() == 9
    assert page.locator(".map-slot .scale, .map-slot button").count() == 0  # what they look like is not final
    final, draft, *_ = of_kind(service, "maps")  # after these, those that were ready first
    assert (final["options"], draft["options"]) == ({}, {"size": 64, "stride": 64})
    assert final["images"] == draft["images"]
    service.asks.play["maps"] = "run"
    until(page, "document.querySelectorAll('.map-slot button.map[data-kind=done]').length === 9")
    assert page.locator(".coarse-words").count() == 0
    assert of_kind(service, "maps").count(draft) == 1
    assert watched.errors == []


def test_each_coarse_map_is_shown_as_soon_as_it_is_ready(serve, open_page):
    service, watched = opened(serve, open_page, method="occlusion", maps="wait", draft="hold")
    page = watched.page
    until(page, "document.querySelectorAll('.map-slot .map[data-kind=coarse] .map-image').length === 4")
    assert page.locator(".map-slot .map[data-kind=busy]").count() == 5
    service.asks.play["draft"] = "run"
    until(page, "document.querySelectorAll('.map-slot .map[data-kind=coarse] .map-image').length === 9")
    assert watched.errors == []


def test_no_coarse_map_is_asked_for_if_the_final_ones_are_there_or_their_size_is_chosen(serve, open_page):
    service, watched = opened(serve, open_page, method="occlusion")
    page = watched.page
    until(page, LOADED)
    assert len(of_kind(service, "maps")) == 1
    service.asks.play["maps"] = "hold"
    page.evaluate("window.lurk.changeMap({ options: { occlusion: { size: 9 } } })")
    until(page, "document.querySelectorAll('.map-slot p').length > 0")
    page.wait_for_timeout(500)
    assert [body["options"] for body in of_kind(service, "maps") if "stride" in body["options"]] == []


def test_another_choice_cancels_the_coarse_maps_too(serve, open_page):
    service, watched = opened(serve, open_page, method="occlusion", maps="wait", draft="wait")
    page = watched.page
    until(page, "document.querySelectorAll('.map-slot p').length === 9")
    page.wait_for_timeout(300)
    page.get_by_label("Map beside each image").select_option("")
    page.wait_for_timeout(500)
    assert [job.state for job in service.asks.jobs.values() if job.body["kind"] == "maps"] == ["cancelled"] * 2


def test_another_choice_cancels_the_maps_that_nobody_waits_for(serve, open_page):
    service, watched = opened(serve, open_page, maps="wait")
    page = watched.page
    until(page, "document.querySelectorAll('.map-slot p').length === 9")
    page.get_by_label("Map beside each image").select_option("")
    until(page, "!document.querySelector('.hits').dataset.mapped")
    page.wait_for_timeout(500)
    states = [job.state for job in service.asks.jobs.values() if job.body["kind"] == "maps"]
    assert states == ["cancelled"] * len(states)
    assert page.locator(".map-slot > *").count() == 0


def test_a_map_that_is_zero_everywhere_says_so(serve, open_page, monkeypatch):
    from tests.web.ui import fake_asks

    made = fake_asks.map_result
    monkeypatch.setattr(fake_asks, "map_result", lambda body: made(body) | {"silent": True, "why_silent": "it is off"})
    _, watched = opened(serve, open_page)
    words_are(watched.page, ".map-slot p", "Zero everywhere: it is off")


def test_a_sanity_check_shows_the_randomised_map_the_figures_and_the_warning(serve, open_page):
    service, watched = opened(serve, open_page, sanity="run")
    page = watched.page
    until(page, LOADED)
    page.locator(".map-slot button").nth(2).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sanity check").last.click()
    page.wait_for_selector(".closeup .meter-row >> nth=3")
    assert of_kind(service, "sanity")[0]["image"] == of_kind(service, "maps")[0]["images"][2]
    words = page.locator(".closeup-words").inner_text()
    for said in ("hardly changes when the weights are random", "0.83", "gradient–deconvnet", "0.31", "0.87"):
        assert said in words
    until(page, "document.querySelector('.closeup .randomised .map-image').naturalWidth > 0")
    page.keyboard.press("Escape")
    page.wait_for_selector(".closeup", state="detached")
    assert page.locator(".unit-modal").count() == 1
    assert page.evaluate("document.activeElement.parentElement.className") == "map-slot"
    assert watched.errors == []


def test_a_layer_that_sees_everything_has_its_maps_too_and_the_modal_does_not_scroll(serve, open_page):
    _, watched = opened(serve, open_page, path="/s/resnet18-birds/layer4.1.conv2/5")
    page = watched.page
    until(page, LOADED)
    for part in (".unit-body", ".modal-content"):
        hidden = page.evaluate(
            "part => { const e = document.querySelector(part); return e.scrollHeight - e.clientHeight }", part
        )
        assert hidden <= 0, part


def test_an_offer_that_is_gone_leaves_the_images_alone(serve, open_page):
    service = FakeService()
    watched = open_page()
    page = watched.page
    page.add_init_script("sessionStorage.setItem('lurk-map', JSON.stringify({method: 'lrp'}))")
    service.asks.offers = [replace(offer) for offer in service.asks.offers]
    page.goto(f"{serve(service).url}{LAYER}/5")
    words_are(page, ".map-bar .note", "LRP: not for this model")
    assert of_kind(service, "maps") == []
    assert watched.errors == []


def test_a_class_is_offered_only_where_the_network_scores_classes(serve, open_page):
    service, watched = FakeService(), open_page()
    service.asks.offers = [replace(offer, no_class="the model gives no class scores") for offer in service.asks.offers]
    page = watched.page
    chosen = "{method: 'deconvnet', target: 'class', mode: 'norm', boost: '0', gamma: '1', opacity: '0.7', options: {}}"
    page.add_init_script(f"sessionStorage.setItem('lurk-map', JSON.stringify({chosen}))")
    page.goto(f"{serve(service).url}{LAYER}/5")
    until(page, LOADED)
    target = page.get_by_label("What the map explains")
    assert target.locator("option").all_inner_texts() == ["its maximum", "its whole map"]
    assert target.input_value() == "maximum"
    assert {body["target"] for body in of_kind(service, "maps")} == {"maximum"}
