"""The page while the real web process is killed, ends and comes back on the same port."""

import os
import signal

import pytest

from lurk.config.options import Settings
from lurk.storage.index_writer import show_in_study
from lurk.web.server.web_process import Web
from tests.waiting import wait_for
from tests.web.server.test_web_process import arbiters

pytestmark = pytest.mark.browser


def test_the_page_outlives_a_killed_web_process_and_a_server_that_is_gone_for_a_while(toy_index, tmp_path, open_page):
    settings = Settings(model="toy", data="toy images", cache=str(tmp_path), port=0, web_workers=1)
    show_in_study(tmp_path, settings.study, toy_index.folder)
    page = open_page().page
    polls = []
    page.on("response", lambda answer: "/api/v1/studies/" in answer.url and answer.ok and polls.append(answer))
    with Web(settings) as web:
        web.wait(lambda: False)
        url, port = web.url, int(web.url.rstrip("/").rpartition(":")[2])
        page.goto(url)
        page.wait_for_selector("#grid button.tile")
        before = arbiters()
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: len(arbiters()) == 2 and not set(arbiters()) & set(before))
        heard = len(polls)
        page.wait_for_function("() => document.getElementById('gone').hidden", timeout=30_000)
        for _ in range(150):
            if len(polls) > heard:
                break
            page.wait_for_timeout(200)
        assert len(polls) > heard
        assert page.locator("#gone").is_hidden()
    page.wait_for_selector("#gone:not([hidden])", timeout=30_000)
    assert page.locator("#gone").inner_text() == "The server does not answer. Trying again…"
    again = Settings(model="toy", data="toy images", cache=str(tmp_path), port=port, web_workers=1)
    with Web(again) as web:
        web.wait(lambda: False)
        page.wait_for_selector("#gone", state="hidden", timeout=30_000)
        page.locator("#grid:not([aria-busy]) button.tile").first.click()
        page.wait_for_selector(".hits .hit")
