"""Computes stored hits again from the images, to check that the page still shows what the network does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lurk.errors import ImagesError
from lurk.graph.device import device_of
from lurk.graph.hooks import tapped
from lurk.images.image_set import ImageSet, is_of
from lurk.models.model import Model
from lurk.records import Hit, UnitRef
from lurk.storage.index import Index

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Check:
    """One stored hit, compared with its value now.

    Args:
        layer: Name of the layer.
        unit: Channel number.
        kind: `max` or `mean`.
        image: Image number.
        path: Path of the image.
        stored: Score in the index.
        computed: Score computed now, None if the image cannot be read any more.
        agrees: Whether they are equal within 1e-4 of the unit's largest stored score, and the stored position still
            holds the maximum; likewise for the value before the activation function, if it is monotone.
        note: What is wrong, in words; empty if they agree.
    """

    layer: str
    unit: int
    kind: str
    image: int
    path: str
    stored: float
    computed: float | None
    agrees: bool
    note: str


def verify(model: Model, images: ImageSet, index: Index, units: Sequence[UnitRef]) -> Iterator[Check]:
    """Compute every stored hit of some units again.

    Args:
        model: The model of the index.
        images: Its image set.
        index: The index.
        units: Which units.

    Yields:
        A check for each stored hit, image by image.
    """
    hits: dict[int, list[tuple[UnitRef, str, Hit]]] = {}
    scales: dict[UnitRef, _Scales] = {}
    for unit in units:
        record = index.unit(unit.layer, unit.unit)
        stored_hits = [("max", hit) for hit in record.hits_max] + [("mean", hit) for hit in record.hits_mean]
        scales[unit] = _Scales.of([hit for _, hit in stored_hits])
        for kind, hit in stored_hits:
            hits.setdefault(hit.image, []).append((unit, kind, hit))
    expression = dict(index.manifest.provenance.parameters)["layers"]
    plan = model.plan(None if expression is None else str(expression))
    numbers = {layer.name: number for number, layer in enumerate(plan.layers)}
    maps: dict[int, Tensor] = {}
    before: dict[int, Tensor] = {}
    wanted = {numbers[unit.layer] for unit in units}

    def keep(kept: dict[int, Tensor], number: int, values: Tensor) -> None:
        if number in wanted:
            kept[number] = values[0].detach().double().cpu()

    with torch.inference_mode(), tapped(plan, partial(keep, maps), partial(keep, before)) as forward:
        for image, stored in sorted(hits.items()):
            problem = _run(model, images, stored[0][2], forward)
            for unit, kind, hit in stored:
                if problem:
                    yield Check(unit.layer, unit.unit, kind, image, hit.path, hit.score, None, False, problem)
                else:
                    number = numbers[unit.layer]
                    values = maps[number][unit.unit], before.get(number, maps[number])[unit.unit]
                    yield _compare(unit, kind, hit, values, scales[unit])


@dataclass(frozen=True)
class _Scales:
    """The largest magnitudes of a unit's stored scores, and of its values before the activation function."""

    score: float
    before: float

    @classmethod
    def of(cls, hits: Sequence[Hit]) -> "_Scales":
        scores = [abs(hit.score) for hit in hits]
        return cls(max(scores, default=0.0), max((abs(_before(hit)) for hit in hits), default=0.0))


def _before(hit: Hit) -> float:
    return hit.score if hit.before is None else hit.before


def _run(model: Model, images: ImageSet, hit: Hit, forward: Callable[[Tensor], object]) -> str:
    """Run the model on a hit's image; returns what is wrong with the image, in words, or an empty text."""
    if not is_of(hit, images):
        return "the image set has changed since the sweep"
    try:
        read = images.read(hit.image)
    except ImagesError as error:
        return f"the image cannot be read: {error}"
    tensor = read if isinstance(read, Tensor) else model.preprocess(read)
    forward(tensor[None].to(device_of(model.module), model.dtype).contiguous())
    return ""


def _compare(unit: UnitRef, kind: str, hit: Hit, values: tuple[Tensor, Tensor], scales: _Scales) -> Check:
    """Compare a hit with the unit's values and with what they were before, both float64 (rows, columns)."""
    score, before = (float(value.max() if kind == "max" else value.mean()) for value in values)
    highest, there = float(values[1].max()), float(values[1][hit.row, hit.col])
    allowed = TOLERANCE * max(scales.before, abs(_before(hit)))
    note = ""
    if abs(score - hit.score) > TOLERANCE * max(scales.score, abs(hit.score)):
        note = f"stored {hit.score:.6g}, computed {score:.6g}"
    elif abs(before - _before(hit)) > allowed:
        note = f"stored {_before(hit):.6g} before the activation function, computed {before:.6g}"
    elif highest - there > allowed:
        note = f"the maximum is not at row {hit.row}, column {hit.col}"
    return Check(unit.layer, unit.unit, kind, hit.image, hit.path, hit.score, score, not note, note)
