"""SmoothGrad: the mean gradient over noisy copies of the image.

A target at the unit's maximum stays at the position of the maximum in the clean image.
"""

import torch
from torch import Tensor

from lurk.method_spec import Option
from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.backsignal import target_signal
from lurk.methods.attribution.target import locate_maximum

BATCH = 8


@map_method(
    many_passes=True,
    version=2,
    label="SmoothGrad",
    paper="Smilkov, Thorat, Kim, Viégas, Wattenberg: SmoothGrad, 2017, arXiv 1706.03825",
    caution="The noise makes images that the network never saw; another noise level gives another map.",
    signed=True,
    options=(
        Option("samples", 25, "How many noisy copies are averaged.", 1, 1000),
        Option("noise", 0.15, "Deviation of the noise, as a share of the image's range of values.", 0.0, 1.0),
        Option("seed", 0, "Seed of the noise: the same seed gives the same map.", 0, 2**31 - 1),
    ),
)
def smoothgrad(request: MapRequest) -> Map:
    """Which pixels would change the unit's value most, averaged over noisy copies of the image."""
    target = locate_maximum(request.plan, request.target, request.images)
    samples, image = request.options["samples"], request.images[0].detach().float()
    deviation = request.options["noise"] * (image.max() - image.min())
    generator = torch.Generator().manual_seed(request.options["seed"])
    total = torch.zeros_like(image)
    for start in range(0, samples, BATCH):
        count = min(BATCH, samples - start)
        noise = _noise(image, count, generator)  # float32 (n, c, h, w)
        total += target_signal(request.plan, target, image + deviation * noise).sum(0)
        request.report(start + count, samples)
    return Map(total[None] / samples)


def _noise(image: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw copy by copy, on the CPU, so that neither the batch size nor the device changes a copy."""
    return torch.stack([torch.randn(image.shape, generator=generator) for _ in range(count)]).to(image.device)
