"""Finds out what a preprocessing does by trying it on generated pictures."""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lurk.errors import ModelError
from lurk.graph.device import device_of, dtype_of
from lurk.graph.hooks import undisturbed
from lurk.models.copying import copied, materialise
from lurk.models.image_input import other_input
from lurk.models.normalisation import Normalisation
from lurk.models.normalisation_probe import measure
from lurk.models.preprocess import Preprocess, Transform

SIDES = (224, 256, 299, 32, 28, 64, 96, 128, 384, 512)
SEED = 0
SIZES = ((400, 320), (300, 330))
REPEATS = 8  # of a step that changes every second picture, 1 in 256 stays unseen
MOST_LAST = 4  # of a narrower output the last axis is taken for the channels


@dataclass(frozen=True)
class Examined:
    """What is known of a preprocessing.

    Args:
        transform: The preprocessing; it starts from a grey picture if the network takes one channel.
        shape: (c, h, w) of its output.
        normalisation: What it does to colours.
        description: A text that identifies it.
        notice: A warning about it; empty if there is none.
    """

    transform: Transform
    shape: tuple[int, int, int]
    normalisation: Normalisation
    description: str
    notice: str = ""


@dataclass(frozen=True)
class FromGrey:
    """A preprocessing that starts from a grey picture."""

    transform: Transform

    def __call__(self, picture: Image.Image) -> Tensor:
        """Make a picture grey and preprocess it."""
        return self.transform(picture.convert("L"))


def examine(transform: Transform, shape: tuple[int, int, int] | None, channels: int | None) -> Examined:
    """Find out what a preprocessing does.

    Args:
        transform: The preprocessing.
        shape: (c, h, w) that its output should have; None to find it.
        channels: Input channels of the network's first convolution; None without a convolution.

    Returns:
        What is known of it.

    Raises:
        ModelError: It is not a function, fails, gives no tensor, or gives a tensor of another shape.
    """
    if not callable(transform):
        raise ModelError(f"preprocess must be a function of a picture, not {type(transform).__name__}")
    with _chance_kept():
        return _examine(transform, shape, channels)


@contextmanager
def _chance_kept() -> Iterator[None]:
    """Draw the same global random numbers each time, and leave their states as they were."""
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(SEED)
            np.random.seed(SEED)
            torch.manual_seed(SEED)
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


def _examine(transform: Transform, shape: tuple[int, int, int] | None, channels: int | None) -> Examined:
    transform, outputs = _try_with_channels(transform, channels)
    if shape is None:
        if outputs[0].shape != outputs[1].shape:
            shapes = " and ".join(str(tuple(output.shape)) for output in outputs)
            raise ModelError(
                f"preprocess gives tensors of different shapes, {shapes}, for two pictures; add a resize and a crop, "
                "or say input_shape=(channels, height, width)"
            )
        shape = (outputs[0].shape[0], outputs[0].shape[1], outputs[0].shape[2])
    elif outputs[0].shape == outputs[1].shape and tuple(outputs[0].shape) != shape:
        raise ModelError(f"preprocess gives {tuple(outputs[0].shape)}, input_shape says {shape}")
    is_random = not all(torch.equal(outputs[0], _try(transform, _picture(SIZES[0]))) for _ in range(REPEATS))
    normalisation = measure(partial(_try, transform), outputs)
    notices = ["the preprocessing is random: give the one for evaluation, or no two sweeps are equal"] * is_random
    if normalisation.problem:
        notices.append(_without_inverse(normalisation))
    description = _describe(transform, [] if is_random else outputs)
    return Examined(transform, shape, normalisation, description, "; ".join(notices))


def _without_inverse(normalisation: Normalisation) -> str:
    """Say that pictures show the network's input as it is."""
    ends = normalisation.bounds(torch.zeros(1, dtype=torch.float64))
    ranges = [f"{low:.3g} to {high:.3g}" for low, high in zip(*(end.flatten().tolist() for end in ends), strict=True)]
    ranges = ranges[:1] if len(set(ranges)) == 1 else ranges
    return (
        f"the preprocessing cannot be undone: {normalisation.problem}; pictures show the network's input as it is, "
        f"{', '.join(ranges)} drawn as black to white"
    )


def _try_with_channels(transform: Transform, channels: int | None) -> tuple[Transform, list[Tensor]]:
    """Preprocess two pictures; for a network of one channel, make them grey if the preprocessing needs that."""
    try:
        outputs = _try_twice(transform)
        if channels != 1 or outputs[0].shape[0] == 1:
            return transform, outputs
    except ModelError:
        if channels != 1:
            raise
    from_grey = FromGrey(transform)
    return from_grey, _try_twice(from_grey)


