"""Requests for pictures and maps that go as the test says: done at once, waiting, running, failing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lurk.errors import LurkError
from lurk.records import digest
from lurk.service.urls import Address, preview_url
from tests.web.ui.made_up_methods import MODES, OFFERS, drawn

STEPS = 256
OPEN = ("queued", "running")


@dataclass
class FakeAsk:
    """One request; each look at it moves it on by a step of its kind's play."""

    key: str
    body: dict[str, Any]
    state: str
    done: int = 0


@dataclass
class FakeAsks:
    """The requests of a service.

    Args:
        play: How a kind of job goes, `draft` being that of coarse maps: `done` at once, `run` to the end while it is
            looked at, `wait` and `hold` as long as the test says, `fail`.
        step: Steps by which a running one moves at each look.
        tiles: Units whose pictures exist.
        maps: Images whose maps exist.
    """

    play: dict[str, str] = field(default_factory=dict)
    step: int = 64
    offers: list[Any] = field(default_factory=lambda: list(OFFERS))
    tiles: set[int] = field(default_factory=set)
    maps: set[int] = field(default_factory=set)
    posted: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    jobs: dict[str, FakeAsk] = field(default_factory=dict)

    def ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        offer = next((one for one in self.offers if one.name == body.get("method", "gradient_ascent")), None)
        if offer is None or offer.refusal:
            raise LurkError(f"{body.get('method')} cannot be had for this model: {offer and offer.refusal}")
        offer.read(body.get("options", {}))
        self.posted.append(dict(body))
        key = digest({name: value for name, value in sorted(body.items())})
        play = self._play(body)
        is_stored = body["kind"] == "maps" and self.maps.issuperset(body["images"])
        start = "done" if play == "done" or is_stored else "queued"
        job = self.jobs.get(key)
        if job is None or job.state in ("failed", "cancelled"):
            job = self.jobs[key] = FakeAsk(key, dict(body), start)
        if job.state == "done":
            self._finish(job)
        return self.shown(job)

    def _play(self, body: Mapping[str, Any]) -> str:
        draft = next((dict(one.draft) for one in self.offers if one.name == body.get("method")), {})
        is_draft = bool(draft) and draft.items() <= body.get("options", {}).items()
        return self.play.get("draft" if is_draft else body["kind"], "done")

    def _finish(self, job: FakeAsk) -> None:
        job.state, job.done = "done", STEPS
        if job.body["kind"] == "pictures":
            self.tiles |= set(job.body["units"])
        elif job.body["kind"] == "picture" and not job.body.get("options"):
            self.tiles.add(job.body["unit"])

    def look(self, key: str) -> dict[str, Any] | None:
        job = self.jobs.get(key)
        if job is None:
            return None
        play = self._play(job.body)
        if job.state == "queued" and play in ("run", "hold", "fail", "done"):
            job.state = "running"
        elif job.state == "running" and play == "fail":
            job.state = "failed"
        elif job.state == "running" and play == "hold":
            job.done = min(job.done + self.step, STEPS // 2)
        elif job.state == "running":
            job.done += self.step
            if job.body["kind"] == "pictures":
                self.tiles |= set(job.body["units"][: len(job.body["units"]) * job.done // STEPS])
            if job.done >= STEPS:
                self._finish(job)
        self.maps |= set(_ready(job))
        return self.shown(job)

    def cancel(self, key: str) -> dict[str, Any] | None:
        self.cancelled.append(key)
        job = self.jobs.get(key)
        if job is None:
            return None
        if job.state in OPEN:
            job.state = "cancelled"
        return self.shown(job)

    def shown(self, job: FakeAsk) -> dict[str, Any]:
        is_picture, is_running = job.body["kind"] == "picture", job.state == "running"
        return {
            "key": job.key,
            "state": job.state,
            "kind": job.body["kind"],
            "ahead": 2 if job.state == "queued" else 0,
            "done": job.done,
            "total": STEPS if job.state != "queued" else 0,
            "note": "",
            "rate": 20.0 if is_running else None,
            "eta_s": (STEPS - job.done) / 20 if is_running and job.done else None,
            "stopping": False,
            "error": ["RuntimeError", "not enough memory: 2.1 GB were asked for"] if job.state == "failed" else None,
            "preview": preview_url(job.key, f"step={job.done}") if is_picture and is_running and job.done else None,
            "result": self._result(job) if job.state == "done" else None,
            "ready": _ready(job),
            "errors": {},
        }

    def _result(self, job: FakeAsk) -> dict[str, Any]:
        makers = {"picture": picture_result, "map": map_result, "maps": maps_result, "sanity": sanity_result}
        maker = makers.get(job.body["kind"])
        return maker(job.body) if maker else {}

    def preview(self, key: str) -> bytes | None:
        job = self.jobs.get(key.partition("/c/")[0])
        return drawn(job.body["unit"], 0, job.done / STEPS) if job else None

    def pictures(self, units: Sequence[int]) -> dict[str, Address]:
        return {str(unit): Address(f"/media/fake/tile/{unit}") for unit in units if unit in self.tiles}


def _ready(job: FakeAsk) -> list[int]:
    images: list[int] = job.body.get("images", [])
    return images[: len(images) * job.done // STEPS]


def picture_result(body: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(body.get("options", {}))
    pictures = [
        {
            "url": Address(f"/media/fake/drawn/{body['unit']}/{number}/1.0"),
            "opacity_url": Address(f"/media/fake/opacity/{body['unit']}") if body["method"] == "maco" else None,
            "reached_mean": 1.02 - number / 10,
            "reached_max": 5.13 - number / 10,
            "after_jitter_mean": 0.97,
            "after_jitter_max": 4.81,
            "percentile": 0.99987,
            "best_real_max": 4.312,
            "best_real_mean": 1.204,
        }
        for number in range(int(options.get("diversity", 1)))
    ]
    return {
        "pictures": pictures,
        "method": body["method"],
        "options": {"steps": STEPS, "objective": "channel"} | options,
        "seconds": 11.6,
        "provenance": {"weights": "pretrained"},
    }


def map_result(body: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    number = 100 * seed + body["image"]
    return {
        "url": Address(f"/media/fake/map/{number}/{{mode}}/{{boost}}/{{gamma}}"),
        "modes": MODES,
        "scales": {mode: [0.0 if mode in ("norm", "blurred", "overlay") else -0.0342, 0.0342] for mode in MODES},
        "value": 5.949,
        "row": 21,
        "col": 3,
        "label": 7 if body["target"] == "class" else None,
        "label_name": "tree frog" if body["target"] == "class" else "",
        "where": body["target"],
        "silent": False,
        "why_silent": "",
        "channel_scales": [],
        "method": body["method"],
        "seconds": 0.21,
        "provenance": {},
    }


def maps_result(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"maps": {str(image): map_result({**body, "image": image}) for image in body["images"]}}


def sanity_result(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "randomised": map_result(body, 7),
        "similarity": 0.83,
        "agreement": {
            "gradient–deconvnet": 0.31,
            "gradient–guided backprop": 0.44,
            "deconvnet–guided backprop": 0.87,
        },
        "warning": "This map hardly changes when the weights are random: it shows the image more than the unit.",
    }
