"""Names that are scripts, wherever a name is shown: none runs, and nothing on a page breaks its policy."""

import re
from dataclasses import replace

import pytest

from lurk.service.person import Person
from lurk.web.auth.access import Access
from tests.browser.steps import until
from tests.web.ui import fake, fake_asks
from tests.web.ui.fake import FakeService
from tests.web.ui.made_up import layer

pytestmark = pytest.mark.browser

PAYLOADS = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    '"><svg onload=window.hacked=1>',
    "' onmouseover=window.hacked=1 autofocus onfocus=window.hacked=1 '",
    "javascript:window.hacked=1",
    "[x](javascript:window.hacked=1)",
    '<a href="javascript:window.hacked=1">click</a>',
    '<iframe srcdoc="<script>parent.hacked=1</script>"></iframe>',
    "{{constructor.constructor('window.hacked=1')()}}${window.hacked=1}",
    "<details open ontoggle=window.hacked=1><style>@import 'x'</style>",
    "&lt;img src=x onerror=window.hacked=1&gt;",
    "\\u003cimg src=x onerror=window.hacked=1\\u003e<math><mi//xlink:href='data:x,1'>",
)
NAMES = tuple(payload.replace("/", "") for payload in PAYLOADS)  # a name in an address has none
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
PLANTED = "script:not([src]), img[src='x'], svg[onload], iframe, [onerror], [onfocus], [ontoggle], [href^='javascript']"

SHORT = pytest.param(slice(2, None, 4), id="three")
ALL = pytest.param(slice(None), id="all", marks=pytest.mark.slow)
OWN = {"_dash-config", "_dash-renderer"}  # data, and the one script whose hash the policy names


class Hostile(FakeService):
    """Every name is a script; there are as many studies, layers, classes and jobs as scripts."""

    def studies(self):
        return [
            fake.StudyView(name, f"{text} on {text}", text, text, "pretrained", text, True)
            for name, text in zip(NAMES, PAYLOADS, strict=True)
        ]

    def status(self, study):
        text = PAYLOADS[self.names.index(study)]
        return super().status(study) | {"message": text, "state": "failed", "notice": text, "weights": text}

    def _hit(self, info, unit, rank, score, before=None):
        hit = super()._hit(info, unit, rank, score, before)
        return fake.Hit(**{**vars(hit), "path": PAYLOADS[rank % len(PAYLOADS)], "label": rank % len(PAYLOADS)})

    def skipped(self, study):
        return [{"image": number, "path": text, "reason": text} for number, text in enumerate(PAYLOADS)]

    def jobs(self, person=None):
        job = super().jobs()[2]
        return [
            job
            | {
                "key": f"{number:032x}",
                "spec": {"kind": "map", "study": name, "layer": name, "unit": 1, "method": text, "image": text},
                "error": [text, text],
                "note": text,
                "person": text,
                "people": 2,
            }
            for number, (name, text) in enumerate(zip(NAMES, PAYLOADS, strict=True))
        ]


class Named(Access):
    """The proxy's header holds the number of the name that the person has."""

    kind, header = "header", "X-User"

    def by_header(self, peer, value):
        return Person(PAYLOADS[int(value or 0)], "admin")


@pytest.fixture
def service(monkeypatch):
    layers = [layer(name, text, 64, 28, 51, 8) for name, text in zip(NAMES, PAYLOADS, strict=True)]
    monkeypatch.setattr(fake, "LAYERS", layers)
    monkeypatch.setattr(fake, "CLASSES", PAYLOADS)
    made = Hostile(names=NAMES, skipped_images=len(PAYLOADS))
    made.asks.offers = [replace(offer, label=text) for offer, text in zip(fake_asks.OFFERS, PAYLOADS * 3, strict=False)]
    return made


@pytest.fixture
def watched(serve, service, open_page):
    served = serve(service, access=Named("key"))
    found = open_page()
    found.page.add_init_script(WATCH)
    found.page.on("dialog", lambda dialog: (found.errors.append("a dialog"), dialog.dismiss()))
    found.url = served.url
    return found


def settle(watched, place):
    """Nothing ran, nothing was planted, nothing was refused by the policy."""
    page = watched.page
    page.mouse.move(640, 360)
    page.wait_for_timeout(50)
    assert page.evaluate("window.hacked") is None, place
    assert page.evaluate("window.violations") == [], place
    assert planted(page) <= OWN, place
    assert [error for error in watched.errors if "404" not in error] == [], place


def planted(page):
    """Elements on the page that could run a script, by id or as they are written."""
    each = "selector => [...document.body.querySelectorAll(selector)].map((one) => one.id || one.outerHTML)"
    return set(page.evaluate(each, PLANTED))


def is_shown(page, where, text):
    until(page, "([where, text]) => document.querySelector(where)?.textContent.includes(text)", [where, text])


@pytest.mark.parametrize("some", [SHORT, ALL])
def test_scripts_in_the_names_of_studies_jobs_and_persons_are_text(watched, some):
    page = watched.page
    for number, text in list(enumerate(PAYLOADS))[some]:
        page.set_extra_http_headers({"X-User": str(number)})
        page.goto(f"{watched.url}/")
        is_shown(page, ".cards", text.rpartition("/")[2])
        is_shown(page, ".who", text)
        settle(watched, f"front page, person {text}")
    page.goto(f"{watched.url}/jobs")
    for text in PAYLOADS:
        is_shown(page, "table.jobs", text)
    for row in page.locator("table.jobs tbody tr").all():
        row.hover()
    settle(watched, "jobs")


@pytest.mark.parametrize("some", [SHORT, ALL])
def test_scripts_in_the_names_of_layers_classes_paths_and_messages_are_text(watched, some):
    page = watched.page
    for name, text in zip(NAMES[some], PAYLOADS[some], strict=True):
        link = page.evaluate("name => '/s/' + encodeURIComponent(name) + '/' + encodeURIComponent(name)", name)
        page.goto(f"{watched.url}{link}/2")
        page.wait_for_selector(".hits .hit")
        page.wait_for_selector(".figure .barlayer .point")
        is_shown(page, "#header-title", text.rpartition("/")[2])
        is_shown(page, "#header-state", text)
        is_shown(page, "#notice", text)
        is_shown(page, "#unit-title", name)
        settle(watched, f"unit of {text}")
    shown = page.evaluate("document.querySelector('#unit-modal, .modal').textContent")
    assert all(text in shown for text in PAYLOADS[:9])
    page.locator("#kind-mean").click()
    page.locator(".figure .barlayer .point").first.hover(force=True)
    settle(watched, "bars")
    page.locator("#unit-close").click()
    page.wait_for_selector("#unit-modal, .modal-dialog", state="hidden")
    page.locator("#layer-choice").click()
    settle(watched, "list of layers")
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("skipped")).click()
    page.wait_for_selector(".skipped-modal tbody tr >> nth=11")
    assert all(text in page.locator(".skipped-modal tbody").inner_text() for text in PAYLOADS)
    settle(watched, "skipped")


@pytest.mark.parametrize("some", [SHORT, ALL])
def test_scripts_in_an_address_are_text_in_the_message(watched, some):
    page = watched.page
    for name in NAMES[some]:
        page.goto(f"{watched.url}{page.evaluate('name => `/s/${encodeURIComponent(name)}x`', name)}")
        page.wait_for_selector(".missing")
        assert name[:12] in page.locator(".missing").inner_text()
        settle(watched, f"missing {name}")
