"""Loading a model: a name, a network or a function that makes one becomes a `Model`."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path

import torch
from torch import nn

from lurk.errors import LurkError, ModelError, WeightsError, whole_number
from lurk.images.class_names import name_outputs
from lurk.models.model import Model
from lurk.models.preprocess import Transform
from lurk.models.preprocess_probe import assume, examine
from lurk.models.sources import SOURCES, Network
from lurk.models.user_network import filled_from_file, from_object

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@torch.inference_mode(False)  # weights made in inference mode could never have gradients
def load_model(  # noqa: PLR0913 - the public signature: a model and its options
    source: str | PathLike[str] | nn.Module | Model | Callable[..., object],
    *,
    weights: str | PathLike[str] | None = None,
    preprocess: Transform | None = None,
    classes: Iterable[str] | Mapping[int, str] | Mapping[str, int] | str | PathLike[str] | None = None,
    name: str | None = None,
    input_shape: tuple[int, int, int] | None = None,
    output: str | int | None = None,
) -> Model:
    """Load a model.

    Args:
        source: `efficientnet_lite0`, a torchvision classification network, `timm/NAME`, `hf/FOLDER`,
            `package.module:factory`, `path/file.py:factory`, a file of `torch.jit.save` or `torch.export.save`, the
            network or such a program itself, a function that makes it, or a model loaded before.
        weights: `DEFAULT`, a torchvision weights name, `random`, a file, or FILE:PART for one of several sets of
            weights in it; by default the pretrained weights, or random ones and a notice if those cannot be fetched.
        preprocess: Turns a PIL picture into a float32 (c, h, w) tensor; by default the model's own.
        classes: Names of the outputs: a list, a dict by number or of numbers by name, or a file of one of these; by
            default the model's own.
        name: Name on the page; by default the model's own.
        input_shape: (c, h, w) of a preprocessed picture; needed only if the preprocessing gives tensors of any size.
        output: Name or number of the output that holds the class scores, if the model has several; by default the one
            with as many columns as there are classes.

    Returns:
        The model.

    Raises:
        ModelError: The model cannot be found or built, or its preprocessing fails.
        WeightsError: The weights cannot be read or do not fit.
    """
    if weights is not None and not isinstance(weights, (str, PathLike)):
        raise WeightsError(f"weights is to be a name or a file, not {type(weights).__name__}")
    file = None if weights is None else fspath(weights)
    built = _from_name(fspath(source), file) if isinstance(source, (str, PathLike)) else from_object(source, file)
    _check_parts(built)
    if isinstance(source, Model) and preprocess is not None:
        built = replace(built, input_shape=None)
    names, counted = built.classes, ""
    if classes is not None:
        names, counted = name_outputs(classes, f"load_model({built.name!r})")
    shape = _shape(input_shape or built.input_shape)
    transform, assumed = preprocess or built.preprocess, ""
    if transform is None:
        transform, assumed = assume(built.module, shape)
    examined = examine(transform, shape, _channels(built.module))
    built = filled_from_file(built, examined.shape)
    notes = [built.notice, assumed, examined.notice]
    return Model(
        built.module,
        examined.transform,
        names,
        name or built.name,
        built.weights,
        built.source,
        examined.shape,
        examined.description,
        examined.normalisation,
        "; ".join(note for note in notes if note),
        built.weight_hash,
        (*built.notes, counted) if counted else built.notes,
        source.output if output is None and isinstance(source, Model) else output,
        assumed,
    )


def _shape(given: object) -> tuple[int, int, int] | None:
    """An input shape as three whole numbers; None for none."""
    if given is None:
        return None
    try:
        channels, height, width = (whole_number(side, "a side") for side in given)  # type: ignore[attr-defined]  # below
        if min(channels, height, width) > 0:
            return channels, height, width
    except (TypeError, ValueError, LurkError):
        pass
    raise ModelError(f"input_shape must be three whole numbers above 0, (channels, height, width), not {given}")


def _check_parts(network: Network) -> None:
    """Refuse a network of which a part cannot be watched."""
    for name, part in network.module.named_modules():
        kind = type(part)
        weights = [
            weight
            for weight in part.parameters(recurse=False)
            if not (weight.is_floating_point() or weight.is_complex())
        ]
        if weights or (kind.__module__.startswith("torch.") and ".quantized." in f"{kind.__module__}."):
            raise ModelError(
                f"{network.name} is quantised ({kind.__name__}{f' at {name!r}' if name else ''}): it computes with "
                "integers, which have no gradients; give the network as it was before that"
            )
        if any(weight.is_meta for weight in part.parameters(recurse=False)):
            raise ModelError(f"{network.name} has weights without values, on the meta device, at {name!r}")


def _from_name(source: str, weights: str | None) -> Network:
    """Build the network of the first source that accepts a name."""
    for kind in SOURCES:
        if SOURCES[kind].accepts(source):
            built = SOURCES[kind].build(source, weights)
            built.module.eval()
            return built
    known = sorted({name for kind in SOURCES for name in SOURCES[kind].names()})
    close = difflib.get_close_matches(source.lower(), known, n=3)
    hint = (
        f"did you mean {' or '.join(close)}?"
        if close
        else f"known are: {', '.join(known[:6])} and {len(known) - 6} more,"
    )
    more = (
        ""
        if close
        else " torchvision's classification networks, timm/NAME, hf/FOLDER, package.module:factory and file.py:factory"
    )
    if Path(source).is_file():
        hint, more = "a file of weights goes with --weights, beside a --model", ""
    raise ModelError(f"no model is called {source!r}; {hint}{more}")


def _channels(module: nn.Module) -> int | None:
    """Input channels of the first convolution; None if there is no convolution."""
    first = next((part for part in module.modules() if isinstance(part, CONVOLUTIONS)), None)
    return first.in_channels if first is not None and first.in_channels else None