def _try_twice(transform: Transform) -> list[Tensor]:
    return [_try(transform, _picture(size)) for size in SIZES]


def _try(transform: Transform, picture: Image.Image) -> Tensor:
    try:
        output: object = transform(picture)
    except Exception as error:  # the user's own code: it may raise anything
        reason = (str(error).strip().splitlines() or ["no message"])[0]
        raise ModelError(f"preprocess fails on a PIL picture: {type(error).__name__}: {reason}") from error
    if not isinstance(output, Tensor):
        is_holder = isinstance(output, (Mapping, list, tuple))
        advice = "take the tensor out of it" if is_holder else "end it with ToTensor()"
        raise ModelError(f"preprocess must give a torch tensor, not {type(output).__name__}; {advice}")
    wrong = f"preprocess must give a tensor (channels, height, width), not {tuple(output.shape)}"
    if output.ndim != 3 or not output.numel():
        raise ModelError(wrong + ("; end it with [0]" if output.ndim == 4 and len(output) == 1 else ""))
    if output.shape[2] <= MOST_LAST < min(output.shape[:2]):
        raise ModelError(f"{wrong}; end it with .permute(2, 0, 1)")
    if output.is_complex():
        raise ModelError(f"preprocess must give real numbers, not {output.dtype}")
    return output.detach().float()


def _picture(size: tuple[int, int]) -> Image.Image:
    """A generated picture with every sample value and with coarse and fine detail."""
    rows, cols = np.indices(size[::-1])
    planes = [rows * 3 + cols, rows + cols * 7, (rows * cols) // 16]
    return Image.fromarray((np.stack(planes, axis=2) % 256).astype(np.uint8))


def _describe(transform: object, outputs: list[Tensor]) -> str:
    """A text that identifies a preprocessing: its own description, or its `repr` with a hash of two outputs."""
    if isinstance(transform, Preprocess):
        return transform.describe()
    words = re.sub(r"\s+", " ", re.sub(r" at 0x[0-9a-fA-F]+", "", repr(transform)))
    total = hashlib.sha256()
    for output in outputs:
        total.update(str(tuple(output.shape)).encode() + output.contiguous().numpy().tobytes())
    return f"{words[:500]} [{total.hexdigest()[:16]}]" if outputs else words[:500]


def assume(module: nn.Module, shape: tuple[int, int, int] | None) -> tuple[Preprocess, str]:
    """The usual preprocessing, for a network that has none of its own.

    Args:
        module: The network.
        shape: (c, h, w) of its input; None to find it by trying.

    Returns:
        The preprocessing, and a notice that it was assumed.

    Raises:
        ModelError: The network takes no usual size, not 1 or 3 channels, or not one batch of images.
    """
    shape = shape or _input_shape(module)
    channels, height, width = shape
    if channels not in (1, 3):
        raise ModelError(f"the network takes {channels} channels: say how a picture becomes that with preprocess=")
    resize = 256 if (height, width) == (224, 224) else max(height, width)
    grey = {"mean": (0.5,), "std": (0.5,), "channels": 1} if channels == 1 else {}
    preprocess = Preprocess(resize, (height, width), **grey)  # type: ignore[arg-type]  # three options of three types
    return preprocess, f"the model brings no preprocessing, so the usual one is assumed: {preprocess.describe()}"


def _input_shape(module: nn.Module) -> tuple[int, int, int]:
    """The first usual input shape with which a network runs."""
    firsts = [part for part in module.modules() if isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear))]
    channels = (firsts[0].in_channels or 3,) if firsts and not isinstance(firsts[0], nn.Linear) else (3, 1)
    shapes = [(count, side, side) for count in channels for side in SIDES]
    reasons = []
    for shape in shapes:
        reason = _refusal(module, shape)
        if not reason:
            return shape
        reasons.append(reason)
    for shape in shapes:
        if other := other_input(module, shape):
            raise ModelError(other)
    if len(set(reasons)) == 1:
        raise ModelError(f"the model fails on an image of any usual size: {reasons[0]}")
    raise ModelError(
        f"the model brings no preprocessing and takes no picture of {SIDES[0]} pixels or another usual size "
        f"({reasons[0]}); give preprocess= or input_shape="
    )


def _refusal(module: nn.Module, shape: tuple[int, int, int]) -> str:
    """Why a network does not run with an input shape; empty if it does."""
    try:
        module = copied(module) if any(map(is_lazy, module.parameters())) else module
        materialise(module, shape)
        with torch.no_grad(), undisturbed(module):
            module(torch.zeros(2, *shape, device=device_of(module), dtype=dtype_of(module)))
    except Exception as error:  # the user's own code: it may raise anything
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ""
