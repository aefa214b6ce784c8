"""Requests for pictures, maps and sanity checks: put into the queue once, answered from the index ever after."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from lurk.errors import LurkError
from lurk.jobs.lanes import Lane
from lurk.jobs.method_request import DEFAULT_PICTURE, KINDS, Ask, ask
from lurk.jobs.queue import Job, Queue
from lurk.method_spec import MethodSpec
from lurk.records import JobSpec
from lurk.service.method_results import outcome, picture_url
from lurk.service.person import OWNER, Person
from lurk.storage.index import Index
from lurk.storage.renders import Renders
from lurk.storage.results import read_offers, read_result

SHOWN = ("layer", "unit", "units", "method", "image", "target")


class Requests:
    """Takes requests and shows how they stand."""

    def __init__(
        self, queue: Queue, renders: Renders, submit: Callable[[JobSpec, int, Person], Job] | None = None
    ) -> None:
        """Prepare.

        Args:
            queue: Where jobs wait.
            renders: Where pictures under way are.
            submit: Puts a job into a lane for a person, or refuses to; by default it goes into the queue.
        """
        self._queue, self._renders = queue, renders
        self._submit = submit or self._into_queue

    def _into_queue(self, spec: JobSpec, lane: int, person: Person) -> Job:
        return self._queue.submit(spec, lane, again=True, person=person.name)

    def ask(  # noqa: PLR0913 - the parts of a request
        self,
        index: Index,
        sweep: JobSpec,
        kind: str,
        layer: str,
        units: Sequence[int],
        *,
        method: str = "",
        options: Mapping[str, object] | None = None,
        image: int | None = None,
        target: str = "",
        person: Person = OWNER,
    ) -> dict[str, Any]:
        """Ask for a picture, for several, for a map or for the sanity check of one.

        Args:
            index: The study's index.
            sweep: The study's sweep, which says how to load model and images.
            kind: `picture`, `pictures`, `map` or `sanity`.
            layer: Name of the layer.
            units: Channel numbers; one, but for `pictures`.
            method: Name of the method; for pictures by default gradient ascent.
            options: Options of the method; those that are missing take their default.
            image: Number of the image; for a map.
            target: `maximum`, `map` or `class`; for a map.
            person: Who asks.

        Returns:
            The job as `view` gives it; where the result is there already it is done, with its `result`.

        Raises:
            LurkError: There is no such layer, unit, image or method, or they do not fit.
        """
        for unit in units:
            index.unit(layer, unit)
        if image is not None and not 0 <= image < index.manifest.images:
            raise LurkError(f"image must be from 0 to {index.manifest.images - 1}, not {image}")
        offer = _offer(index, method or DEFAULT_PICTURE)
        asked = _as_kind(ask(offer, layer, tuple(units), options or {}, image=image, target=target), kind)
        if asked.kind == "pictures":
            missing = tuple(unit for unit in asked.units if not _is_there(index, asked, unit))
            asked, is_done = replace(asked, units=missing or asked.units), not missing
        else:
            is_done = outcome(index, asked) is not None
        spec = asked.spec(sweep, index.key)
        if is_done:
            return self.view(index, Job(spec.key, spec, 0, "done"))
        lane = Lane.NEXT if asked.kind == "pictures" else Lane.NOW
        return self.view(index, self._submit(spec, lane, person))

    def view(self, index: Index | None, job: Job) -> dict[str, Any]:
        """A job of a method, with its result where that is there, and the address of what can be seen of it so far.

        Args:
            index: The index that it is about, None where that is gone.
            job: The job.

        Returns:
            What `job_view` gives, with `kind`, `eta_s`, `preview` and `result`.
        """
        asked, preview = Ask.from_spec(job.spec), None
        if index and job.state == "running" and job.done and asked.kind == "picture":
            key = asked.provenance(index.manifest.provenance).key
            preview = f"/preview/{key}?step={job.done}" if self.preview(key) else None
        return job_view(job, self._queue.ahead(job.key)) | {
            "kind": asked.kind,
            "eta_s": (job.total - job.done) / job.rate if job.rate else None,
            "preview": preview,
            "result": outcome(index, asked) if index and job.state == "done" else None,
        }

    def pictures(self, index: Index, layer: str, units: Sequence[int]) -> dict[str, str]:
        """Addresses of the default pictures: tiles of those that are there, else what is to be seen of them so far.

        Args:
            index: The study's index.
            layer: Name of the layer.
            units: Channel numbers; those that the layer has not are passed over.

        Returns:
            Addresses by unit; one that begins with `/preview/` is of a picture under way.
        """
        known = {offer.name: offer for offer in read_offers(index.folder)}
        offer, info = known.get(DEFAULT_PICTURE), index.layer(layer)
        if offer is None:
            return {}
        asked = Ask("picture", layer, (0,), offer.name, offer.version, tuple(offer.read({}).items()))
        found = {unit: self._tile(index, asked, unit) for unit in units if unit < info.units}
        return {str(unit): url for unit, url in found.items() if url}

    def _tile(self, index: Index, asked: Ask, unit: int) -> str | None:
        key = asked.provenance(index.manifest.provenance, unit).key
        if read_result(index.folder, key) is not None:
            return picture_url(index, key, tile=True)
        so_far = self.preview(key)
        return f"/preview/{key}?{zlib.crc32(so_far):08x}" if so_far else None

    def preview(self, key: str) -> bytes | None:
        """A picture as far as it is, by the key of its result; None where nothing is to be seen of it."""
        return self._renders.get(f"preview/{key}") if key.isalnum() else None


def is_request(job: Job) -> bool:
    """Whether a job is one for a picture, a map or a sanity check."""
    return job.spec.kind in KINDS


def job_view(job: Job, ahead: int) -> dict[str, Any]:
    """A job without what only the machine's owner should see; `ahead` is how many run before it."""
    hidden = {"traceback", "owner", "others"}
    shown = {name: value for name, value in asdict(replace(job, traceback=None)).items() if name not in hidden}
    spec = job.spec
    return shown | {
        "spec": {"kind": spec.kind, "study": spec.study} | {name: spec.get(name) for name in SHOWN},
        "ahead": ahead if job.state == "queued" else 0,
        "people": len(job.people),
    }


def _offer(index: Index, method: str) -> MethodSpec:
    offers = {offer.name: offer for offer in read_offers(index.folder)}
    if not offers:
        raise LurkError("the model is still being loaded; ask again in a moment")
    if method not in offers:
        raise LurkError(f"no method is called {method[:40]!r}; known are: {', '.join(offers)}")
    return offers[method]


def _as_kind(asked: Ask, kind: str) -> Ask:
    """The request as the kind that was asked for, which its method must fit."""
    if kind == "sanity" and asked.kind == "map":
        return replace(asked, kind="sanity")
    if kind == "pictures" and asked.kind == "picture":
        return replace(asked, kind="pictures")
    if asked.kind != kind:
        raise LurkError(f"{asked.method} gives no {kind}")
    return asked


def _is_there(index: Index, asked: Ask, unit: int) -> bool:
    return read_result(index.folder, asked.provenance(index.manifest.provenance, unit).key) is not None
