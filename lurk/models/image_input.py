"""Says what a network takes if it is not one batch of images, from its signature and from runs on other inputs."""

import inspect
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lurk.graph.device import device_of, dtype_of
from lurk.graph.hooks import undisturbed
from lurk.models.copying import copied

IMAGES = 3
MOST = 4
LIST = "wrap it in a module whose forward(images) returns network(list(images))"
COUNTS = (1, 2, 3, 4, 8, 16, 32, 64, 128)
FIXED = (
    "if that was fixed when it was traced or exported, script it, or export it with a dynamic batch: "
    'dynamic_shapes=({0: torch.export.Dim("batch")},)'
)
ADVICE = "wrap it in a module whose forward takes the images alone and hands on the rest"


class _Asked(dict[str, Tensor]):
    """Gives the images under any name, and keeps the names that were asked for."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._images, self.names = images, dict[str, None]()

    def __missing__(self, key: object) -> Tensor:
        """Give the images for a name."""
        if not isinstance(key, str):
            raise KeyError(key)
        self.names[key] = None
        return self._images

    def get(self, key: str, default: object = None) -> Tensor:
        """Give the images for a name."""
        return self[key]

    def __getattr__(self, name: str) -> Tensor:
        """Give the images as an attribute that no tensor has."""
        if name.startswith("_") or hasattr(Tensor, name):
            raise AttributeError(name)
        return self[name]


def other_input(module: nn.Module, shape: tuple[int, int, int], *, alone: bool = True) -> str:
    """Say what a network takes that fails on a batch of images.

    Args:
        module: The network, in evaluation mode; it is left as it was.
        shape: (c, h, w) of an image.
        alone: Whether it is to run on a single image, too.

    Returns:
        What it takes instead, and what to do; empty if it runs, or if it fails for another reason.
    """
    is_unfinished = any(map(is_lazy, module.parameters()))
    module = copied(module) if is_unfinished else module
    images = torch.zeros(IMAGES, *shape, device=device_of(module), dtype=dtype_of(module))
    kept = nullcontext() if is_unfinished else undisturbed(module)  # a run gives lazy weights their shapes
    with torch.inference_mode(False), torch.no_grad(), kept:
        error = _failure(module, images) or (_failure(module, images[:1]) if alone else None)
        if error is None:
            return ""
        reason = _by_signature(module, error) or _by_runs(module, images)
    return f"the model does not take one batch of images: {reason}" if reason else ""


def _failure(module: nn.Module, *inputs: object) -> Exception | None:
    """What a network raises for inputs; None if it runs."""
    try:
        module(*inputs)
    except Exception as error:  # the user's own code: it may raise anything
        return error
    return None


def _by_signature(module: nn.Module, error: Exception) -> str:
    """What the signature of a network's forward says of a failure."""
    try:
        takes = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # a function of C has no signature
        return ""
    by_position = [one for one in takes if one.kind not in (one.KEYWORD_ONLY, one.VAR_KEYWORD)]
    if isinstance(error, TypeError) and not takes:
        return "its forward takes no input"
    if isinstance(error, TypeError) and not by_position:
        names = ", ".join(str(one) for one in takes)
        return f"its forward takes keywords only ({names}); wrap it in a module whose forward(images) names them"
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    more = [one for one in takes if one.kind not in variable and one not in by_position[:1]]
    needed = [one.name for one in more if one.default is one.empty]
    if isinstance(error, TypeError) and needed:
        return f"its forward also needs {', '.join(needed)}; {ADVICE}"
    if more and "NoneType" in str(error):
        return f"its forward fails without {', '.join(one.name for one in more if one.default is None)}; {ADVICE}"
    return ""


def _by_runs(module: nn.Module, images: Tensor) -> str:
    """Which other input a network runs with."""
    for count in COUNTS:
        one, two = (_failure(module, images[:1].repeat(many, 1, 1, 1)) for many in (count, count + 1))
        if one is None and two is not None:
            return f"it takes exactly {count} at once; {FIXED}"
    asked = _Asked(images)
    _failure(module, asked)
    if asked.names:
        return f"its forward reads {', '.join(asked.names)} from what it is given; {ADVICE}"
    if _failure(module, list(images)) is None:
        return f"its forward takes a list of images; {LIST}"
    if _failure(module, (images, images)) is None:
        return f"its forward takes several inputs as one tuple; {ADVICE}"
    for count in range(2, MOST + 1):
        if _failure(module, *[images] * count) is None:
            return f"its forward takes {count} inputs; {ADVICE}"
    return ""
