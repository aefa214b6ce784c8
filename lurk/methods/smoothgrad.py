"""Which pixels would change the unit's value most, averaged over noisy copies of the image: SmoothGrad.

The average is sharper to the eye than one gradient. It misleads by its noise level: much noise makes images that the
network never saw, and their mean looks clean whatever they show. Smilkov, Thorat, Kim, Viégas and Wattenberg, 2017,
arXiv 1706.03825.
"""

import torch
from torch import Tensor

from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.backsignal import sent_back
from lurk.methods.attribution.target import settled

BATCH = 8

OFFER = MethodSpec(
    name="smoothgrad",
    label="SmoothGrad",
    shows="Which pixels would change the unit's value most, averaged over noisy copies of the image.",
    gives="map",
    needs=("layer", "unit", "image"),
    signed=True,
    paper="Smilkov, Thorat, Kim, Viégas, Wattenberg: SmoothGrad, 2017, arXiv 1706.03825",
    version=1,
    caution="The noise makes images that the network never saw; another noise level gives another map.",
    options=(
        Option("samples", 25, "How many noisy copies are averaged.", 1, 1000),
        Option("noise", 0.15, "Deviation of the noise, as a share of the image's range of values.", 0.0, 1.0),
        Option("seed", 0, "Seed of the noise: the same seed gives the same map.", 0, 2**31 - 1),
    ),
)


def run(request: MapRequest) -> Map:
    """The mean derivative of the target over noisy copies; the position of its maximum is that in the clean image.

    Args:
        request: What is asked for.

    Returns:
        The map, float32 (c, h, w), signed.
    """
    target = settled(request.plan, request.target, request.image)
    samples, image = int(request.options["samples"] or 0), request.image.detach().float()
    deviation = float(request.options["noise"] or 0) * (image.max() - image.min())
    generator = torch.Generator().manual_seed(int(request.options["seed"] or 0))
    total = torch.zeros_like(image)
    for start in range(0, samples, BATCH):
        count = min(BATCH, samples - start)
        noise = _noise(image, count, generator)  # float32 (n, c, h, w)
        total += sent_back(request.plan, target, image + deviation * noise).sum(0)
        request.report(start + count, samples)
    return Map(total / samples)


def _noise(image: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw copy by copy, on the CPU, so that neither the batch size nor the device changes a copy."""
    return torch.stack([torch.randn(image.shape, generator=generator) for _ in range(count)]).to(image.device)


METHODS.register("smoothgrad")(MapMethod(OFFER, run))
