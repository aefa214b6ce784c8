"""Forward passes that are measured: on a GPU one runs while the results of the one before are added up on the CPU."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle

import torch
from torch import Tensor

from lurk.errors import ModelError
from lurk.graph.device import device_of
from lurk.graph.hooks import Forward
from lurk.graph.plan import Plan
from lurk.models.model import Model
from lurk.sweeps.device_batches import BatchCopies
from lurk.sweeps.image_reader import USER_ERRORS, ReadBatch
from lurk.sweeps.measurement import Measurement

TURNS = {"cuda": 2}


class Pass:
    """A forward pass, and what the last batch that went through it showed.

    Args:
        forward: The forward pass.
        measurement: What it is measured by.
        copies: Copies batches to the device.
    """

    def __init__(self, forward: Forward, measurement: Measurement, copies: BatchCopies) -> None:
        self._forward, self._copies = forward, copies
        self.measurement = measurement

    def run(self, numbers: Sequence[int], images: Tensor) -> None:
        """Run a batch; on a GPU it is not yet through when this returns.

        Args:
            numbers: The images' numbers.
            images: They themselves, float32 (n, c, h, w).

        Raises:
            ModelError: The model fails.
        """
        self.measurement.begin(torch.tensor(numbers))
        try:
            self._forward(self._copies(images))
            self.measurement.end()
        except USER_ERRORS as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"the model fails on a batch of {len(numbers)} images: {reason}") from error


@contextmanager
def passes(model: Model, plan: Plan, set_size: int) -> Iterator[list[Pass]]:
    """Make the passes that take turns: two on a GPU, one on a CPU, which has nothing to wait for.

    Args:
        model: The model.
        plan: Its layers.
        set_size: Number of images in the whole set.

    Yields:
        The passes.
    """
    place = device_of(model.module)
    copies = BatchCopies(place, model.dtype, plan.fastest_format)
    with ExitStack() as stack:
        made = []
        for _ in range(TURNS.get(place.type, 1)):
            measurement = Measurement(plan.layers, set_size)
            made.append(Pass(stack.enter_context(measurement.tapped(plan)), measurement, copies))
        yield made


def run_in_turn(batches: Iterable[ReadBatch], turns: Sequence[Pass]) -> Iterator[tuple[ReadBatch, Pass]]:
    """Run batches, and hand each over when as many as there are passes have begun.

    Args:
        batches: The batches.
        turns: The passes, which take turns.

    Yields:
        The batches in their order, each with the pass that ran it.
    """
    running: deque[tuple[ReadBatch, Pass]] = deque()
    for batch, turn in zip(batches, cycle(turns), strict=False):
        if batch.numbers:
            turn.run(batch.numbers, batch.images)
        running.append((batch, turn))
        if len(running) == len(turns):
            yield running.popleft()
    yield from running
