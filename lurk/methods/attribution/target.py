"""What a map explains: one number that the network computes from an image."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.hooks import altered
from lurk.graph.partial_forward import Activations, Near, partial_forward
from lurk.graph.plan import Plan
from lurk.methods.attribution.rectifier_search import open_upper_bound

Where = Literal["maximum", "position", "map", "class"]
WHERES: tuple[Where, ...] = ("maximum", "position", "map", "class")
Numbers = int | tuple[int, ...]  # one for all images of a batch, or one for each


@dataclass(frozen=True)
class Target:
    """What a map explains.

    Args:
        layer: Name of the layer.
        unit: Channel number.
        where: `maximum`, the unit's value at the position of its maximum in this image; `position`, its value at `row`
            and `col`; `map`, the sum of its values over all positions; `class`, the network's score of class `label`.
        row: Row of the position; for `position`. A tuple gives one for each image of a batch.
        col: Column of the position; likewise.
        label: Class number; for `class`, likewise.
    """

    layer: str
    unit: int
    where: Where = "maximum"
    row: Numbers = 0
    col: Numbers = 0
    label: Numbers = 0

    def of(self, images: Sequence[int]) -> "Target":
        """The target of some images of a batch, by their places in it."""
        row, col, label = (_chosen(numbers, images) for numbers in (self.row, self.col, self.label))
        return replace(self, row=row, col=col, label=label)

    def value(self, reached: Activations) -> Tensor:
        """Return the number for each image of a batch.

        Args:
            reached: What the forward pass computed.

        Returns:
            float (n,), with the graph of its gradients.

        Raises:
            LurkError: There is no such unit, position or class.
        """
        return self.parts(reached).sum(1)

    def parts(self, reached: Activations) -> Tensor:
        """Return the values that the number is the sum of: one, or for `map` that of every position.

        Args:
            reached: What the forward pass computed.

        Returns:
            float (n, values), with the graph of its gradients. The maximum is where the value that enters the unit's
            monotone activation function is highest, if it has one; of equal maxima it is the first one, row by row.

        Raises:
            LurkError: There is no such unit, position or class.
        """
        if self.where not in WHERES:
            raise LurkError(f"a target is one of {', '.join(WHERES)}, not {str(self.where)[:40]!r}")
        if self.where == "class":
            check_channels(reached.class_scores, each(self.label), "class")
            return reached.class_scores.gather(1, _column(self.label, reached.class_scores))
        values = _channel(reached[self.layer], self.unit, f"layer {self.layer}: unit")
        if self.where == "map":
            return values.flatten(1)
        if self.where == "maximum":
            highest = reached.before(self.layer)[:, self.unit].flatten(1).argmax(1, keepdim=True)
            return values.flatten(1).gather(1, highest)
        rows, cols = values.shape[1:]
        for row, col in zip(each(self.row), each(self.col), strict=True):
            if not (0 <= row < rows and 0 <= col < cols):
                raise LurkError(
                    f"layer {self.layer} has rows 0 to {rows - 1} and columns 0 to {cols - 1}, "
                    f"not row {row}, column {col}"
                )
        places = _column(self.row, values) * cols + _column(self.col, values)
        return values.flatten(1).gather(1, places)


def each(numbers: Numbers) -> tuple[int, ...]:
    """Numbers as a tuple, of length 1 if one holds for all images."""
    return numbers if isinstance(numbers, tuple) else (numbers,)


def _chosen(numbers: Numbers, images: Sequence[int]) -> Numbers:
    found = numbers if isinstance(numbers, int) else tuple(numbers[at] for at in images)
    return found[0] if isinstance(found, tuple) and len(found) == 1 else found


def _column(numbers: Numbers, values: Tensor) -> Tensor:
    """A number for each image of values (n, …), as int64 (n, 1)."""
    return torch.tensor(each(numbers), device=values.device).expand(len(values))[:, None]


def check_channels(values: Tensor, numbers: Sequence[int], words: str) -> None:
    """Raise a LurkError if one of the numbers is no channel of values (n, channels, …); `words` says what they are."""
    wrong = [number for number in numbers if not 0 <= number < values.shape[1]]
    if wrong:
        raise LurkError(f"{words} must be from 0 to {values.shape[1] - 1}, not {wrong[0]}")


def _channel(values: Tensor, number: int, words: str) -> Tensor:
    check_channels(values, [number], words)
    return values[:, number]


@contextmanager
def forward_to(
    plan: Plan, target: Target, layers: Sequence[str] = (), *, through_bound: bool = True, near: Near | None = None
) -> Iterator[Callable[[Tensor], tuple[Tensor, Activations]]]:
    """Run a model as far as a target needs.

    Args:
        plan: The model and its layers.
        target: The target.
        layers: Further layers whose activations are wanted.
        through_bound: Whether the upper bound of the target's own activation function, such as ReLU6's, lets gradients
            through. A unit at its bound has a derivative of 0, so nothing would be said of the very images that excite
            it most.
        near: As in `partial_forward`.

    Yields:
        The forward pass: float (n, c, h, w) to the target's numbers, float (n,), and what the pass computed.
    """
    is_class = target.where == "class"
    wanted = dict.fromkeys([*layers, *([] if is_class else [target.layer])])
    with partial_forward(plan, wanted, to_the_end=is_class, near=near) as reach, ExitStack() as opened:

        def forward(batch: Tensor) -> tuple[Tensor, Activations]:
            reached = reach(batch)
            if through_bound and not is_class:
                opened.enter_context(altered(open_upper_bound(reached[target.layer])))
            return target.value(reached), reached

        yield forward


def locate_maximum(plan: Plan, target: Target, images: Tensor) -> Target:
    """Replace a `maximum` target by the position of the maximum in each image, which then stays as the image changes.

    Args:
        plan: The model and its layers.
        target: The target.
        images: float (n, c, h, w), preprocessed.

    Returns:
        The position where the value that enters the unit's monotone activation function is highest, if it has one, as
        in a sweep; of equal values the first one, row by row. Any other target is returned as it is.
    """
    if target.where != "maximum":
        return target
    with partial_forward(plan, [target.layer]) as reach, torch.no_grad():
        return located(target, reach(images))


def located(target: Target, reached: Activations) -> Target:
    """Do what `locate_maximum` does, with what a forward pass of the images computed."""
    if target.where != "maximum":
        return target
    values = _channel(reached.before(target.layer), target.unit, f"layer {target.layer}: unit")
    places = [divmod(place, values.shape[2]) for place in values.flatten(1).argmax(1).tolist()]
    row, col = (tuple(numbers) for numbers in zip(*places, strict=True))
    return replace(target, where="position", row=row, col=col).of(range(len(places)))
