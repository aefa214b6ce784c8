"""A click on a unit, in a real Chromium on the real server: the time to the first preview, requests and bytes.

python -m benchmarks.previews [--data FOLDER] [--layer _blocks.8._expand_conv] [--scenes idle other sweep both grid]

The study is the bundled network with the demo set, two images a class, or with other images. The scenes:

- `idle`: somebody clicks on a unit while the worker has nothing to do, and waits until its picture is done.
- `other`: somebody clicks while another person's picture is being drawn.
- `sweep`: somebody clicks while a sweep of the same network runs.
- `both`: the same, and the grid waits for the pictures of all tiles in view.
- `grid`: somebody switches the grid to pictures; the times until half and all of the tiles in view show one.

A preview counts as seen when the browser has decoded it; it is grey if its pixels deviate by less than 3 of 255 levels.
Requests and bytes are those of the browser, from the click to the end, without the page's own scripts.
"""

import argparse
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.acceptance.server import RealServer, real_server
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.steps import until

GREY = 3
LONGEST_S = 600.0
WATCH = """
window.seen = [];
document.addEventListener("load", (event) => {
  const image = event.target;
  if (!image.matches || !image.matches("img.drawn")) return;
  const canvas = new OffscreenCanvas(64, 64).getContext("2d");
  canvas.drawImage(image, 0, 0, 64, 64);
  const { data } = canvas.getImageData(0, 0, 64, 64);
  let sum = 0, squares = 0;
  for (let at = 0; at < data.length; at += 4) { sum += data[at]; squares += data[at] ** 2; }
  const mean = sum / 4096;
  window.seen.push({
    at: performance.now(), src: image.src, width: image.naturalWidth, spread: Math.sqrt(squares / 4096 - mean ** 2),
  });
}, true);
window.begin = (selector) => {
  window.seen.length = 0;
  window.began = performance.now();
  document.querySelector(selector).click();
};
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="", help="the images")
    parser.add_argument("--layer", default="_blocks.8._expand_conv")
    parser.add_argument("--scenes", nargs="*", default=list(SCENES))
    given = parser.parse_args()
    data = ("--data", given.data) if given.data else ("--sample", "2")
    with tempfile.TemporaryDirectory() as folder, real_server(Path(folder), *data) as server:
        study = server.json("studies")[0]["name"]
        server.wait(study, lambda now: now["state"] == "done", timeout_s=600)
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            place = f"/s/{study}/{given.layer}"
            for scene in given.scenes:
                SCENES[scene](browser, server, study, place)
            browser.close()


@contextmanager
def opened(browser: Browser, server: RealServer, place: str) -> Any:
    """A page that shows a layer, and the sizes of what it loads, by kind of address."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(300_000)
    page.add_init_script(WATCH)
    loaded: list[tuple[str, int]] = []
    paths: dict[str, str] = {}
    network = context.new_cdp_session(page)
    network.on("Network.responseReceived", lambda one: paths.update({one["requestId"]: one["response"]["url"]}))
    network.on(
        "Network.loadingFinished",
        lambda one: loaded.append((paths.get(one["requestId"], ""), int(one["encodedDataLength"]))),
    )
    network.send("Network.enable")
    page.goto(server.url + place)
    page.wait_for_selector("#grid button.tile >> nth=20")
    page.wait_for_timeout(3000)
    loaded.clear()
    yield page, loaded
    context.close()


def click(page: Page, unit: int) -> None:
    page.evaluate("selector => window.begin(selector)", f"#grid button.tile[data-unit='{unit}']")


def first_previews(page: Page) -> str:
    """Times from the click to the first preview and to the first that is not grey."""
    until(page, f"window.seen.some(one => one.spread >= {GREY})", timeout_s=LONGEST_S)
    began, seen = page.evaluate("[window.began, window.seen]")
    telling = next(one for one in seen if one["spread"] >= GREY)
    return (
        f"first preview {(seen[0]['at'] - began) / 1000:.2f} s, first not grey {(telling['at'] - began) / 1000:.2f} s"
    )


def idle(browser: Browser, server: RealServer, _study: str, place: str) -> None:
    with opened(browser, server, place) as (page, loaded):
        for unit in (17, 18):
            loaded.clear()
            click(page, unit)
            told = first_previews(page)
            page.wait_for_selector(".canvas[data-state='done']")
            until(page, "window.seen.at(-1).src.includes('/media/')", timeout_s=LONGEST_S)
            began, seen = page.evaluate("[window.began, window.seen]")
            times = " ".join(f"{(one['at'] - began) / 1000:.2f}" for one in seen)
            print(f"idle, unit {unit}: {told}, done {(seen[-1]['at'] - began) / 1000:.1f} s; images at {times}")
            print(f"  {kinds(loaded)}", flush=True)
            page.keyboard.press("Escape")
            page.wait_for_selector(".unit-modal", state="detached")


