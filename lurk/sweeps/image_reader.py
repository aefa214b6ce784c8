"""Reads and preprocesses the images of a sweep in threads, straight into the next batches of the model."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from lurk.errors import ImagesError

BATCHES_AHEAD = 2
USER_ERRORS = (  # what the user's own preprocessing or network may raise
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@contextmanager
def reading_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that read images. PyTorch computes in each of them alone, since more threads would only wait for a core.

    `torch.set_num_threads` also sets what later threads begin with, so it is put back at the end.
    """
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, "images", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class ReadBatch:
    """A batch as it was read.

    Args:
        end: Number of the image after the last one.
        numbers: The images that can be used.
        images: They themselves, float32 (n, c, h, w).
        failed: The others, each with the reason.
    """

    end: int
    numbers: tuple[int, ...]
    images: Tensor
    failed: tuple[tuple[int, str], ...]


class ImageReader:
    """Reads images as the model takes them.

    Args:
        prepared: Gives an image, by its number, as the model takes it.
        input_shape: (channels, rows, columns) that every preprocessed image must have.
        pool: The threads.
    """

    def __init__(
        self, prepared: Callable[[int], Tensor], input_shape: tuple[int, ...], pool: ThreadPoolExecutor
    ) -> None:
        self._prepared, self._shape, self._pool = prepared, tuple(input_shape), pool

    def batches(self, numbers: range, batch_size: int) -> Iterator[ReadBatch]:
        """Read images batch by batch.

        Args:
            numbers: Which images.
            batch_size: Images a batch; the last batch may be shorter.

        Yields:
            The batches, in order.
        """
        waiting: list[tuple[range, Tensor, list[Future[str]]]] = []
        for start in range(0, len(numbers), batch_size):
            batch = numbers[start : start + batch_size]
            images = torch.empty(len(batch), *self._shape)
            reasons = [self._pool.submit(self._read, number, images[at]) for at, number in enumerate(batch)]
            waiting.append((batch, images, reasons))
            if len(waiting) > BATCHES_AHEAD:
                yield _finished(*waiting.pop(0))
        while waiting:
            yield _finished(*waiting.pop(0))

    def _read(self, number: int, place: Tensor) -> str:
        """Read an image into its place in the batch; returns why it cannot be used, or an empty text."""
        try:
            tensor = self._prepared(number)
            if tuple(tensor.shape) != self._shape:
                return f"is {tuple(tensor.shape)} after preprocessing; the model takes {self._shape}"
            with torch.inference_mode():  # as the batch was made
                place.copy_(tensor)
        except ImagesError as error:
            return str(error)
        except USER_ERRORS as error:
            return f"preprocessing failed: {type(error).__name__}: {error}"
        return ""


def _finished(batch: range, images: Tensor, reasons: list[Future[str]]) -> ReadBatch:
    """Wait until a batch is read, and leave out what cannot be used."""
    failed = tuple((number, reason.result()) for number, reason in zip(batch, reasons, strict=True) if reason.result())
    if failed:
        usable = [at for at, reason in enumerate(reasons) if not reason.result()]
        return ReadBatch(batch.stop, tuple(batch[at] for at in usable), images[usable], failed)
    return ReadBatch(batch.stop, tuple(batch), images, failed)
