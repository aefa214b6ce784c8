"""`lurk.serve` as a notebook uses it."""

import asyncio
import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lurk
from lurk.errors import LurkError

ROOT = Path(__file__).resolve().parents[3]


def alive(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}healthz", timeout=20) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_two_servers_run_inside_an_event_loop_and_stop_one_by_one(toy_index):
    index = lurk.Index(toy_index.folder)

    async def cell():
        with lurk.serve(index, port=0, block=False) as first, lurk.serve(index, port=0, block=False) as second:
            assert first.url != second.url
            with pytest.raises(LurkError, match=r"^port \d+ on 127\.0\.0\.1 is taken"):
                lurk.serve(index, port=int(first.url.rstrip("/").rpartition(":")[2]), block=False)
            first.stop()
            first.stop()
            return first, second, await asyncio.to_thread(alive, second.url), await asyncio.to_thread(alive, first.url)

    # A thread of its own: the browser tests leave an event loop running in the main thread.
    with ThreadPoolExecutor(1) as thread:
        first, second, second_answers, first_answers = thread.submit(asyncio.run, cell()).result()
    assert (second_answers, first_answers) == (True, False)
    assert not alive(second.url)
    assert first._repr_html_() == f"{first.url} (stopped)"


def test_the_handle_is_a_link_in_jupyter(toy_index):
    with lurk.serve(lurk.Index(toy_index.folder), port=0, block=False) as page:
        assert re.fullmatch(rf'<a href="{page.url}" [^>]*rel="noopener">{page.url}</a>', page._repr_html_())


@pytest.mark.slow
def test_after_the_kernel_has_ended_the_port_is_free_again(toy_index):
    lines = f"import lurk; print(lurk.serve(lurk.Index({str(toy_index.folder)!r}), port=0, block=False).url)"
    run = subprocess.run(
        [sys.executable, "-c", lines], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    port = int(run.stdout.strip().rstrip("/").rpartition(":")[2])
    with lurk.serve(lurk.Index(toy_index.folder), port=port, block=False) as page:
        assert page.url.endswith(f":{port}/")
