"""torchvision's classification networks by name, with their own weights, preprocessing and class names."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision.models import WeightsEnum

from lurk.config.weights_name import is_weights_file
from lurk.errors import ModelError, WeightsError
from lurk.models.checkpoint import fill
from lurk.models.imagenet_classes import CLASSES
from lurk.models.preprocess import Preprocess
from lurk.models.sources import SOURCES, UNTRAINED, Network, with_file
from lurk.models.weights.download import fetch

SEED = 0
SLOW_INIT = ("googlenet", "inception_v3")
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
OLD_DENSE = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)$")


@cache
def known() -> frozenset[str]:
    """Names of the networks."""
    return frozenset(torchvision.models.list_models(module=torchvision.models))


class Torchvision:
    """Networks that torchvision builds."""

    def accepts(self, source: str) -> bool:
        """Whether `--model` names one."""
        return source.lower() in known()

    def names(self) -> Iterable[str]:
        """Their names."""
        return known()

    def build(self, source: str, weights: str | None) -> Network:
        """Build one.

        Args:
            source: Its name.
            weights: `DEFAULT` or a weights name, `random`, or a weights file; None takes the default weights, or random
                ones and a notice if those cannot be downloaded.

        Returns:
            The network.

        Raises:
            WeightsError: There are no weights of that name, or those that were named cannot be read or downloaded.
        """
        name = source.lower()
        default = torchvision.models.get_model_weights(name).DEFAULT
        if weights is not None and weights.lower() == "random":
            return _untrained(name, default, f"{name} has random weights, as asked for: its units have learned nothing")
        if weights is not None and is_weights_file(weights):
            module = _module(name, default, trained=True)
            filled = fill(module, weights, _current_name)
            return with_file(_network(name, module, default, filled.name), filled)
        chosen = default if weights is None else _weights(name, weights)
        try:
            module = _module(name, chosen, trained=True)
            fill(module, _file(chosen), _current_name)
        except WeightsError as error:
            if weights is not None:
                raise WeightsError(f"--weights {weights}: {error}; or say --weights random, or a file") from error
            notice = f"{name} is untrained: {error}; its weights are random and its units have learned nothing"
            return _untrained(name, default, notice)
        return _network(name, module, chosen, "pretrained")


def _weights(name: str, wanted: str) -> WeightsEnum:
    """Weights of a network by name, such as `IMAGENET1K_V1` or `ResNet18_Weights.IMAGENET1K_V1`."""
    group = torchvision.models.get_model_weights(name)
    plain = wanted.rpartition(".")[2]
    member: WeightsEnum | None = group.__members__.get(plain) or group.__members__.get(plain.upper())
    if member is None or wanted not in (plain, f"{group.__name__}.{plain}"):
        names = ", ".join([*group.__members__, "random"])
        raise WeightsError(f"{name} has no weights {wanted!r}; --weights takes {names}, or a file that exists")
    return member


def _file(weights: WeightsEnum) -> Path:
    """The weights' file in torch's own cache, into which it is downloaded if it is missing."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    if not file.is_file():
        fetch(weights.url, file)
    return file


def _current_name(name: str) -> str | None:
    """Today's name of a weight in an old file; None for the auxiliary classifiers, which only training uses."""
    if name.startswith(AUXILIARY):
        return None
    return OLD_DENSE.sub(r"\1\2", name)


def _module(name: str, weights: WeightsEnum, *, trained: bool) -> nn.Module:
    options: dict[str, bool] = {}
    if name in SLOW_INIT:
        options = {"init_weights": not trained, "aux_logits": False, "transform_input": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        try:
            module: nn.Module = torchvision.models.get_model(name, weights=None, **options)
        except (ImportError, RuntimeError, ValueError) as error:
            raise ModelError(f"torchvision cannot build {name}: {error}") from error
    return module


def _untrained(name: str, weights: WeightsEnum, notice: str) -> Network:
    return _network(name, _module(name, weights, trained=False), weights, UNTRAINED, None, notice)


def _network(
    name: str, module: nn.Module, weights: WeightsEnum, label: str, sha256: str | None = None, notice: str = ""
) -> Network:
    preset = weights.transforms()
    preprocess = Preprocess(
        preset.resize_size[0],
        (preset.crop_size[0], preset.crop_size[0]),
        preset.interpolation.value,
        tuple(preset.mean),
        tuple(preset.std),
    )
    classes = tuple(weights.meta.get("categories") or CLASSES)
    return Network(module, name, name, preprocess, classes, label, sha256, notice)


SOURCES.register("torchvision")(Torchvision())
