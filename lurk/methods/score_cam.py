"""Score-CAM: no derivative is used.

Each map of the layer that is read is brought to the size of the image (bilinear between the middles of the layer's
cells) and stretched to [0, 1]. The preprocessed image is multiplied by it, so that what is not shown becomes what the
network takes as 0, and the target's number is read again. The result is the positive part of the sum of the maps,
weighed by the softmax of those numbers over the channels. Flat maps tell no place and are left out. A target at the
unit's maximum stays at the position of the maximum in the image itself.
"""

import torch
from torch import Tensor

from lurk.graph.faster.folding import folded
from lurk.method_spec import Option
from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.cam import CAM_LAYER, read_layer, resize_map
from lurk.methods.attribution.target import forward_to, locate_maximum

BATCH = 16
CHANNELS = Option(
    "channels", 64, "Maps of the layer that are tried, those with the largest range first; 0 for all of them.", 0, 65536
)


@map_method(
    many_passes=True,
    version=2,
    label="Score-CAM",
    paper="Wang et al., Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks, 2020, "
    "arXiv 1910.01279",
    caution="Where the scores differ little, every channel weighs the same: the result is then the mean activation of "
    "the layer, whatever the target.",
    options=(CAM_LAYER, CHANNELS),
)
def score_cam(request: MapRequest) -> Map:
    """The region of the image that speaks for the unit or class, found by showing the network one region at a time."""
    target = locate_maximum(request.plan, request.target, request.images)
    found = read_layer(request.plan, target, request.images, request.options["at"], request.passes)
    maps = _chosen(found.activation[0], request.options["channels"])
    request.report(0, len(maps))
    scores = []
    plan = folded(request.plan, to_the_end=target.where == "class")
    with forward_to(plan, target) as forward, torch.no_grad():
        for first in range(0, len(maps), BATCH):
            masks = _stretched(resize_map(maps[first : first + BATCH], request.size))
            scores.append(forward(request.images * masks[:, None])[0])
            request.report(first + len(masks), len(maps))
    if not scores:
        return Map(torch.zeros_like(request.images[:, :1], dtype=torch.float32))
    weights = torch.cat(scores).softmax(0)
    summed = (weights[:, None, None] * maps).sum(0, keepdim=True).clamp(min=0)
    return Map(resize_map(summed.float(), request.size)[None])


def _chosen(activation: Tensor, channels: int) -> Tensor:
    """The maps that are not flat, all or those with the largest range, in the order of the channels."""
    ranges = activation.flatten(1).amax(1) - activation.flatten(1).amin(1)
    order = ranges.argsort(descending=True, stable=True)
    kept = order[: channels or None].sort().values
    return activation[kept[ranges[kept] > 0]]


def _stretched(maps: Tensor) -> Tensor:
    low, high = (bound[:, None, None] for bound in (maps.flatten(1).amin(1), maps.flatten(1).amax(1)))
    return (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)
