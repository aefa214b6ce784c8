"""What the pages and the JSON API ask for: it reads indexes, and submits and watches jobs. No Dash, no torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lurk.config.options import Settings
from lurk.errors import CacheError, IndexFormatError, LurkError, NotAllowedError
from lurk.jobs.lanes import Lane
from lurk.jobs.method_request import KINDS, MethodRequest
from lurk.jobs.queue import Job, Limits, Queue
from lurk.method_spec import MethodSpec
from lurk.records import JobSpec, LayerInfo
from lurk.service.grid_view import SORTS, grid
from lurk.service.media import draw, draw_preview
from lurk.service.method_requests import (
    complete,
    job_view,
    missing_part,
    ready_images,
    request_view,
    takes_long,
)
from lurk.service.method_results import default_pictures
from lurk.service.metrics import Metrics
from lurk.service.person import OWNER, Person
from lurk.service.study_view import StudyView, StudyViews
from lurk.service.unit_view import UnitView
from lurk.service.unit_words import unit_name
from lurk.service.urls import Address, read_media
from lurk.storage.diagnosis import read_diagnosis, read_summary
from lurk.storage.disk_space import Space
from lurk.storage.index import Index
from lurk.storage.manifest import index_folder, study_index
from lurk.storage.metric_counts import COUNTS
from lurk.storage.render_store import Renders
from lurk.storage.results import read_offers
from lurk.storage.webp import MIMETYPE, SPRITE_MIMETYPE

MORE_INDEXES = 8


class Service:
    """Answers for all studies of a server."""

    def __init__(
        self,
        studies: Mapping[str, Settings] | Callable[[], Mapping[str, Settings]],
        cache: Path,
        queue: Queue,
        renders: Renders,
        *,
        limits: Limits | None = None,
        space: Space | None = None,
    ) -> None:
        """Open the service; indexes are opened when they are first asked for.

        Args:
            studies: The studies by name, or a function that returns them as they are now.
            cache: The cache directory.
            queue: The queue for jobs.
            renders: The store of drawn images.
            limits: How many jobs may wait, None for any number.
            space: Checks that the disk has room for new work; by default there is always room.
        """
        self._studies = studies if callable(studies) else lambda: studies
        self._study_views = StudyViews(cache)
        self.cache, self.queue, self._renders = cache, queue, renders
        self._limits, self._space = limits, space or Space(cache)
        self._indexes: dict[tuple[str, int], Index] = {}

    def start(self) -> None:
        """Submit the sweep of every study; one that is complete only checks that weights and images are the same."""
        for settings in self._studies().values():
            self.queue.submit(settings.sweep_spec(), Lane.SWEEP, again=True)

    def _submit(self, spec: JobSpec, lane: int, person: Person) -> Job:
        """Put a job into the queue; raises QueueFullError or DiskFullError if there is no room for it."""
        self._space.check()
        return self.queue.submit(spec, lane, again=True, person=person.name, limits=self._limits)

    def _cancel(self, key: str, person: Person) -> Job | None:
        """Cancel a job for a person; it goes on if others asked for it too."""
        job = self.queue.get(key)
        if job is None or person.is_admin:
            return self.queue.cancel(key)
        if person.name not in job.people:
            raise NotAllowedError("only who asked for a job, or an admin, may cancel it")
        return self.queue.cancel(key, person.name)

    def studies(self) -> list[StudyView]:
        """The studies of this server."""
        return [self._study_view(name, settings) for name, settings in self._studies().items()]

    def names(self) -> list[str]:
        """Names of the studies."""
        return list(self._studies())

    def study(self, name: str) -> StudyView | None:
        """The study of that name; None if there is none."""
        settings = self._studies().get(name)
        return None if settings is None else self._study_view(name, settings)

    def _study_view(self, name: str, settings: Settings) -> StudyView:
        index = self._index(name)
        view = self._study_views.view(name, settings, index, self._notice(index))
        checked = read_summary(index.folder, index.manifest.provenance) if index else ""
        return replace(view, notes=(*view.notes, checked)) if checked else view

    def _notice(self, index: Index | None) -> str:
        """Warnings of the study, of the doctor, of the store of images and of the disk, a line each."""
        found = read_diagnosis(index.folder, index.manifest.provenance) if index else None
        parts = (index.manifest.notice if index else "", *(found or ()), self._renders.notice, self._space.notice)
        return "\n".join(part for part in parts if part)

    def _settings(self, study: str) -> Settings:
        studies = self._studies()
        if study not in studies:
            raise LurkError(f"no study is called {study!r}; known are: {', '.join(studies) or 'none'}")
        return studies[study]

    def _index(self, study: str) -> Index | None:
        """The study's index as of its last checkpoint."""
        folder = study_index(self.cache, study)
        return None if folder is None else self._open_index(folder)

    def _open_index(self, folder: Path) -> Index | None:
        """An index, opened again only when its manifest has changed."""
        try:
            stamp = (folder.name, (folder / "manifest.json").stat().st_mtime_ns)
            if stamp not in self._indexes:
                while len(self._indexes) >= MORE_INDEXES + len(self._studies()):
                    self._indexes.pop(next(iter(self._indexes)), None)
                self._indexes[stamp] = Index(folder).open_all()
            return self._indexes[stamp]
        except (OSError, IndexFormatError, CacheError):
            return None

    def _existing_index(self, study: str) -> Index:
        self._settings(study)
        index = self._index(study)
        if index is None:
            raise LurkError(f"study {study!r} has no index yet; its sweep has not begun")
        return index

    def status(self, study: str) -> dict[str, Any]:
        """State of a study's sweep, for the header and the poller."""
        settings = self._settings(study)
        spec = settings.sweep_spec()
        index, job = self._index(study), self.queue.get(spec.key)
        manifest = index.manifest if index else None
        state = _state(job, manifest is not None and manifest.complete)
        done, total, rate = (job.done, job.total, job.rate) if job and state == "running" else (0, 0, None)
        if manifest and state != "running":
            done, total = manifest.done, manifest.images
        return {
            "study": study,
            "ready": index is not None,
            "state": state,
            "done": done,
            "total": total,
            "rate": rate,
            "eta_s": (total - done) / rate if rate else None,
            "ahead": self.queue.ahead(spec.key) if job and job.state == "queued" else 0,
            "message": _message(job),
            "serial": manifest.generation if manifest else 0,
            "images_indexed": manifest.done if manifest else 0,
            "skipped": len(manifest.skipped) if manifest else 0,
            "notice": self._notice(index),
            "stale": self._study_views.stale(study, settings) if manifest else "",
            "weights": manifest.provenance.weights if manifest else "",
            "job": spec.key,
            "workers": self.queue.workers_alive(),
        }

    def layers(self, study: str) -> list[LayerInfo]:
        """Layers of a study; empty until a worker has loaded its model."""
        self._settings(study)
        index = self._index(study)
        return index.layers if index else []

    def grid(
        self, study: str, layer: str, sort: str = "unit", limit: int | None = None, offset: int = 0
    ) -> dict[str, Any]:
        """A layer's grid; see `grid_view.grid`."""
        if sort not in SORTS:
            raise LurkError(f"cannot sort by {sort!r}; sort by one of {', '.join(SORTS)}")
        return grid(self._existing_index(study), layer, sort, limit, offset)

    def unit(self, study: str, layer: str, unit: int) -> UnitView:
        """One unit, as far as the sweep is."""
        return UnitView(self._existing_index(study), layer, unit)

    def unit_names(self, study: str, layer: str) -> list[str]:
        """What the units of a layer are called: `unit 3`, or `class tench` for class scores."""
        index = self._existing_index(study)
        info = index.layer(layer)
        return [unit_name(info, unit, index.manifest.outputs) for unit in range(info.units)]

    def skipped(self, study: str) -> list[dict[str, Any]]:
        """The images that could not be used, each with its reason."""
        index = self._index(study)
        found = index.manifest.skipped if index else ()
        return [{"image": image, "path": path, "reason": reason} for image, path, reason in found]

    def cancel(self, study: str, person: Person = OWNER) -> None:
        """Stop a study's sweep at its next batch; what is done is kept."""
        self._cancel(self._settings(study).sweep_spec().key, person)

    def resume(self, study: str, person: Person = OWNER) -> None:
        """Resume a study's sweep."""
        self._submit(self._settings(study).sweep_spec(), Lane.SWEEP, person)

    def verify(self, study: str, layer: str, unit: int, person: Person = OWNER) -> str:
        """Submit a job that computes a unit's stored hits again and compares them; returns its key."""
        self.unit(study, layer, unit)
        spec = self._settings(study).sweep_spec()
        check = JobSpec("verify", study, (*spec.parameters, ("layer", layer), ("unit", unit)))
        return self._submit(check, Lane.NOW, person).key

    def methods(self, study: str) -> list[MethodSpec]:
        """The methods, each with why it does not work for the study's model if so; empty until that is loaded."""
        self._settings(study)
        index = self._index(study)
        return read_offers(index.folder) if index else []

    def ask(self, study: str, request: MethodRequest, person: Person = OWNER) -> dict[str, Any]:
        """Submit a request for pictures or a map; if the result is stored, the job comes back done, with its result."""
        settings, index = self._settings(study), self._existing_index(study)
        request = complete(index, request)
        missing = missing_part(index, request)
        spec = (missing or request).spec(settings.sweep_spec(), index.key)
        lane = Lane.NEXT if takes_long(index, request) else Lane.NOW
        job = self._submit(spec, lane, person) if missing else Job(spec.key, spec, lane, "done")
        return self._view(job) | {"ready": ready_images(index, request)}

    def pictures(self, study: str, layer: str, units: Sequence[int]) -> dict[str, Address]:
        """Addresses of the default pictures by unit: tiles of finished ones, previews of those being drawn."""
        return default_pictures(self._existing_index(study), layer, units, self._renders)

    def preview(self, key: str) -> bytes | None:
        """A picture that is being drawn, by what follows `/preview/` in its address; None if there is none."""
        return draw_preview(key, self._renders)

    def jobs(self, person: Person = OWNER) -> list[dict[str, Any]]:
        """A person's jobs, newest first; everybody's for an admin."""
        places, found = self.queue.places(), self.queue.jobs()
        own = [job for job in found if person.is_admin or person.name in job.people]
        return [job_view(job, places.get(job.key, 0)) for job in own]

    def job(self, key: str) -> dict[str, Any] | None:
        """The job of that key; None if there is none."""
        job = self.queue.get(key)
        return None if job is None else self._view(job)

    def _view(self, job: Job) -> dict[str, Any]:
        ahead = self.queue.ahead(job.key)
        if job.spec.kind not in KINDS:
            return job_view(job, ahead)
        index = self._open_index(index_folder(self.cache, str(job.spec.get("index"))))
        return request_view(job, ahead, index, self._renders)

    def cancel_job(self, key: str, person: Person = OWNER) -> dict[str, Any] | None:
        """Cancel a job for a person, who sees it as cancelled even if it goes on for others."""
        job = self._cancel(key, person)
        if job is None:
            return None
        goes_on = job.state in ("queued", "running") and not job.stopping
        return self._view(job) | ({"state": "cancelled"} if goes_on else {})

    def media(self, key: str) -> tuple[bytes, str] | None:
        """Body and MIME type of the image at a media address; None if there is none."""
        address = read_media(key)
        if address is None:
            return None
        latest = self._open_index(index_folder(self.cache, address.index))
        before = [one for (name, _), one in self._indexes.copy().items() if name == address.index and one is not latest]
        if latest:  # addresses from before the last checkpoint stay valid
            before = [*filter(None, [latest.before()]), *before, latest]
        for index in reversed(before):
            data = draw(index, address, self._renders)
            if data is not None:
                return data, SPRITE_MIMETYPE if address.kind == "sprite" else MIMETYPE
        return None

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether every index can be read and a worker is alive; with the number of workers and each study's state."""
        workers = self.queue.workers_alive()
        studies = {name: self._index(name) is not None for name in self.names()}
        return workers > 0 and all(studies.values()), {"workers": workers, "studies": studies}

    def metrics(self) -> str:
        """Metrics for Prometheus."""
        studies = {study: self.status(study) for study in self.names()}
        return Metrics(self.queue.jobs(), self.queue.workers_alive(), studies, COUNTS.read()).text()


def _state(job: Job | None, complete: bool) -> str:
    """State of a sweep: waiting, starting, running, done, cancelled or failed.

    A sweep with a complete index waits too, until a worker has checked that weights and images are still the same.
    """
    if job is None:
        return "done" if complete else "waiting"
    if job.state == "running":
        return "running" if job.total else "starting"
    return "waiting" if job.state == "queued" else job.state


def _message(job: Job | None) -> str:
    if job is None:
        return ""
    return str(job.error[1]) if job.state == "failed" and job.error else job.note
