"""A service that serves plausible data with real images: the page is tried on it without a model or a sweep."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from lurk.errors import LurkError
from lurk.jobs.method_request import MethodRequest
from lurk.method_spec import MethodSpec
from lurk.records import Hit, LayerInfo, UnitRecord
from lurk.service.grid_view import SORTS
from lurk.service.person import OWNER, Person
from lurk.service.study_view import StudyView
from lurk.service.unit_words import tile_words, unit_name
from lurk.service.urls import Address, in_channels, patch_url, sprite_url, view_url
from tests.web.ui import made_up_methods
from tests.web.ui.fake_asks import FakeAsks
from tests.web.ui.made_up import CLASSES, IMAGES, LAYERS, VIEW, picture, webp

TILE, COLUMNS, PER_SPRITE = 64, 16, 256
UNTRAINED = "Untrained weights: the weights of resnet18 could not be fetched, so these are seeded random numbers."


def box_of(info: LayerInfo, row: int, col: int) -> tuple[int, int, int, int]:
    return info.box(row, col, (VIEW, VIEW))


@dataclass
class FakeUnit:
    """What `UnitView` offers, made up."""

    info: LayerInfo
    record: UnitRecord
    seen: int
    total: int
    no_classes: str
    name: str = ""
    channels: str = ""

    def hits(self, kind: str) -> list[dict[str, Any]]:
        found = self.record.hits_max if kind == "max" else self.record.hits_mean
        shown = []
        for hit in found:
            row0, col0, row1, col1 = hit.box
            top, left, bottom, right = max(row0, 0), max(col0, 0), min(row1, VIEW), min(col1, VIEW)
            shown.append(
                asdict(hit)
                | {
                    "class": "" if hit.label is None else CLASSES[hit.label],
                    "view_url": in_channels(view_url("fake", hit.image), self.channels),
                    "patch_url": in_channels(patch_url("fake", hit.image, hit.box), self.channels),
                    "outline": [left / VIEW, top / VIEW, (right - left) / VIEW, (bottom - top) / VIEW],
                    "whole": row1 - row0 >= VIEW,
                }
            )
        return shown

    @property
    def histogram(self) -> dict[str, list[float]]:
        rng = np.random.default_rng(self.record.unit)
        edges = np.linspace(0, max(self.record.hits_max[0].score, 1e-3) if self.record.hits_max else 1, 41)
        counts = np.exp(-np.linspace(0, 9, 40)) * 1e6 * rng.uniform(0.6, 1.4, 40)
        if self.record.state == "dead":
            edges, counts = np.array([0.0, 1e-3]), np.array([3e6])
        return {"edges": edges.tolist(), "counts": counts.tolist() if self.record.count else [0.0] * len(counts)}

    def bars(self, kind: str) -> list[dict[str, Any]]:
        means = self.record.class_max if kind == "max" else self.record.class_mean
        counts = self.record.class_count
        return [
            {
                "class": CLASSES[label],
                "mean": float(means[label]),
                "n": int(counts[label]),
                "half_width": float(means[label]) * 0.1 if counts[label] > 1 else None,
            }
            for label in np.argsort(-means)[:20]
        ]

    def overall(self, kind: str) -> float | None:
        return float((self.record.class_max if kind == "max" else self.record.class_mean).mean())

    def to_json(self) -> dict[str, Any]:
        return {"layer": self.record.layer, "unit": self.record.unit, "hits_max": self.hits("max"), "mean": np.nan}


@dataclass
class FakeService:
    """A service in any state that is asked for; each test makes its own."""

    state: str = "done"
    done: int = 1000
    total: int = 1000
    serial: int = 1
    notice: str = ""
    no_classes: str = ""
    names: tuple[str, ...] = ("resnet18-birds",)
    skipped_images: int = 0
    is_ready: bool = True
    message: str = ""
    stale: str = ""
    notes: tuple[str, ...] = ()
    channels: int = 3
    label: str = ""
    rate: float | None = None
    workers: int = 1
    shown_in: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    asks: FakeAsks = field(default_factory=FakeAsks)

    def studies(self) -> list[StudyView]:
        return [
            StudyView(
                name,
                f"resnet18 on <i>birds</i> {name}",
                "resnet18",
                "birds",
                "untrained" if self.notice else "pretrained",
                self.notice,
                self.is_ready,
                self.label,
                self.stale,
                *((self.total, len(LAYERS), 1234, 1764000000.0) if self.is_ready else ()),
                *(("shorter side to 256, mean (0.4980392156862745)", "ab" * 32) if self.is_ready else ()),
                *((sprite_url("fake", 0, 0, "1"), 16) if self.is_ready else ()),
                channels=self.channels,
                notes=self.notes,
            )
            for name in self.names
        ]

    def study(self, name: str) -> StudyView | None:
        return next((view for view in self.studies() if view.name == name), None)

    def _known(self, study: str) -> None:
        if study not in self.names:
            raise LurkError(f"no study is called {study!r}")

    def status(self, study: str) -> dict[str, Any]:
        self._known(study)
        left = (self.total - self.done) / self.rate if self.rate else None
        return {
            "study": study,
            "ready": self.is_ready,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "rate": self.rate,
            "eta_s": left,
            "ahead": 2 if self.state == "waiting" else 0,
            "message": self.message,
            "serial": self.serial,
            "images_indexed": self.done,
            "skipped": self.skipped_images,
            "notice": self.notice,
            "stale": self.stale,
            "weights": "untrained" if self.notice else "pretrained",
            "job": "0" * 32,
            "workers": self.workers,
        }

    def layers(self, study: str) -> list[LayerInfo]:
        self._known(study)
        return LAYERS if self.is_ready else []

    def _layer(self, study: str, name: str) -> LayerInfo:
        for info in self.layers(study):
            if info.name == name:
                return info
        raise LurkError(f"no layer is called {name!r}")

    def _state(self, info: LayerInfo, unit: int) -> str:
        states = {11: "dead", 23: "always_on", 37: "saturated", 42: "constant"}
        return states.get(unit % 50, "ok") if info.rectified else "ok"

    def unit_names(self, study: str, layer: str) -> list[str]:
        info = self._layer(study, layer)
        return [unit_name(info, unit, CLASSES) for unit in range(info.units)]

    def _tile_words(self, info: LayerInfo, unit: int) -> str:
        top = {"score": 100 / (unit + 1) if self._seen(info, unit) else float("nan"), "before": None}
        return tile_words(
            unit_name(info, unit, CLASSES), self._state(info, unit), top, info, self._top_class(info, unit)
        )

    def _top_class(self, info: LayerInfo, unit: int) -> str:
        return CLASSES[unit % len(CLASSES)] if self._state(info, unit) not in ("dead", "constant") else ""

    def _seen(self, info: LayerInfo, unit: int) -> bool:
        return self.done > 0 and (self.state == "done" or unit % 7 != 3)

    def grid(
        self, study: str, layer: str, sort: str = "unit", limit: int | None = None, offset: int = 0
    ) -> dict[str, Any]:
        info = self._layer(study, layer)
        if sort not in SORTS:
            raise LurkError("cannot sort")
        order = list(range(info.units))
        if sort != "unit":
            order = np.random.default_rng(len(sort)).permutation(info.units).tolist()
        order = order[offset : None if limit is None else offset + limit]
        number = LAYERS.index(info)
        return {
            "layer": layer,
            "units": info.units,
            "tile": TILE,
            "per_sprite": PER_SPRITE,
            "columns": COLUMNS,
            "sprites": [
                sprite_url("fake", number, page, str(self.serial)) for page in range(-(-info.units // PER_SPRITE))
            ],
            "order": order,
            "labels": [self._tile_words(info, unit) for unit in order],
            "names": self.unit_names(study, layer) if info.class_scores else None,
            "top_class": [self._top_class(info, unit) or None for unit in order],
            "state": [self._state(info, unit) for unit in order],
            "score": [100 / (unit + 1) if self._seen(info, unit) else None for unit in order],
            "before": [None for _ in order],
        }

    def unit(self, study: str, layer: str, unit: int) -> FakeUnit:
        info = self._layer(study, layer)
        rng = np.random.default_rng(unit)
        state = self._state(info, unit)
        before = np.sort(rng.exponential(3, 9) + 1)[::-1] - (
            20 if state == "dead" else -6 if state == "saturated" else 0
        )
        scores = before.clip(0, info.bound) if info.rectified else before
        is_listed = self.done and state != "constant"
        hits = [
            self._hit(info, unit, rank, float(score), float(before[rank]) if info.rectified else None)
            for rank, score in enumerate(scores)
        ] * bool(is_listed)
        means = (
            [self._hit(info, unit, rank + 9, float(score) / 5) for rank, score in enumerate(scores)]
            if is_listed
            else []
        )
        profile = np.sort(rng.exponential(2, len(CLASSES)) + 0.5)[::-1]
        profile = profile[rng.permutation(len(CLASSES))]
        record = UnitRecord(
            layer,
            unit,
            tuple(hits),
            tuple(means),
            np.full(len(CLASSES), 25, np.int64),
            profile,
            profile / 5,
            profile * 0.3,
            profile * 0.05,
            self.done * info.grid[0] * info.grid[1],
            0.21,
            0.62,
            0.0 if state == "dead" else 0.312,
            {0.5: 0.0, 0.99: 2.83},
            state,  # type: ignore[arg-type]
        )
        return FakeUnit(info, record, self.done, self.total, self.no_classes, unit_name(info, unit, CLASSES))

    def _hit(self, info: LayerInfo, unit: int, rank: int, score: float, before: float | None = None) -> Hit:
        image = (unit * 13 + rank * 7) % IMAGES
        rng = np.random.default_rng(image)
        row, col = (int(value) for value in rng.integers(0, info.grid[0], 2))
        label = None if self.no_classes else image % len(CLASSES)
        return Hit(image, f"birds/{image:05d}.jpg", label, score, row, col, box_of(info, row, col), before)

    def skipped(self, study: str) -> list[dict[str, Any]]:
        return [
            {"image": number, "path": f"birds/bad_{number}.png", "reason": "cut short: 312 of 4,096 bytes"}
            for number in range(self.skipped_images)
        ]

    def cancel(self, study: str, person: Person = OWNER) -> None:
        self._known(study)
        self.asked.append("cancel")
        self.state, self.rate = "cancelled", None

    def resume(self, study: str, person: Person = OWNER) -> None:
        self._known(study)
        self.asked.append("resume")
        self.state, self.rate = "running", 42.0

    def verify(self, study: str, layer: str, unit: int, person: Person = OWNER) -> str:
        self.asked.append(f"verify {layer} {unit}")
        return "1" * 32

    def methods(self, study: str) -> list[MethodSpec]:
        self._known(study)
        return self.asks.offers

    def ask(self, study: str, request: MethodRequest, person: Person = OWNER) -> dict[str, Any]:
        units = {"units": list(request.units)} if request.kind == "pictures" else {"unit": request.units[0]}
        images = {"images": list(request.images)} if request.kind == "maps" else {"image": request.image}
        of_map = images | {"target": request.target} if request.is_map else {}
        how = {"method": request.method, "options": dict(request.options)}
        return self.asks.ask({"kind": request.kind, "study": study, "layer": request.layer, **units, **of_map, **how})

    def pictures(self, study: str, layer: str, units: Sequence[int]) -> dict[str, Address]:
        return self.asks.pictures(units)

    def preview(self, key: str) -> bytes | None:
        return self.asks.preview(key)

    def jobs(self, person: Person = OWNER) -> list[dict[str, Any]]:
        return [self._job("1" * 32), self._job("0" * 32), self._job("2" * 32), self._job("3" * 32)]

    def _job(self, key: str) -> dict[str, Any]:
        which = int(key[0])
        kind = "sweep" if which == 0 else "verify"
        state = ["running", "done", "failed", "queued"][which]
        place = {"layer": None, "unit": None} if which == 0 else {"layer": "layer1.0.conv1", "unit": which}
        return {
            "key": key,
            "spec": {"kind": kind, "study": self.names[0], **place},
            "state": state,
            "done": 312 if which == 0 else 0,
            "total": 1000 if which == 0 else 0,
            "rate": 42.0 if which == 0 else None,
            "note": "",
            "submitted": 1764000000.0,
            "error": ["ImagesError", "the image folder is gone: /data/birds"] if which == 2 else None,
            "ahead": 1 if which == 3 else 0,
            "result": {"checked": 18, "agree": 18, "wrong": []} if which == 1 else None,
        }

    def job(self, key: str) -> dict[str, Any] | None:
        return self._job(key) if key in {job["key"] for job in self.jobs()} else self.asks.look(key)

    def cancel_job(self, key: str, person: Person = OWNER) -> dict[str, Any] | None:
        self.asked.append(f"cancel {key}")
        return self.asks.cancel(key) or self.job(key)

    def media(self, key: str) -> tuple[bytes, str] | None:
        key, _, chosen = key.partition("/c/")
        self.shown_in.add(chosen)
        parts = key.split("/")
        if parts[:2] == ["fake", "view"]:
            return webp(picture(int(parts[2]))), "image/webp"
        if parts[:2] == ["fake", "patch"]:
            row0, col0, row1, col1 = (int(side) for side in parts[3].split("_"))
            return webp(picture(int(parts[2])).crop((col0, row0, col1, row1))), "image/webp"
        if parts[:2] == ["fake", "sprite"]:
            return self._sprite(LAYERS[int(parts[2])], int(parts[3])), "image/webp"
        made = made_up_methods.media(key)
        return None if made is None else (made, "image/webp")

    def _sprite(self, info: LayerInfo, page: int) -> bytes:
        units = range(page * PER_SPRITE, min((page + 1) * PER_SPRITE, info.units))
        sheet = Image.new("RGB", (COLUMNS * TILE, -(-len(units) // COLUMNS) * TILE), (128, 128, 128))
        for place, unit in enumerate(units):
            hit = self._hit(info, unit, 0, 1.0)
            row0, col0, row1, col1 = hit.box
            tile = picture(hit.image).crop((col0, row0, col1, row1)).resize((TILE, TILE))
            sheet.paste(tile, (place % COLUMNS * TILE, place // COLUMNS * TILE))
        return webp(sheet)

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return self.is_ready, {"workers": 1}

    def metrics(self) -> str:
        return "lurk_workers 1\n"
