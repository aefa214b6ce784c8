"""A network of the user's own: checked, unwrapped and described, whether given as an object or made by a factory."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from torch import nn

from lurk.config.weights_name import is_weights_file
from lurk.errors import LurkError, ModelError, WeightsError
from lurk.images.class_names import name_outputs
from lurk.models.architecture import architecture_hash
from lurk.models.checkpoint import fill
from lurk.models.copying import copied, materialise, needs_copy, unwrapped
from lurk.models.image_input import other_input
from lurk.models.model import Model
from lurk.models.programs.rebuild import rebuilt
from lurk.models.sources import AS_GIVEN, AS_MADE, Network, with_file
from lurk.models.user_code import undisturbing

NOT_THEIRS = (Path(__file__).parent, Path(traceback.__file__).parent)


def from_object(value: object, weights: str | None) -> Network:
    """Take a network, or a function that makes one.

    Args:
        value: The network, a model loaded before, or the function.
        weights: A weights file; None keeps the weights that the network has.

    Returns:
        The network.

    Raises:
        ModelError: It is none of these, or the function fails.
    """
    name = getattr(value, "original_name", type(value).__name__)
    value = rebuilt(value)
    if not isinstance(value, (nn.Module, Model, tuple)):
        name = getattr(value, "__name__", name)
        if not callable(value):
            raise ModelError(f"a model is a name, a torch module or a function that makes one, not {name}")
    network = make_network(value, name, name, weights)
    is_given = isinstance(value, (nn.Module, tuple)) and network.weights == AS_MADE
    return replace(network, weights=AS_GIVEN) if is_given else network


def make_network(value: object, source: str, name: str, weights: str | None) -> Network:
    """Make a network of what a user gave or of what his factory returns.

    Args:
        value: A module, a model, (module, preprocess), (module, preprocess, classes), or a function that returns one
            of these.
        source: What the user named, for error messages.
        name: Name on the page.
        weights: A weights file; None keeps the weights that the network has.

    Returns:
        The network.

    Raises:
        ModelError: The function fails, or there is no module in what it returns.
    """
    if not isinstance(value, (nn.Module, Model, tuple)):
        if not callable(value):
            raise ModelError(f"--model {source!r} is {type(value).__name__}, not a function that makes a network")
        with naming_errors(source, "fails"), undisturbing(source):
            value = value()
    value = rebuilt(value)
    if weights is not None and not is_weights_file(weights):
        raise WeightsError(
            f"--weights {weights!r} is no file; a network of your own takes its weights from a file only"
        )
    return replace(_described(value, source, name), file=weights)


@contextmanager
def naming_errors(source: str, what: str) -> Iterator[None]:
    """Turn whatever the user's own code raises into a ModelError that names the line which raised it."""
    try:
        yield
    except LurkError:
        raise
    except (Exception, SystemExit) as error:  # the user's own code: it may raise anything
        message = (str(error).strip().splitlines() or ["no message"])[0]
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_foreign(frame.filename)]
        line = f" ({Path(frames[-1].filename).name} line {frames[-1].lineno})" if frames else ""
        raise ModelError(f"--model {source!r} {what}: {type(error).__name__}: {message}{line}") from error


def _is_foreign(file: str) -> bool:
    """Whether a file is not the user's: this package's, an installed one, or Python's own."""
    return any(part in file for part in ("site-packages", "<frozen")) or any(map(Path(file).is_relative_to, NOT_THEIRS))


def filled_from_file(network: Network, shape: tuple[int, int, int]) -> Network:
    """Make a network's lazy parts, and fill a copy of it with the weights of its file, if it has one.

    Args:
        network: The network; a module that the user gave keeps its own weights.
        shape: (c, h, w) of its input.

    Returns:
        The network with its weights.

    Raises:
        ModelError: The network has lazy parts that its input does not reach, or cannot be copied.
        WeightsError: The file does not fit.
    """
    try:
        materialise(network.module, shape)
    except ModelError as error:
        if reason := other_input(network.module, shape):
            raise ModelError(reason) from error
        raise
    if network.file is None:
        return network
    module = copied(network.module)
    return with_file(replace(network, module=module), fill(module, network.file))


def _described(value: object, source: str, name: str) -> Network:
    if isinstance(value, Model):
        network = Network(value.module, value.source, value.name, value.preprocess, value.classes, value.weights)
        network = replace(network, weight_hash=value.file_hash, notice=value.notice, input_shape=value.input_shape)
        return replace(network, notes=value.notes)
    module, preprocess, classes = (*value, None, None, None)[:3] if isinstance(value, tuple) else (value, None, None)
    if not isinstance(module, nn.Module) or (isinstance(value, tuple) and len(value) > 3):
        raise ModelError(
            f"--model {source!r} gives {type(module).__name__}; it is to give a torch module, (module, preprocess) or "
            "(module, preprocess, classes)"
        )
    module = unwrapped(module)
    module = copied(module) if needs_copy(module) else module
    preprocess = preprocess if preprocess is not None else _own_attribute(module, "preprocess")
    classes = classes if classes is not None else _own_attribute(module, "classes")
    shape = _own_attribute(module, "input_shape")
    names, counted = name_outputs(classes, f"--model {source!r}") if classes is not None else (None, "")
    return Network(
        module,
        f"{Path(source).name}#{architecture_hash(module)}",
        name,
        preprocess,  # type: ignore[arg-type]  # `examine` refuses what is not a function
        names,
        AS_MADE,
        input_shape=tuple(shape) if isinstance(shape, (tuple, list)) else None,
        notes=(counted,) if counted else (),
    )


def _own_attribute(module: nn.Module, name: str) -> object:
    """An attribute of a module; None if it is missing, or is a part of the network that merely has that name."""
    value = getattr(module, name, None)
    return None if name in dict(module.named_children()) and not callable(value) else value
