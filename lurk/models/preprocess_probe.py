"""Finding out what a preprocessing does, by looking at it and by trying it on made pictures."""

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lurk.errors import ModelError
from lurk.graph.device import device_of
from lurk.graph.hooks import undisturbed
from lurk.models.preprocess import Preprocess, Transform

Numbers = tuple[float, ...]
SIDES = (224, 256, 299, 32, 28, 64, 96, 128, 384, 512)
SIZES = ((400, 320), (300, 330))


@dataclass(frozen=True)
class Examined:
    """What is known of a preprocessing.

    Args:
        transform: The preprocessing, made to start from grey where the network takes grey.
        shape: (c, h, w) that it gives.
        mean: What it subtracts from samples in [0, 1], a number a channel; None where not known.
        std: What it then divides by; None where not known.
        description: Words that determine it.
        notice: What is odd about it; empty where nothing is.
    """

    transform: Transform
    shape: tuple[int, int, int]
    mean: Numbers | None
    std: Numbers | None
    description: str
    notice: str = ""


@dataclass(frozen=True)
class Greyed:
    """A preprocessing that is given grey pictures."""

    transform: Transform

    def __call__(self, picture: Image.Image) -> Tensor:
        """Preprocess a picture made grey."""
        return self.transform(picture.convert("L"))


def examine(transform: Transform, shape: tuple[int, int, int] | None, channels: int | None) -> Examined:
    """Find out what a preprocessing gives.

    Args:
        transform: The preprocessing.
        shape: (c, h, w) that it is said to give, None where it is to be found.
        channels: Channels that the network's first convolution takes, None where it has none.

    Returns:
        What is known of it.

    Raises:
        ModelError: It is no function, fails, gives no tensor, or gives shapes that do not fit.
    """
    if not callable(transform):
        raise ModelError(f"preprocess must be a function of a picture, not {type(transform).__name__}")
    transform, outputs = _start(transform, channels)
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
    again = [_try(transform, _picture(size, "RGB")) for size in SIZES]
    steady = all(torch.equal(one, other) for one, other in zip(outputs, again, strict=True))
    mean, std = normalisation(transform)
    notice = "" if steady else "the preprocessing is random: give the one for evaluation, or no two sweeps are equal"
    return Examined(transform, shape, mean, std, _describe(transform, outputs if steady else []), notice)


def _start(transform: Transform, channels: int | None) -> tuple[Transform, list[Tensor]]:
    """Two preprocessed pictures; the preprocessing of a network that takes grey is given grey ones if it needs them."""
    try:
        outputs = [_try(transform, _picture(size, "RGB")) for size in SIZES]
        if channels != 1 or outputs[0].shape[0] == 1:
            return transform, outputs
    except ModelError:
        if channels != 1:
            raise
    greyed = Greyed(transform)
    return greyed, [_try(greyed, _picture(size, "RGB")) for size in SIZES]


def _try(transform: Transform, picture: Image.Image) -> Tensor:
    try:
        output = transform(picture)
    except Exception as error:  # the user's own code: it may raise anything
        reason = (str(error).strip().splitlines() or ["no message"])[0]
        raise ModelError(f"preprocess fails on a picture: {type(error).__name__}: {reason}") from error
    if not isinstance(output, Tensor):
        raise ModelError(f"preprocess must give a torch tensor, not {type(output).__name__}; end it with ToTensor()")
    if output.ndim != 3 or not output.numel():
        raise ModelError(f"preprocess must give a tensor (channels, height, width), not {tuple(output.shape)}")
    return output.detach().float()


