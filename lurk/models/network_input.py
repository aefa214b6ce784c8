"""Turns an image, however it is given, into what a network takes."""

from os import PathLike
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lurk.errors import ImagesError, expect
from lurk.graph.device import device_of
from lurk.images.decoding import decode
from lurk.images.image_set import ImageSet, read_hit
from lurk.models.model import Model
from lurk.records import Hit

Picture = Tensor | np.ndarray[Any, Any] | Image.Image | str | PathLike[str] | Hit


def image_for(model: Model, image: Picture | None, images: ImageSet | None) -> Tensor | None:
    """Turn what a user gives as an image into the network's input.

    Args:
        model: The model.
        image: A preprocessed tensor or array, a PIL picture, a file or a hit; None for none.
        images: The image set of a hit that does not know how it is read.

    Returns:
        float (c, h, w) of the model's type, on its device; None for none.

    Raises:
        ImagesError: The image cannot be read, or is not of the shape that the model takes.
        LurkError: It is none of these.
    """
    return None if image is None else preprocess_image(model, _read(image, images))


def preprocess_image(model: Model, picture: Tensor | Image.Image) -> Tensor:
    """Turn an image into the network's input.

    Args:
        model: The model.
        picture: What an image set reads: a PIL picture, or a tensor that is preprocessed already.

    Returns:
        float (c, h, w) of the model's type, on its device.

    Raises:
        ImagesError: The image is not of the shape that the model takes, or holds NaN or infinity.
    """
    tensor = picture if isinstance(picture, Tensor) else model.preprocess(picture)
    if tuple(tensor.shape) != tuple(model.input_shape):
        raise ImagesError(
            f"the image is {tuple(tensor.shape)} after preprocessing; the model takes {tuple(model.input_shape)}"
        )
    if not bool(tensor.isfinite().all()):
        raise ImagesError("the image holds NaN or infinity after preprocessing")
    return tensor.detach().clone().to(device_of(model.module), model.dtype)  # a copy is no inference tensor


def _read(image: Picture, images: ImageSet | None) -> Tensor | Image.Image:
    """The image itself: read from its file, or from the image set if it is a hit."""
    if isinstance(image, Hit):
        read: Tensor | Image.Image = read_hit(image, images)
        return read
    if isinstance(image, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(image))
    if isinstance(image, (str, PathLike)):
        try:
            return decode(image)
        except ImagesError as error:
            raise ImagesError(f"image {str(image)[:200]!r}: {error}") from error
    expect(image, (Tensor, Image.Image), "an image is a tensor, an array, a PIL picture, a file or a hit")
    return image
