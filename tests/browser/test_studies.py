"""The front page: a card a study in each of its states, and studies that come and go while it is open."""

import os
from dataclasses import replace

import pytest

from tests.browser.steps import path_is, until
from tests.web.ui.fake import UNTRAINED, FakeService

pytestmark = pytest.mark.browser

STATES = {
    "birds": {"label": "birds"},
    "birds-2": {"label": "birds-2", "stale": "other weights, the images have changed since"},
    "resnet18-demo": {"notice": UNTRAINED},
    "growing": {"state": "running", "done": 312, "rate": 43.0, "serial": 3},
    "late": {"state": "waiting", "is_ready": False, "total": 0, "done": 0},
    "broken": {
        "label": "broken",
        "state": "failed",
        "is_ready": False,
        "total": 0,
        "done": 0,
        "message": "--weights 'runs/best.safetensors' does not fit: 3 of 62 tensors have another shape",
    },
}


class Several(FakeService):
    """A service whose studies are in different states."""

    def _one(self, name):
        return replace(FakeService(**STATES.get(name, {})), names=(name,), asks=self.asks)

    def studies(self):
        return [self._one(name).studies()[0] for name in self.names]

    def status(self, study):
        self._known(study)
        return self._one(study).status(study)

    def layers(self, study):
        self._known(study)
        return self._one(study).layers(study)


@pytest.fixture
def service():
    return Several(names=tuple(STATES))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 360, "height": 740}}),
    ],
)
def test_cards_show_every_state_and_fit_the_window(serve, open_page, service, kind, options):
    watched = open_page(**options)
    page = watched.page
    page.goto(serve(service).url)
    page.wait_for_selector(".cards a >> nth=5")
    said = page.locator(".cards > li").all_inner_texts()
    assert "stale" not in said[0]
    assert "Complete" in said[0]
    assert "From an earlier sweep: other weights, the images have changed since." in said[1]
    assert UNTRAINED in said[2]
    assert "Sweeping 312 of 1,000 images · 16 s left" in said[3]
    assert "Waiting, 2 ahead" in said[4]
    assert "Failed: --weights 'runs/best.safetensors'" in said[5]
    assert page.locator(".badge-word.stale").count() == page.locator(".badge-word.grave").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    until(page, "[...document.querySelectorAll('.card-strip > div')].every(one => one.style.backgroundImage)")
    if os.environ.get("LURK_SCREENSHOTS"):
        page.wait_for_timeout(500)
        page.screenshot(path=f"{os.environ['LURK_SCREENSHOTS']}/studies-{kind}.png", full_page=True)
    assert watched.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cards_can_be_read_by_everyone(serve, open_page, service, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(color_scheme=scheme).page
    page.goto(serve(service).url)
    page.wait_for_selector(".cards a >> nth=5")
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []


def test_untrained_is_red_in_both_themes(serve, open_page, service):
    served = serve(service)
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme).page
        page.goto(served.url)
        page.wait_for_selector(".badge-word.grave")
        red, green, blue = (
            int(part)
            for part in page.evaluate(
                "getComputedStyle(document.querySelector('.badge-word.grave')).backgroundColor.match(/\\d+/g)"
            )[:3]
        )
        assert red > 150
        assert max(green, blue) < 60


def test_a_study_that_comes_is_shown_and_can_be_opened_without_loading_the_page_again(serve, open_page):
    service = Several(names=("birds", "birds-2"))
    page = open_page().page
    page.goto(serve(service).url)
    page.wait_for_selector(".cards a >> nth=1")
    page.evaluate("window.same = true")
    service.names = ("birds", "birds-2", "new")
    page.wait_for_selector(".cards a >> nth=2")
    page.locator(".cards a").nth(2).click()
    path_is(page, "/s/new")
    page.wait_for_selector("#grid button.tile")
    assert page.evaluate("window.same")


def test_a_study_that_goes_while_it_is_shown_says_so_and_leads_back(serve, open_page):
    service = Several(names=("birds", "birds-2", "new"))
    page = open_page().page
    page.goto(serve(service).url + "/s/new")
    page.wait_for_selector("#grid button.tile")
    service.names = ("birds", "birds-2")
    page.wait_for_selector(".missing")
    assert "No study is called 'new'" in page.locator(".missing").inner_text()
    page.get_by_role("link", name="Back to the studies").click()
    page.wait_for_selector(".cards a >> nth=1")
    assert page.locator(".cards a").count() == 2


def test_a_stale_study_says_so_on_its_page_and_offers_to_sweep_again(serve, open_page):
    service = FakeService(stale="other weights")
    page = open_page().page
    page.goto(serve(service).url)
    page.wait_for_selector("#notice:not([hidden])")
    assert page.locator("#notice").inner_text() == "These results are of an earlier sweep: other weights."
    page.get_by_role("button", name="Sweep again").click()
    page.wait_for_timeout(300)
    assert service.asked == ["resume"]
