"""Networks of the package timm by name, with their own weights, preprocessing and class names: `timm/resnet10t`."""

import difflib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch

from lurk.config.weights_name import is_weights_file
from lurk.errors import ModelError, WeightsError
from lurk.models.checkpoint import fill
from lurk.models.imagenet_classes import CLASSES
from lurk.models.sources import PRETRAINED, SOURCES, UNTRAINED, Network, with_file
from lurk.models.weights.download import reach

PREFIX = "timm/"
SEED = 0
FILE = "model.safetensors"


class Timm:
    """Networks that timm builds."""

    def accepts(self, source: str) -> bool:
        """Whether `--model` names one."""
        return source.startswith(PREFIX)

    def names(self) -> Iterable[str]:
        """None: there are over a thousand, and the package may be missing."""
        return ()

    def build(self, source: str, weights: str | None) -> Network:
        """Build one.

        Args:
            source: `timm/NAME` or `timm/NAME.TAG`.
            weights: `DEFAULT`, `random`, or a weights file; None takes the weights of timm, or random ones and a notice
                if those cannot be downloaded.

        Returns:
            The network.

        Raises:
            WeightsError: There are no such weights, or they cannot be read or downloaded.
        """
        timm = _package()
        network = _untrained(timm, source.removeprefix(PREFIX))
        if weights is not None and weights.lower() == "random":
            notice = f"{source} has random weights, as asked for: its units have learned nothing"
            return replace(network, notice=notice)
        if weights is not None and is_weights_file(weights):
            return with_file(network, fill(network.module, weights))
        if weights is not None and weights.upper() != "DEFAULT":
            raise WeightsError(
                f"{source} has no weights {weights!r}; --weights takes DEFAULT, random or a weights file"
            )
        try:
            filled = fill(network.module, _weights_file(network))
        except WeightsError as error:
            if weights is not None:
                raise WeightsError(f"--weights {weights}: {error}; or say --weights random, or a file") from error
            notice = f"{source} is untrained: {error}; its weights are random and its units have learned nothing"
            return replace(network, notice=notice)
        return replace(network, weights=PRETRAINED, weight_hash=filled.sha256)


def _package() -> ModuleType:
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise ModelError(f"--model {PREFIX}… needs the package timm ({error}); run: pip install timm") from error
    return timm


def _untrained(timm: ModuleType, name: str) -> Network:
    """The network with random weights, and what timm knows of its input and classes."""
    if not timm.is_model(name):
        known = timm.list_models()
        close = difflib.get_close_matches(name.partition(".")[0].lower(), known, n=3)
        hint = (
            f"did you mean {' or '.join(PREFIX + item for item in close)}?" if close else "timm.list_models() lists all"
        )
        raise ModelError(f"timm {timm.__version__} has no network {name!r}; {hint}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        try:
            module = timm.create_model(name, pretrained=False)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelError(f"timm cannot build {name}: {(str(error).splitlines() or [''])[0]}") from error
    config = timm.data.resolve_model_data_config(module)
    preprocess = timm.data.create_transform(**config, is_training=False)
    source = f"{PREFIX}{name}@{timm.__version__}"
    return Network(
        module, source, PREFIX + name, preprocess, _classes(timm, module), UNTRAINED, input_shape=config["input_size"]
    )


def _classes(timm: ModuleType, module: torch.nn.Module) -> tuple[str, ...] | None:
    """Class names of a network that timm trained on a list of classes that it knows."""
    config = getattr(module, "pretrained_cfg", {}) or {}
    if config.get("label_names"):
        return tuple(str(name) for name in config["label_names"])
    subset = timm.data.infer_imagenet_subset(module)
    if subset == "imagenet-1k":
        return CLASSES
    if subset is None:
        return None
    info = timm.data.ImageNetInfo(subset)
    return tuple(str(info.index_to_description(number)) for number in range(info.num_classes()))


def _weights_file(network: Network) -> Path:
    """The file of a network's weights in the hub's own cache, into which it is downloaded if it is missing."""
    config = getattr(network.module, "pretrained_cfg", {}) or {}
    place = config.get("hf_hub_id")
    if not place:
        raise WeightsError(f"timm has no weights of {network.name}")
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(place, FILE, local_files_only=True))
    except OSError:  # it is not there
        pass
    try:
        reach(hf_hub_url(place, FILE))
        return Path(hf_hub_download(place, FILE))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = (str(getattr(error, "reason", None) or error).splitlines() or [""])[0]
        raise WeightsError(f"the weights {place} cannot be fetched ({reason})") from error


SOURCES.register("timm")(Timm())
