"""All that a page may ask: read the index, submit and watch jobs. No Dash, no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lurk import media, views
from lurk.counts import COUNTS
from lurk.errors import CacheError, IndexFormatError, LurkError
from lurk.index import Index
from lurk.jobs import Job, Queue
from lurk.manifest import index_folder, study_index
from lurk.metrics import Figures
from lurk.offers import Offer
from lurk.records import JobSpec, LayerInfo
from lurk.requests import Requests, is_request, job_view
from lurk.results import read_offers
from lurk.settings import Settings
from lurk.stores import Renders
from lurk.views import StudyView, UnitView

LANE_NOW, LANE_SWEEP = 0, 2
MOST_INDEXES = 8


class Service:
    """What the pages and the JSON API ask; one for all studies of a server."""

    def __init__(self, studies: Mapping[str, Settings], cache: Path, queue: Queue, renders: Renders) -> None:
        self._settings = dict(studies)
        self.cache, self._queue, self._renders = cache, queue, renders
        self._requests = Requests(queue, renders)
        self._open: dict[tuple[str, int], Index] = {}

    def start(self) -> None:
        """Ask for the sweep of every study; one that is complete answers at once."""
        for settings in self._settings.values():
            self._queue.submit(settings.sweep_spec(), LANE_SWEEP, again=True)

    def studies(self) -> list[StudyView]:
        """The studies of this server."""
        return [self._study_view(name, settings) for name, settings in self._settings.items()]

    def study(self, name: str) -> StudyView | None:
        """The study of that name."""
        return self._study_view(name, self._settings[name]) if name in self._settings else None

    def _study_view(self, name: str, settings: Settings) -> StudyView:
        index = self._index(name)
        title = f"{Path(settings.model).name} on {Path(settings.data).name}"
        weights = index.manifest.provenance.weights if index else ""
        notice = index.manifest.notice if index else ""
        return StudyView(name, title, settings.model, settings.data, weights, notice, index is not None)

    def _known(self, study: str) -> Settings:
        if study not in self._settings:
            raise LurkError(f"no study is called {study!r}; known are: {', '.join(self._settings) or 'none'}")
        return self._settings[study]

    def _index(self, study: str) -> Index | None:
        """The study's index as of its last checkpoint."""
        folder = study_index(self.cache, study)
        return None if folder is None else self._opened(folder)

    def _opened(self, folder: Path) -> Index | None:
        """An index, opened again only when its manifest has changed."""
        try:
            stamp = (folder.name, (folder / "manifest.json").stat().st_mtime_ns)
            if stamp not in self._open:
                while len(self._open) >= MOST_INDEXES:
                    self._open.pop(next(iter(self._open)), None)
                self._open[stamp] = Index(folder).open_all()
            return self._open[stamp]
        except (OSError, IndexFormatError, CacheError):
            return None

    def _ready(self, study: str) -> Index:
        self._known(study)
        index = self._index(study)
        if index is None:
            raise LurkError(f"study {study!r} has no index yet; its sweep has not begun")
        return index

    def status(self, study: str) -> dict[str, Any]:
        """State of a study's sweep, for the header and the poller."""
        spec = self._known(study).sweep_spec()
        index, job = self._index(study), self._queue.get(spec.key)
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
            "ahead": self._queue.ahead(spec.key) if job and job.state == "queued" else 0,
            "message": _message(job),
            "serial": _serial(index),
            "images_indexed": manifest.done if manifest else 0,
            "skipped": len(manifest.skipped) if manifest else 0,
            "notice": manifest.notice if manifest else "",
            "weights": manifest.provenance.weights if manifest else "",
            "job": spec.key,
            "workers": self._queue.workers_alive(),
        }

    def layers(self, study: str) -> list[LayerInfo]:
        """Layers of a study, empty before its model was loaded."""
        self._known(study)
        index = self._index(study)
        return index.layers if index else []

    def grid(
        self, study: str, layer: str, sort: str = "unit", limit: int | None = None, offset: int = 0
    ) -> dict[str, Any]:
        """A layer's grid; see `views.grid`."""
        if sort not in views.SORTS:
            raise LurkError(f"cannot sort by {sort!r}; sort by one of {', '.join(views.SORTS)}")
        return views.grid(self._ready(study), layer, sort, limit, offset)

    def unit(self, study: str, layer: str, unit: int) -> UnitView:
        """One unit, as far as the sweep is."""
        return UnitView(self._ready(study), layer, unit)

    def skipped(self, study: str) -> list[dict[str, Any]]:
        """The images that could not be used, each with its reason."""
        index = self._index(study)
        found = index.manifest.skipped if index else ()
        return [{"image": image, "path": path, "reason": reason} for image, path, reason in found]

    def cancel(self, study: str) -> None:
        """Stop a study's sweep at its next batch; what is done stays."""
        self._queue.cancel(self._known(study).sweep_spec().key)

    def resume(self, study: str) -> None:
        """Go on with a study's sweep."""
        self._queue.submit(self._known(study).sweep_spec(), LANE_SWEEP, again=True)

    def verify(self, study: str, layer: str, unit: int) -> str:
        """Ask for a unit's stored hits to be computed anew; returns the job's key."""
        self.unit(study, layer, unit)
        spec = self._known(study).sweep_spec()
        asked = JobSpec("verify", study, (*spec.parameters, ("layer", layer), ("unit", unit)))
        return self._queue.submit(asked, LANE_NOW, again=True).key

    def methods(self, study: str) -> list[Offer]:
        """What each method offers for a study's model; empty before a worker has loaded it."""
        self._known(study)
        index = self._index(study)
        return read_offers(index.folder) if index else []

    def ask(self, study: str, kind: str, layer: str, units: Sequence[int], **more: Any) -> dict[str, Any]:
        """Ask for a picture, for several, for a map or for the sanity check of one; see `Requests.ask`."""
        settings, index = self._known(study), self._ready(study)
        return self._requests.ask(index, settings.sweep_spec(), kind, layer, units, **more)

    def pictures(self, study: str, layer: str, units: Sequence[int]) -> dict[str, str]:
        """Addresses of the tiles of the default pictures that are there, by unit."""
        return self._requests.pictures(self._ready(study), layer, units)

    def preview(self, key: str) -> bytes | None:
        """A picture as far as it is, by the key of its result; None where nothing is to be seen of it."""
        return self._requests.preview(key)

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs on record, newest first."""
        return [self._job_view(job) for job in self._queue.jobs()]

    def job(self, key: str) -> dict[str, Any] | None:
        """One job, None when there is none of that key."""
        job = self._queue.get(key)
        return None if job is None else self._any_view(job)

    def _any_view(self, job: Job) -> dict[str, Any]:
        if not is_request(job):
            return self._job_view(job)
        index = self._opened(index_folder(self.cache, str(job.spec.get("index"))))
        return self._requests.view(index, job)

    def cancel_job(self, key: str) -> dict[str, Any] | None:
        """Stop a job; None when there is none of that key."""
        job = self._queue.cancel(key)
        return None if job is None else self._any_view(job)

    def _job_view(self, job: Job) -> dict[str, Any]:
        return job_view(job, self._queue)

    def media(self, key: str) -> tuple[bytes, str] | None:
        """Body and MIME type of the image of a key, None when there is none."""
        name, _, rest = key.partition("/")
        if not name.isalnum():
            return None
        latest = self._opened(index_folder(self.cache, name))
        before = [index for (key, _), index in self._open.copy().items() if key == name and index is not latest]
        if latest:  # an address that this or another process gave out before the last checkpoint holds
            before = [*filter(None, [latest.before()]), *before, latest]
        for index in reversed(before):
            found = media.draw(index, rest, self._renders)
            if found is not None:
                return found
        return None

    def health(self) -> dict[str, Any]:
        """That the web process is alive."""
        return {"alive": True}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether every index can be read and a worker is alive, and which is not."""
        workers = self._queue.workers_alive()
        studies = {name: self._index(name) is not None for name in self._settings}
        return workers > 0 and all(studies.values()), {"workers": workers, "studies": studies}

    def metrics(self) -> str:
        """Figures for Prometheus."""
        studies = {study: self.status(study) for study in self._settings}
        return Figures(self._queue.jobs(), self._queue.workers_alive(), studies, COUNTS.read()).text()


def _state(job: Job | None, complete: bool) -> str:
    """State of a sweep: waiting, starting, running, done, cancelled, failed.

    A complete index is done only once a worker has found that weights and images are still those of the index.
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


def _serial(index: Index | None) -> int:
    return index.manifest.generation if index else 0
