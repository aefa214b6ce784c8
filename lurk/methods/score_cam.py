"""The region of the image that speaks for the unit or class, found by showing the network one map's region at a time.

Each map of the layer that is read is brought to the size of the image (bilinear between the middles of the layer's
cells) and stretched to [0, 1]; the preprocessed image is multiplied by it, so that what is not shown becomes what the
network takes as 0, and the target's number is read again. The map is the positive part of the sum of the maps,
weighed by the softmax of those numbers over the channels. Maps that are flat tell no place and are left out. A target
at the unit's maximum stays at the position of the maximum in the image itself. No derivative is used.

Misleads: where the numbers differ little the softmax gives all channels the same weight, and the result is the mean
activation of the layer whatever the target; with fewer channels than the layer has, the rest is not asked.

Paper: Wang et al., 2020, arXiv 1910.01279.
"""

import torch
from torch import Tensor

from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.cam import AT, read, resized
from lurk.methods.attribution.target import explaining, settled

BATCH = 16
CHANNELS = Option(
    "channels", 64, "Maps of the layer that are tried, those with the largest range first; 0 for all of them.", 0, 65536
)
OFFER = MethodSpec(
    name="score_cam",
    label="Score-CAM",
    shows="The region of the image that speaks for the unit or class, found by showing the network one map's region at "
    "a time.",
    gives="map",
    needs=("layer", "unit", "image"),
    paper="Wang et al., Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks, 2020, "
    "arXiv 1910.01279",
    version=1,
    caution="Where the scores differ little, every channel weighs the same: the result is then the mean activation of "
    "the layer, whatever the target.",
    options=(AT, CHANNELS),
)


def run(request: MapRequest) -> Map:
    """Weigh each map of the layer by the target's number when the network sees that map's region alone.

    Args:
        request: What is asked for.

    Returns:
        float32 (1, h, w), never negative.
    """
    height, width = request.image.shape[1:]
    target = settled(request.plan, request.target, request.image)
    found = read(request.plan, target, request.image, str(request.options["at"]))
    maps = _chosen(found.activation, int(str(request.options["channels"])))
    request.report(0, len(maps))
    scores = []
    with explaining(request.plan, target) as forward, torch.no_grad():
        for first in range(0, len(maps), BATCH):
            masks = _stretched(resized(maps[first : first + BATCH], (height, width)))
            scores.append(forward(request.image * masks[:, None])[0])
            request.report(first + len(masks), len(maps))
    if not scores:
        return Map(torch.zeros_like(request.image[:1], dtype=torch.float32))
    weights = torch.cat(scores).softmax(0)
    cam = (weights[:, None, None] * maps).sum(0, keepdim=True).clamp(min=0)
    return Map(resized(cam.float(), (height, width)))


def _chosen(activation: Tensor, channels: int) -> Tensor:
    """The maps that are not flat, all or those with the largest range, in the order of the channels."""
    ranges = activation.flatten(1).amax(1) - activation.flatten(1).amin(1)
    order = ranges.argsort(descending=True, stable=True)
    kept = order[: channels or None].sort().values
    return activation[kept[ranges[kept] > 0]]


def _stretched(maps: Tensor) -> Tensor:
    low, high = (bound[:, None, None] for bound in (maps.flatten(1).amin(1), maps.flatten(1).amax(1)))
    return (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)


METHODS.register("score_cam")(MapMethod(OFFER, run))