def kinds(loaded: list[tuple[str, int]]) -> str:
    groups = {"job": "/api/v1/jobs", "preview": "/preview/", "media": "/media/", "status": "/api/v1/studies"}
    found = {name: [size for url, size in loaded if part in url] for name, part in groups.items()}
    found["other"] = [size for url, size in loaded if not any(part in url for part in groups.values())]
    parts = [f"{name} {len(sizes)} ({sum(sizes) / 1000:.0f} kB)" for name, sizes in found.items()]
    total = sum(size for _, size in loaded)
    return f"{len(loaded)} requests, {total / 1000:.0f} kB: " + ", ".join(parts)


def ask(server: RealServer, study: str, layer: str, unit: int) -> str:
    """Somebody else asks for a unit's picture."""
    body = {"kind": "picture", "study": study, "layer": layer, "unit": unit}
    return str(server.post("jobs", body)["key"])


def until_drawing(server: RealServer, key: str, steps: int = 20) -> None:
    while server.json(f"jobs/{key}")["done"] < steps:
        time.sleep(0.1)


def other(browser: Browser, server: RealServer, study: str, place: str) -> None:
    layer = place.rpartition("/")[2]
    with opened(browser, server, place) as (page, _):
        for unit in (31, 32, 33):
            key = ask(server, study, layer, unit + 50)
            until_drawing(server, key)
            click(page, unit)
            print(f"other, unit {unit}: {first_previews(page)}", flush=True)
            page.keyboard.press("Escape")
            page.wait_for_selector(".unit-modal", state="detached")
            server.post(f"jobs/{key}/cancel")
            page.wait_for_timeout(2000)


def sweep(browser: Browser, server: RealServer, study: str, place: str, *, with_grid: bool = False) -> None:
    """The sweep that runs is of the layer's study again, as a job with other options."""
    with tempfile.TemporaryDirectory() as folder, real_server(Path(folder), "--sample", "25") as busy:
        name = busy.json("studies")[0]["name"]
        busy.wait(name, lambda now: now["state"] == "running" and now["done"] > 16, timeout_s=300)
        with opened(browser, busy, place.replace(study, name)) as (page, _):
            if with_grid:
                page.get_by_role("button", name="pictures", exact=True).click()
                page.wait_for_timeout(6000)
            for unit in (91, 92, 93):
                click(page, unit)
                print(f"{'both' if with_grid else 'sweep'}, unit {unit}: {first_previews(page)}", flush=True)
                page.keyboard.press("Escape")
                page.wait_for_selector(".unit-modal", state="detached")
                page.wait_for_timeout(3000)
            state = busy.json(f"studies/{name}")
            print(f"  the sweep meanwhile: {state['state']}, {state['done']} of {state['total']}", flush=True)


def grid(browser: Browser, server: RealServer, _study: str, place: str) -> None:
    with opened(browser, server, place) as (page, loaded):
        page.evaluate("window.began = performance.now()")
        began = time.monotonic()
        page.get_by_role("button", name="pictures", exact=True).click()
        there = "document.querySelectorAll('#grid .cover.there').length"
        whole = """[...document.querySelectorAll('#grid button.tile')].filter(
            one => one.getBoundingClientRect().top < innerHeight).length"""
        in_view = page.evaluate(whole)
        until(page, f"{there} >= 1", timeout_s=LONGEST_S)
        print(f"grid: {in_view} in view; first tile {time.monotonic() - began:.1f} s", end="", flush=True)
        for share in (16, 32, 64):
            if share <= in_view:
                until(page, f"{there} >= {share}", timeout_s=LONGEST_S)
                print(f", {share} tiles {time.monotonic() - began:.1f} s", end="", flush=True)
        drawn = "Number(document.querySelector('#grid-shows .note').textContent.split(' ')[0])"
        until(page, f"{drawn} >= 16", timeout_s=LONGEST_S)
        print(f", 16 drawn in full {time.monotonic() - began:.1f} s\n  {kinds(loaded)}", flush=True)


SCENES = {"idle": idle, "other": other, "sweep": sweep, "both": partial(sweep, with_grid=True), "grid": grid}

if __name__ == "__main__":
    main()
