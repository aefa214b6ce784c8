"""Maps of images beside captum: one image, and nine images in one call."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.performance.comparison import OURS, Case, Comparison, Work

CAPTUM = "captum"
LABEL = 7
STEPS = 50
SQUARE, STRIDE, AT_ONCE = 32, 16, 16


def prepare(side: str, options: Mapping[str, Any], folder: Path) -> Callable[[], Work]:
    import torch

    import lurk
    from benchmarks.performance.photographs import some_of, transform

    model = lurk.load_model("alexnet", weights="random")
    prepared, count = transform(), options["images"]
    images = torch.stack([prepared(_opened(file)) for file in some_of(folder, count).glob("*/*")])
    images = images[torch.arange(count) % len(images)]  # float32 (n, 3, 224, 224)
    run = _ours if side == OURS else _captum
    draw = run(model, options["method"])

    def work() -> Work:
        draw(images)
        return Work(1)

    return work


def _opened(file: Path) -> Any:
    from PIL import Image

    with Image.open(file) as picture:
        return picture.convert("RGB")


def _ours(model: Any, method: str) -> Callable[[Any], Any]:
    import lurk

    options: dict[str, dict[str, object]] = {
        "grad_cam": {"at": "features.10"},
        "integrated_gradients": {"steps": STEPS},
        "lrp": {"rule": "epsilon"},
        "occlusion": {"size": SQUARE, "stride": STRIDE},
    }
    given: dict[str, Any] = {"method": method, "target": "class", "label": LABEL} | options.get(method, {})
    return lambda images: lurk.attribute(model, images if len(images) > 1 else images[0], "features.10", 0, **given)


def _captum(model: Any, method: str) -> Callable[[Any], Any]:
    from captum import attr
    from torch import nn

    network = model.module.eval()
    for part in network.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False  # captum's hooks need it
    if method == "grad_cam":
        cam, interpolate = attr.LayerGradCam(network, network.features[11]), attr.LayerAttribution.interpolate
        return lambda images: interpolate(cam.attribute(images, target=LABEL), images.shape[2:])
    if method == "integrated_gradients":
        return lambda images: attr.IntegratedGradients(network).attribute(images, target=LABEL, n_steps=STEPS)
    if method == "occlusion":
        window, strides = (3, SQUARE, SQUARE), (3, STRIDE, STRIDE)
        return lambda images: attr.Occlusion(network).attribute(
            images, window, strides=strides, target=LABEL, perturbations_per_eval=AT_ONCE
        )
    kinds = {
        "gradient": lambda: attr.Saliency(network),
        "guided_backprop": lambda: attr.GuidedBackprop(network),
        "deconvnet": lambda: attr.Deconvolution(network),
        "lrp": lambda: attr.LRP(network),
    }
    kind = kinds[method]()
    return lambda images: kind.attribute(images.clone().requires_grad_(), target=LABEL)


def _case(method: str, images: int, rounds: int) -> Case:
    name = method.replace("_", " ")
    label, options = f"{name}, {images} image" + "s" * (images > 1), {"method": method, "images": images}
    return Case(label, options, rounds=rounds, warms_up=rounds > 2)


COMPARISON = Comparison(
    title="Maps of images beside captum",
    text="alexnet, the score of one class, the same images. captum 0.9.0 has one image or nine in one call, its "
    "rectifiers not in place as it asks for, and its defaults; ours has the same in one call of "
    f"`lurk.attribute`. Integrated gradients take {STEPS} steps (ours uses captum's integral); occlusion moves "
    f"a square of {SQUARE} pixels by {STRIDE}; LRP follows the epsilon rule. Ours also finds targets inside the "
    "network, names empty maps, and restores the network, which costs time at the quick methods.",
    sides=(OURS, CAPTUM),
    unit="call",
    cases=tuple(
        _case(method, images, rounds)
        for method, rounds in (
            ("gradient", 7),
            ("guided_backprop", 7),
            ("deconvnet", 7),
            ("grad_cam", 7),
            ("lrp", 5),
            ("integrated_gradients", 2),
            ("occlusion", 2),
        )
        for images in (1, 9)
    ),
    quick=_case("lrp", 1, 1),
    prepare=prepare,
    peers={CAPTUM: "captum"},
)