def _picture(size: tuple[int, int], mode: str) -> Image.Image:
    """A picture with every sample value and detail of every size, the same each time."""
    rows, cols = np.indices(size[::-1])
    planes = [rows * 3 + cols, rows + cols * 7, (rows * cols) // 16]
    return Image.fromarray((np.stack(planes, axis=2) % 256).astype(np.uint8)).convert(mode)


def normalisation(transform: Transform) -> tuple[Numbers, Numbers] | tuple[None, None]:
    """Mean and deviation that a preprocessing takes out of samples in [0, 1].

    Args:
        transform: The preprocessing.

    Returns:
        What it says itself, else what plain pictures show; None twice where it is no such thing.
    """
    said = _said(transform)
    if said is not None:
        return said
    outputs = []
    for level in (0, 102, 255):
        output = _try(transform, Image.new("RGB", (320, 320), (level,) * 3)).double().flatten(1)
        if not bool((output.amax(1) - output.amin(1) <= 1e-5 * output.abs().amax().clamp(min=1)).all()):
            return None, None
        outputs.append(output[:, 0])
    black, grey, white = outputs
    span = white - black
    if bool((span.abs() < 1e-9).any()) or bool(((black + 0.4 * span - grey).abs() > 1e-4 * span.abs()).any()):
        return None, None
    return tuple(round(v, 6) for v in (-black / span).tolist()), tuple(round(v, 6) for v in (1 / span).tolist())


def _said(transform: object) -> tuple[Numbers, Numbers] | None:
    """Mean and deviation by their attributes; of a chain of steps, the last one's."""
    if isinstance(transform, Greyed):
        return _said(transform.transform)
    steps = getattr(transform, "transforms", None)
    if isinstance(transform, nn.Sequential):
        steps = list(transform)
    if isinstance(steps, (list, tuple)):
        return _said(steps[-1]) if steps else None
    mean, std = getattr(transform, "mean", None), getattr(transform, "std", None)
    if (
        type(transform).__name__ not in ("Preprocess", "ImageClassification", "Normalize")
        or mean is None
        or std is None
    ):
        return None
    as_numbers = [tuple(torch.as_tensor(value).double().flatten().tolist()) for value in (mean, std)]
    exact = [
        tuple(value) if isinstance(value, (list, tuple)) else known
        for value, known in zip((mean, std), as_numbers, strict=True)
    ]
    return exact[0], exact[1]


def _describe(transform: object, outputs: list[Tensor]) -> str:
    """Words that determine a preprocessing; what it does to two pictures is part of them where its words may not."""
    if isinstance(transform, Preprocess):
        return transform.describe()
    words = re.sub(r"\s+", " ", re.sub(r" at 0x[0-9a-fA-F]+", "", repr(transform)))
    total = hashlib.sha256()
    for output in outputs:
        total.update(str(tuple(output.shape)).encode() + output.contiguous().numpy().tobytes())
    return f"{words[:500]} [{total.hexdigest()[:16]}]" if outputs else words[:500]


def assume(module: nn.Module, shape: tuple[int, int, int] | None) -> tuple[Preprocess, str]:
    """The usual preprocessing for a network that brings none.

    Args:
        module: The network.
        shape: (c, h, w) that it takes, None where it is to be found by trying.

    Returns:
        The preprocessing, and words that say that it was assumed.

    Raises:
        ModelError: The network takes no pictures of any usual size, or neither 1 nor 3 channels.
    """
    shape = shape or _taken(module)
    channels, height, width = shape
    if channels not in (1, 3):
        raise ModelError(f"the network takes {channels} channels: say how a picture becomes that with preprocess=")
    resize = 256 if (height, width) == (224, 224) else max(height, width)
    grey = {"mean": (0.5,), "std": (0.5,), "channels": 1} if channels == 1 else {}
    preprocess = Preprocess(resize, (height, width), **grey)  # type: ignore[arg-type]  # three options of three types
    return preprocess, f"the model brings no preprocessing, so the usual one is assumed: {preprocess.describe()}"


def _taken(module: nn.Module) -> tuple[int, int, int]:
    """The first usual input shape that a network takes, by trying."""
    firsts = [part for part in module.modules() if isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear))]
    channels = (firsts[0].in_channels or 3,) if firsts and not isinstance(firsts[0], nn.Linear) else (3, 1)
    reasons = []
    for count in channels:
        for side in SIDES:
            reason = _refusal(module, (count, side, side))
            if not reason:
                return (count, side, side)
            reasons.append(reason)
    raise ModelError(
        f"the model brings no preprocessing and takes no picture of {SIDES[0]} pixels or another usual size "
        f"({reasons[0]}); give preprocess= or input_shape="
    )


def _refusal(module: nn.Module, shape: tuple[int, int, int]) -> str:
    """Why a network does not take an input shape; empty where it does."""
    try:
        with torch.no_grad(), undisturbed(module):
            module(torch.zeros(2, *shape, device=device_of(module)))
    except Exception as error:  # the user's own code: it may raise anything
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ""
