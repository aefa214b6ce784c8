"""Beside zennit-crp: `FeatureVisualization.run`, which finds the best images of every channel."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.performance.comparison import OURS, Case, Comparison, Work
from benchmarks.performance.files import index_of

RULES, ALONE = "zennit-crp", "zennit-crp without rules"


def prepare(side: str, options: Mapping[str, Any], folder: Path) -> Callable[[], Work]:
    from benchmarks.performance.photographs import some_of

    images = some_of(folder, options["images"])
    if side == OURS:
        return lambda: Work(index_of(options["model"], images))
    return lambda: Work(_run(options, images, with_rules=side == RULES))


def _run(options: Mapping[str, Any], folder: Path, *, with_rules: bool) -> int:
    from crp.attribution import CondAttribution
    from crp.concepts import ChannelConcept
    from crp.helper import get_layer_names
    from crp.visualization import FeatureVisualization
    from torch import nn
    from torchvision.datasets import ImageFolder
    from zennit.composites import EpsilonPlusFlat
    from zennit.torchvision import ResNetCanonizer

    import lurk
    from benchmarks.performance.photographs import transform

    network = lurk.load_model(options["model"], weights="random").module.eval()
    images = ImageFolder(str(folder), transform())
    concept = ChannelConcept()
    layers = {name: concept for name in get_layer_names(network, [nn.Conv2d, nn.Linear])}
    composite = EpsilonPlusFlat([ResNetCanonizer()]) if with_rules else None
    with TemporaryDirectory() as results:
        found = FeatureVisualization(CondAttribution(network), images, layers, path=results)
        found.run(composite, 0, len(images), options["batch"], len(images))
    return len(images)


COMPARISON = Comparison(
    title="A sweep beside zennit-crp",
    text="`FeatureVisualization.run` of zennit-crp 0.6.0 with zennit 0.4.6 finds the 40 best images of each channel "
    "of each convolution and linear layer, by activation and by relevance for the class, in all and for each "
    "class. It cannot be asked for the activations alone. With rules it works as its documentation shows it, "
    "`EpsilonPlusFlat`; without, its backward pass is that of the plain gradient, which is the least it can "
    "do. Ours finds the images by activation only and none by relevance, and writes its whole index. Both "
    "start from files. Its batches are of 32 images, its default.",
    sides=(OURS, RULES, ALONE),
    unit="image",
    cases=(Case("resnet18", {"model": "resnet18", "images": 64, "batch": 32}, "≥ 8", 2),),
    quick=Case("resnet18", {"model": "resnet18", "images": 4, "batch": 4}, rounds=1, warms_up=False),
    prepare=prepare,
    peers={RULES: "zennit-crp", ALONE: "zennit-crp"},
)
