"""Logging in and out, a session that ends, and what is said where something is refused or nobody works."""

import pytest

from lurk.errors import NotAllowedError, QueueError, QueueFullError
from lurk.web.auth.access import TokenAccess
from tests.browser.steps import until
from tests.web.ui.fake import FakeService

pytestmark = pytest.mark.browser

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""
STUDY = "/s/resnet18-birds"


def test_who_is_not_in_logs_in_and_comes_to_where_they_wanted(serve, open_page):
    served = serve(FakeService(), access=TokenAccess("key", "secret", "boss"))
    page = open_page().page
    page.add_init_script(WATCH)
    page.goto(f"{served.url}{STUDY}")
    assert page.locator("h1").inner_text() == "Torchlurk"
    page.locator("#token").fill('"><script>window.hacked=1</script>')
    page.get_by_role("button", name="Log in").click()
    assert "does not fit" in page.get_by_role("alert").inner_text()
    page.locator("#token").fill("secret")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("#grid button.tile")
    assert page.evaluate("location.pathname + location.search") == STUDY
    assert page.locator(".who").inner_text().startswith("guest-")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_selector("#token")
    assert page.evaluate("[window.hacked ?? 0, window.violations.length]") == [0, 0]


def test_the_printed_address_is_enough_and_a_session_that_ends_leads_to_the_login(serve, open_page):
    served = serve(FakeService(), access=TokenAccess("key", "secret", "boss"))
    page = open_page().page
    page.goto(f"{served.url}/?token=boss")
    page.wait_for_selector("#grid button.tile")
    assert page.evaluate("location.search") == ""
    page.context.clear_cookies()
    page.wait_for_url("**/login?*")
    assert page.locator("input[name=next]").get_attribute("value").startswith("/")


def test_a_sweep_that_is_not_ones_own_has_no_cancel_and_a_job_says_why(serve, open_page, monkeypatch):
    service = FakeService(state="running", done=10, rate=1.0)
    served = serve(service, access=TokenAccess("key", "secret", "boss"))
    page = open_page().page
    page.goto(f"{served.url}/?token=secret")
    page.wait_for_selector("#grid button.tile")
    until(page, "document.getElementById('header-state').textContent.includes('10 of')")
    assert not page.locator("#header-cancel").is_visible()

    def refuse(*_):
        raise NotAllowedError("only who asked for a job may cancel it")

    monkeypatch.setattr(service, "cancel_job", refuse)
    page.goto(f"{served.url}/jobs")
    page.get_by_role("button", name="Cancel Sweep").click()
    until(page, "document.getElementById('gone').textContent === 'Only who asked for a job may cancel it.'")


def test_no_worker_alive_is_said(serve, open_page):
    service = FakeService(state="running", done=10, rate=1.0)
    served = serve(service)
    page = open_page().page
    page.goto(served.url)
    page.wait_for_selector("#header-state")
    until(page, "document.getElementById('header-state').textContent.includes('images/s')")
    service.workers = 0
    until(page, "document.getElementById('header-state').textContent.endsWith('no worker is alive')")
    service.workers = 1
    until(page, "!document.getElementById('header-state').textContent.includes('worker')")


def test_a_damaged_queue_is_told_as_it_is(serve, open_page, monkeypatch):
    service = FakeService(state="running", done=10, rate=1.0)
    served = serve(service)
    page = open_page().page
    page.goto(served.url)
    page.wait_for_selector("#grid button.tile")

    def damaged(_study):
        raise QueueError("the job queue is damaged; move that folder away")

    monkeypatch.setattr(service, "status", damaged)
    until(page, "document.getElementById('gone').textContent.startsWith('The job queue is damaged; move that')")
    monkeypatch.undo()
    page.wait_for_selector("#gone", state="hidden")


def test_a_full_queue_says_how_many_are_ahead(serve, open_page, monkeypatch):
    service = FakeService()
    served = serve(service)
    page = open_page().page

    def full(*_, **__):
        raise QueueFullError("queue full, 2000 ahead; wait")

    monkeypatch.setattr(service, "verify", full)
    page.goto(f"{served.url}{STUDY}/conv1/3")
    page.wait_for_selector(".hits .hit")
    page.locator("#unit-check").click()
    until(page, "document.getElementById('unit-checked').textContent === 'queue full, 2000 ahead; wait'")
