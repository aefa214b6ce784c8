"""Why a map is zero everywhere, or not finite: it must not look as if the network looked nowhere."""

from dataclasses import replace

import torch

from lurk.errors import LurkError
from lurk.method_spec import MethodSpec
from lurk.methods import Map, MapRequest
from lurk.methods.attribution.target import forward_to, locate_maximum

CUT = "no gradient comes back to the image: the network cuts it off (by detach, rounding or a step function)"
FORWARD_ONLY = ("activation_map", "netdissect_mask", "occlusion")


def told(found: Map, request: MapRequest, spec: MethodSpec) -> Map:
    """Let maps that are zero everywhere say why.

    Args:
        found: The maps.
        request: The request.
        spec: What the method says about itself.

    Returns:
        The maps, with a note for each that is zero everywhere.

    Raises:
        LurkError: A map has NaN or infinite values, or the network cuts the gradients off.
    """
    if not bool(torch.isfinite(found.values).all()):
        why = "the map has NaN or infinite values, as the network's answer or its gradient has for this image"
        raise LurkError(f"{spec.name}: {why}; choose another image, layer or method")
    blank = (~found.values.flatten(1).any(1)).nonzero().flatten().tolist()
    notes = {at: _why_blank(request.of([at])) for at in blank}
    if CUT in notes.values() and spec.name not in FORWARD_ONLY:
        raise LurkError(f"{spec.name}: {CUT}")
    return replace(found, notes=notes)


def _why_blank(request: MapRequest) -> str:
    """Find out why the map of a request is zero everywhere.

    Args:
        request: The request, for one image.

    Returns:
        The reason in a line: the unit is not active, the value is the same for any image, or gradients are cut off.
    """
    image = request.images[0]
    target = locate_maximum(request.plan, request.target, request.images)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    others = [image.flip(2), image * 0.5, noise.to(image)]
    with forward_to(request.plan, target, through_bound=False) as forward:
        batch = request.images.detach().clone().requires_grad_()
        number = forward(batch)[0][0]
        value = float(number.detach())
        found = None
        if number.grad_fn is not None:
            (found,) = torch.autograd.grad(number, batch, allow_unused=True)
        with torch.no_grad():
            varies = any(float(forward(other[None])[0][0]) != value for other in others)
    if target.where != "class" and value == 0:
        return f"unit {target.unit} of layer {target.layer} is 0 on this image: it is not active"
    if not varies:
        return "what is explained has the same value for any image"
    if found is None or not bool(found.any()):
        return CUT
    return "by this method, no pixel speaks for what is explained"
