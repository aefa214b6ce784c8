"""The images of a set as a model takes them: read and preprocessed, or taken from the store of an earlier reading."""

import re

import numpy as np
import torch
from torch import Tensor

from lurk.images.image_files import FileReader, stamp
from lurk.images.image_set import ImageSet
from lurk.models.model import Model
from lurk.models.preprocess import Preprocess
from lurk.records import digest, software
from lurk.storage.webp import to_view
from lurk.sweeps.image_store import ImageStore, Samples

HASHED = re.compile(r"\[[0-9a-f]{16}\]$")  # at the end of what identifies a preprocessing that is not random


class PreparedImages:
    """Reads the images of a set as a model takes them.

    An image is kept as 8-bit samples, which are normalised again when it is taken from the store. It is kept only if
    that gives what the preprocessing gave, bit for bit; so it makes no difference where an image comes from.

    Args:
        model: The model, which preprocesses.
        images: The image set.
        store: Where images are kept; None to decode each time. Only those of files are.
    """

    def __init__(self, model: Model, images: ImageSet, store: ImageStore | None = None) -> None:
        is_known = isinstance(model.preprocess, Preprocess) or bool(HASHED.search(model.preprocessing))
        is_kept = is_known and not model.normalisation.problem and isinstance(images.reader, FileReader)
        self._model, self._images, self._store = model, images, store if is_kept else None
        self._shape = (model.normalisation.samples, *model.input_shape[1:])
        self._identity = repr((model.preprocessing, model.normalisation, images.ranges, software()))

    def read(self, number: int) -> Tensor:
        """Read an image.

        Args:
            number: Position in the set.

        Returns:
            float (c, h, w); of the shape that the preprocessing gave it, right or wrong.

        Raises:
            ImagesError: The image cannot be read.
        """
        if self._store is None:
            return self._prepared(number)
        key = self._key(number)
        samples = self._store.get(key, int(np.prod(self._shape)))
        if samples is not None:
            return self._normalised(samples)
        tensor = self._prepared(number)
        if self._is_unchanged(number) and tuple(tensor.shape) == tuple(self._model.input_shape):
            samples = to_view(self._model.displayed(tensor.detach().float()).numpy()).transpose(2, 0, 1)
            if _is_same(tensor, self._normalised(np.ascontiguousarray(samples))):
                self._store.put(key, samples)
        return tensor

    def _prepared(self, number: int) -> Tensor:
        image = self._images.read(number)
        return image if isinstance(image, Tensor) else self._model.preprocess(image)

    def _key(self, number: int) -> str:
        """What the samples of an image depend on: its file, the preprocessing, and the versions of both packages."""
        return digest((str(self._images.file(number)), self._images.stamps[number], self._identity))

    def _is_unchanged(self, number: int) -> bool:
        """Whether the file that was read is still the one that was listed."""
        file = self._images.file(number)
        return file is not None and stamp(file) == self._images.stamps[number]

    def _normalised(self, samples: Samples) -> Tensor:
        return self._model.normalised(torch.from_numpy(samples).view(self._shape).float().div_(255))


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same type and bits."""
    return one.dtype == other.dtype == torch.float32 and torch.equal(one.view(torch.int32), other.view(torch.int32))
