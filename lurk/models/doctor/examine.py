"""Examines a model on some images: whether its preprocessing and its class names are those that it was trained with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lurk.errors import ImagesError, ModelError
from lurk.graph.device import device_of
from lurk.graph.faster.folding import folded
from lurk.graph.partial_forward import PartialForward, partial_forward
from lurk.images.class_match import match_classes
from lurk.images.image_set import ImageSet
from lurk.models.doctor.class_order import find_order
from lurk.models.doctor.diagnosis import Diagnosis, Trial
from lurk.models.doctor.input_statistics import misfit
from lurk.models.doctor.labelled_sample import spread
from lurk.models.doctor.scores import BATCH, run, score
from lurk.models.doctor.trials import clearly_better, try_all
from lurk.models.doctor.variants import prepare, variants
from lurk.models.model import Model

LEAST_LABELLED = 20
FEW = 32  # images for the statistics of the input
MOST_SHIFT, MOST_FACTOR = 1.0, 3.0
LEAST_DEVIATION = 0.01

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class _Read:
    """An image as a picture, None if its tensor cannot be shown as one, and as the network takes it."""

    number: int
    picture: Image.Image | None
    prepared: Tensor


def examine_model(
    model: Model, images: ImageSet, *, layers: str | None = None, report: Report = lambda _done, _total: None
) -> Diagnosis:
    """Examine a model on some images.

    Args:
        model: The model, on its device; it is left as it was.
        images: The image set.
        layers: The expression of the plan that the caller uses, so that the model is not planned twice.
        report: Called with the images done and in all; it may raise.

    Returns:
        What was found out.

    Raises:
        ImagesError: No image of the set can be used.
    """
    model = model.for_images(images)
    plan = replace(model.plan(layers), layers=(), taps=())
    with partial_forward(folded(plan, to_the_end=True), [], to_the_end=True) as reach:
        outputs, note = _match(model, reach, images)
        if sum(output is not None for output in outputs) >= LEAST_LABELLED:
            found = _by_labels(model, reach, images, outputs, report)
            if found.labelled >= LEAST_LABELLED:
                return replace(found, matched=note)
        return replace(_by_statistics(model, images), matched=note)


def _match(model: Model, reach: PartialForward, images: ImageSet) -> tuple[list[int | None], str]:
    """The output that is right for each image, and how that was found, or why not, in a sentence."""
    unknown: list[int | None] = [None] * len(images)
    if images.classes is None:
        return unknown, "the images have no classes"
    first = next(_read(model, images, range(len(images))), None)
    if first is None:
        raise ImagesError("not one image can be used")
    try:
        count = run(model, reach, [first.prepared]).shape[1]
    except ModelError as error:
        return unknown, str(error)
    match = match_classes(images.classes, images.labels, model.classes, count)
    if match.how == "order":  # an assumption, which is no ground for a warning
        return unknown, "the outputs have no names that could be compared with those of the classes"
    return [None if label is None else match.outputs[label] for label in images.labels], match.note


def _read(model: Model, images: ImageSet, numbers: Sequence[int]) -> Iterator[_Read]:
    """Images that can be read and preprocessed; the sweep says what is wrong with the others."""
    for number in numbers:
        try:
            item = images.read(number)
            prepared = item if isinstance(item, Tensor) else model.preprocess(item)
        except Exception:  # noqa: S112 - the user's own code: it may raise anything
            continue
        if tuple(prepared.shape) == tuple(model.input_shape):
            yield _Read(number, _picture(model, item) if isinstance(item, Tensor) else item, prepared.float())


def _picture(model: Model, image: Tensor) -> Image.Image | None:
    """The picture that a data set has made a tensor of."""
    if model.normalisation.problem or model.normalisation.samples not in (1, 3):
        return None
    samples = model.displayed(image.float()).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(samples if samples.shape[2] == 3 else samples[:, :, 0])


def _by_labels(
    model: Model, reach: PartialForward, images: ImageSet, outputs: Sequence[int | None], report: Report
) -> Diagnosis:
    """What the labels tell: whether another order of classes or another preprocessing is clearly better."""
    chosen = spread(images, [output is not None for output in outputs])
    prepared = {one.number: one.prepared for one in _read(model, images, chosen)}
    if not prepared:
        return Diagnosis(0, 0, None, "")
    targets = np.array([outputs[number] for number in prepared], np.int64)
    logits = run(model, reach, list(prepared.values()))
    right, total = int((logits.argmax(1) == targets).sum()), len(targets)
    pictures = (one.picture for one in _read(model, images, list(prepared)) if one.picture is not None)
    trials = try_all(model, reach, variants(model), pictures, score(logits, targets), report)
    better = clearly_better(trials)
    order = find_order(logits.argmax(1), targets, logits.shape[1], model.classes)
    warnings = []
    if order is not None and (better is None or order.right > better.right):
        warnings.append(
            f"the network's classes seem to stand in another order: it is right for {right} of {total} labelled "
            f"images, and for {order.right} with {order.name} (sign test, p = {order.p:.1g})"
        )
    elif better is not None:
        warnings.append(_better(model, better))
    shift_and_factor = misfit(model.module, _batches(model, list(prepared.values())[:FEW]))
    return Diagnosis(total, total, right, "", tuple(trials), shift_and_factor, tuple(warnings))


def _better(model: Model, trial: Trial) -> str:
    """Say that another preprocessing is better, and by how much."""
    own = "its own" if model.tensors is None else "that of the data set"
    return (
        f"the preprocessing does not seem to be the one that the network was trained with: with {trial.name} it is "
        f"right for {trial.right} of {trial.images} labelled images, with {own} ({_own(model)}) for "
        f"{trial.own_right} (paired tests, p = {trial.p:.1g})"
    )


def _own(model: Model) -> str:
    own = model.normalisation
    return "not a fixed change of colours" if own.problem else own.describe()


def _by_statistics(model: Model, images: ImageSet) -> Diagnosis:
    """What the statistics of the input tell, without labels: only gross mistakes."""
    every = spread(images, [True] * len(images), FEW)
    read = list(_read(model, images, every))
    if not read:
        raise ImagesError("not one image can be used")
    inputs = torch.stack([one.prepared for one in read])
    mean, deviation = float(inputs.mean()), float(inputs.std())
    note = f"the network's input has mean {mean:.3g} and deviation {deviation:.3g}"
    found = misfit(model.module, _batches(model, list(inputs)))
    warnings = []
    if found is not None and (found[0] > MOST_SHIFT or found[1] > MOST_FACTOR):
        warnings.append(
            f"the network's input is not what it was trained on: its first batch normalisation meets deviations that "
            f"differ by a factor {found[1]:.2g} from those of training, and means off by {found[0]:.2g} deviations"
            f"{_nearest(model, read, found)}; check the preprocessing ({_own(model)})"
        )
    elif found is None and deviation < LEAST_DEVIATION:
        warnings.append(f"the network's input is almost constant ({note}); check the preprocessing ({_own(model)})")
    return Diagnosis(len(read), 0, None, "", (), found, tuple(warnings), (note,))


def _nearest(model: Model, read: Sequence[_Read], own: tuple[float, float]) -> str:
    """The usual normalisation, if there is one, with which the input is nearer to that of training."""
    best, words = own, ""
    for variant in variants(model):
        pictures = [one.picture for one in read if one.picture is not None]
        if variant.of != "colours" or not pictures:
            continue
        inputs = [prepare([variant], picture)[0] for picture in pictures]
        found = misfit(model.module, _batches(model, inputs))
        if found is not None and found[0] < min(best[0], MOST_SHIFT) and found[1] < min(best[1], MOST_FACTOR):
            best, words = found, f" (with {variant.name}: {found[1]:.2g} and {found[0]:.2g})"
    return words


def _batches(model: Model, inputs: Sequence[Tensor]) -> Iterator[Tensor]:
    for at in range(0, len(inputs), BATCH):
        yield torch.stack(list(inputs[at : at + BATCH])).to(device_of(model.module), model.dtype)
