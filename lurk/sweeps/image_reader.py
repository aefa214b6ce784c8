"""Reads and preprocesses the images of a sweep in threads, two batches ahead of the model."""

from collections.abc import Iterator
from concurrent.futures import Executor, Future

from torch import Tensor

from lurk.errors import ImagesError
from lurk.images.image_set import ImageSet
from lurk.models.model import Model

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


class ImageReader:
    """Reads images as the model takes them.

    Args:
        model: The model, which preprocesses.
        images: The image set.
        input_shape: (channels, rows, columns) that every preprocessed image must have.
        pool: The threads.
    """

    def __init__(self, model: Model, images: ImageSet, input_shape: tuple[int, ...], pool: Executor) -> None:
        self._model, self._images, self._shape, self._pool = model, images, tuple(input_shape), pool

    def batches(self, numbers: range, batch_size: int) -> Iterator[list[tuple[int, Tensor | str]]]:
        """Read images batch by batch.

        Args:
            numbers: Which images.
            batch_size: Images a batch; the last batch may be shorter.

        Yields:
            For each image its number, and the preprocessed image or the reason why it cannot be used.
        """
        waiting: list[list[tuple[int, Future[Tensor | str]]]] = []
        for start in range(0, len(numbers), batch_size):
            batch = numbers[start : start + batch_size]
            waiting.append([(number, self._pool.submit(self._read, number)) for number in batch])
            if len(waiting) > BATCHES_AHEAD:
                yield [(number, image.result()) for number, image in waiting.pop(0)]
        for images in waiting:
            yield [(number, image.result()) for number, image in images]

    def _read(self, number: int) -> Tensor | str:
        try:
            image = self._images.read(number)
            tensor = image if isinstance(image, Tensor) else self._model.preprocess(image)
        except ImagesError as error:
            return str(error)
        except USER_ERRORS as error:
            return f"preprocessing failed: {type(error).__name__}: {error}"
        if tuple(tensor.shape) != self._shape:
            return f"is {tuple(tensor.shape)} after preprocessing; the model takes {self._shape}"
        return tensor.float()
