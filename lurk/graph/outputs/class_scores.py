"""Which output of a model holds its class scores, and how the scores of each image are read from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor

from lurk.errors import ModelError
from lurk.graph.outputs.model_outputs import NamedOutput, list_outputs, name_outputs, name_tables

Form = Literal["columns", "one", "two", "positions", "detections"]
PASSING = ("View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Select", "Slice", "Alias", "Clone", "ToCopy")
BOUNDED = ("SigmoidBackward", "SoftmaxBackward", "HardsigmoidBackward")


@dataclass(frozen=True)
class ClassScores:
    """How class scores are read from what a model returns.

    Args:
        output: Name of the output.
        form: `columns`, (n, classes); `one`, one score an image, of the only class; `two`, one score an image, of the
            second of two classes; `positions`, (n, classes, h, w) or with the classes last; `detections`, boxes with
            a score and a label each.
        classes: Number of classes.
        shape: Shape of the output for one image.
        axis: The axis of the classes in that shape, where there are positions.
        are_probabilities: Whether the scores are probabilities: a sigmoid or softmax made them.
        missing: Why the model has no class scores; empty if it has.
        note: What everybody should know of the choice; empty if there was nothing to choose.
    """

    output: str = ""
    form: Form = "columns"
    classes: int = 0
    shape: tuple[int, ...] = ()
    axis: int = 0
    are_probabilities: bool = False
    missing: str = ""
    note: str = ""

    def read(self, output: object, images: int) -> Tensor:
        """Read the scores.

        A `positions` score is the mean over all positions; a `detections` score that of the class's strongest
        detection, 0 without one. Of two classes with one score z, the first has -z, or 1 - z if z is a probability.

        Args:
            output: What the model returned.
            images: Number of images in the batch.

        Returns:
            float (n, classes).

        Raises:
            ModelError: The model has no class scores, or the output is missing this time.
        """
        if self.form == "detections":
            return self._of_detections(output)
        values = self._tensor(output, images)
        if self.form == "positions":
            return values.movedim(self.axis + 1, 1).flatten(2).mean(2)
        values = values.reshape(images, -1)
        if self.form == "two":
            return torch.cat([1 - values if self.are_probabilities else -values, values], 1)
        return values

    def probabilities(self, output: object, images: int) -> Tensor:
        """Read the probability of each class, float (n, classes); see `read`. Positions give the mean over them."""
        if self.are_probabilities or self.form == "detections":
            return self.read(output, images)
        if self.form == "positions":
            shares = self._tensor(output, images).softmax(self.axis + 1)
            return shares.movedim(self.axis + 1, 1).flatten(2).mean(2)
        scores = self.read(output, images)
        return scores.softmax(1) if self.form == "columns" else scores.sigmoid()

    def maps(self, output: object, images: int) -> Tensor | None:
        """Return the scores at each position, float (n, classes, h, w); None if they have no rows and columns."""
        if self.form != "positions" or len(self.shape) != 3:
            return None
        return self._tensor(output, images).movedim(self.axis + 1, 1)

    def _tensor(self, output: object, images: int) -> Tensor:
        """The output, with an axis for the images even where the model leaves it out for one image."""
        value = self._output(name_outputs(output), self.output).tensors[0]
        if value.numel() != images * prod(self.shape):
            raise ModelError(f"output {self.output} is {tuple(value.shape)} for {images} images, not as at the start")
        return value.reshape(images, *self.shape)

    def _output(self, outputs: Sequence[NamedOutput], name: str) -> NamedOutput:
        if self.missing:
            raise ModelError(self.missing)
        found = next((one for one in outputs if one.name == name), None)
        if found is None:
            raise ModelError(f"the model gives no output {name!r} for this image")
        return found

    def _of_detections(self, output: object) -> Tensor:
        scores, labels = (self._output(name_tables(output), name).tensors for name in (self.output, "labels"))
        rows = []
        for values, numbers in zip(scores, labels, strict=True):
            blank = values.new_zeros(self.classes)
            rows.append(blank.scatter_reduce(0, numbers.long(), values, "amax"))
        return torch.stack(rows)


NO_SCORES = ClassScores(missing="the outputs of the model were not looked at")


def find_class_scores(
    alone: object, together: object, images: int, classes: int | None = None, wanted: str | int | None = None
) -> ClassScores:
    """Find the class scores of a model: the output with a column for each class.

    Args:
        alone: What the model returned for one image, in evaluation mode.
        together: What it returned for several, with gradients, which tell what made the output, if it can.
        images: How many they were, at least two.
        classes: Number of class names; None if they are not known.
        wanted: Name or number of the output that the user chose; None to find it.

    Returns:
        How they are read; with a reason if there are none, or if several outputs may be meant.

    Raises:
        ModelError: There is no such output, it cannot hold class scores, or the only one has another number of columns.
    """
    tables = name_tables(together)
    is_for_each = bool(tables) and len(tables[0].tensors) == images
    is_for_each = is_for_each and len((name_tables(alone) or tables)[0].tensors) == 1
    outputs = tables if is_for_each else name_outputs(together)
    if wanted is not None:
        return _described(_named(outputs, str(wanted), images, classes), outputs, images, classes)
    found = _candidates(outputs, images, classes)
    if len(found) == 1:
        return _described(found[0], outputs, images, classes)
    if found:
        which = f"{len(found)} outputs may be the class scores: {list_outputs(found)}"
        return ClassScores(missing=f"{which}; say which with --output {found[0].name}, or load_model(output=…)")
    shape = _squeezed(outputs[0], images) if len(outputs) == 1 else None
    if classes is not None and shape is not None and len(shape) == 1:
        raise ModelError(
            f"the model gives {shape[0]} numbers for an image, and there are {classes} class names; give one name for "
            "each, or none if the numbers are no class scores"
        )
    lacking = "has one number, or one column a class, for each image"
    if classes is not None:
        lacking = f"has a column for each of its {classes} classes"
    chosen = "; another is chosen with --output NAME" if outputs else ""
    return ClassScores(
        missing=f"the model gives no class scores: of its outputs ({list_outputs(outputs)}) none {lacking}{chosen}"
    )


def _squeezed(output: NamedOutput, images: int) -> tuple[int, ...] | None:
    """Shape of an output for an image, without axes of size 1; None if it is not one tensor for all images."""
    value = output.tensors[0]
    if output.is_list or not value.is_floating_point() or value.dim() == 0 or len(value) != images:
        return None
    return tuple(size for size in value.shape[1:] if size > 1)


def _candidates(outputs: Sequence[NamedOutput], images: int, classes: int | None) -> list[NamedOutput]:
    """The outputs that may hold class scores, by the first rule that any of them fits."""
    shapes = {output.name: _squeezed(output, images) for output in outputs}
    rules: list[Callable[[tuple[int, ...]], bool]] = [lambda shape: len(shape) <= 1]
    if classes is not None:
        rules = [lambda shape: (shape or (1,)) == (classes,)]
        rules += [lambda shape: not shape] if classes == 2 else []
        rules += [lambda shape: len(shape) == 3 and shape[0] == classes]
    for rule in rules:
        found = [output for output in outputs if (shape := shapes[output.name]) is not None and rule(shape)]
        if found:
            return found
    return []


def _named(outputs: Sequence[NamedOutput], wanted: str, images: int, classes: int | None) -> NamedOutput:
    found = next((output for output in outputs if output.name == wanted), None)
    if found is None and wanted.isdecimal() and int(wanted) < len(outputs):
        found = outputs[int(wanted)]
    if found is None:
        raise ModelError(f"--output {wanted[:60]!r}: the model has no such output; it gives {list_outputs(outputs)}")
    shape = _squeezed(found, images)
    if found.is_list:
        if not _is_score_list(found, outputs) or classes is None:
            needs = "a score for each of the labels, and class names"
            raise ModelError(f"--output {wanted}: {found.name} {found.shape} holds no class scores: that takes {needs}")
        return found
    if shape is None:
        raise ModelError(f"--output {wanted}: {found.name} {found.shape} holds no scores of the images")
    sizes = found.tensors[0].shape[1:]
    count = sizes[_axis(sizes, classes)] if len(shape) > 1 else (shape or (1,))[0]
    if classes is not None and count != classes and (classes, shape) != (2, ()):
        raise ModelError(f"--output {wanted}: {found.name} {found.shape} has no column for each of {classes} classes")
    return found


def _is_score_list(output: NamedOutput, outputs: Sequence[NamedOutput]) -> bool:
    labels = next((one for one in outputs if one.name == "labels"), None)
    return labels is not None and all(
        score.is_floating_point() and score.dim() == 1 and score.shape == label.shape
        for score, label in zip(output.tensors, labels.tensors, strict=True)
    )


def _axis(shape: Sequence[int], classes: int | None) -> int:
    """The axis of the classes: the first, or the last if only that one has as many entries as there are classes."""
    return len(shape) - 1 if classes not in (None, shape[0]) and shape[-1] == classes else 0


def _described(found: NamedOutput, outputs: Sequence[NamedOutput], images: int, classes: int | None) -> ClassScores:
    """Describe an output that was chosen."""
    note = "" if len(outputs) == 1 else f"class scores: {found.name} {found.shape}, of {list_outputs(outputs)}"
    kept, value = _squeezed(found, images), found.tensors[0]
    shape = tuple(value.shape[1:])
    if kept is None:
        return ClassScores(found.name, "detections", classes or 0, note=note)
    if len(kept) > 1:
        axis = _axis(shape, classes)
        return ClassScores(found.name, "positions", shape[axis], shape, axis, _is_bounded(value, axis + 1), note=note)
    form: Form = "columns" if kept else "two" if classes == 2 else "one"
    count = kept[0] if kept else 2 if classes == 2 else 1
    return ClassScores(found.name, form, count, shape, 0, _is_bounded(value.reshape(images, -1), 1), note=note)


def _is_bounded(value: Tensor, axis: int) -> bool:
    """Whether a sigmoid or a softmax made an output; where that cannot be seen, whether its values sum to 1."""
    step = value.grad_fn
    while step is not None and step.name().startswith(PASSING) and step.next_functions[0][0] is not None:
        step = step.next_functions[0][0]
    if step is not None:
        return step.name().startswith(BOUNDED)
    if value.shape[axis] == 1:
        return False
    sums = value.sum(axis)
    return bool((value >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)
