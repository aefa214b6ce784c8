"""Runs a map method on any number of images: as many at once as the network and the memory allow."""

from dataclasses import replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from lurk.graph.device import dtype_of
from lurk.graph.partial_forward import partial_forward
from lurk.graph.plan import Plan
from lurk.methods import Map, MapMethod, MapRequest, Report
from lurk.methods.attribution.blank_map import told
from lurk.methods.attribution.refusal import check_method, check_unit

PASS_BYTES = 1 << 30
BYTES_EACH = 16  # that the graph of gradients takes for each value of a layer


def run_map_method(method: MapMethod, request: MapRequest) -> Map:
    """Run a map method.

    Args:
        method: The method.
        request: The request, for any number of images.

    Returns:
        The maps.

    Raises:
        LurkError: The method does not work for the model, the layer has no such unit, or a map is not finite.
    """
    check_method(method, request.plan)
    check_unit(request.plan, request.target.layer, request.target.unit)
    count, together = len(request.images), images_together(method, request.plan)
    if count <= together:
        return told(method.run(request), request, method.spec)
    parts = [range(first, min(first + together, count)) for first in range(0, count, together)]
    found = []
    for at, part in enumerate(parts):
        of = replace(request.of(part), report=_report_part(request.report, at, len(parts)))
        found.append(run_map_method(method, of))
    more = {name: np.concatenate([one.more[name] for one in found]) for name in found[0].more}
    notes = {part[at]: note for part, one in zip(parts, found, strict=True) for at, note in one.notes.items()}
    return Map(torch.cat([one.values for one in found]), more, notes)


def images_together(method: MapMethod, plan: Plan, limit_bytes: int = PASS_BYTES) -> int:
    """How many images a method explains at once.

    Args:
        method: The method.
        plan: The model and its layers.
        limit_bytes: Memory that a forward pass with gradients may take, about.

    Returns:
        A number of images, 1 where a map in a batch might differ from that of the image alone: the network mixes the
        images of a batch, has no graph and so may take another way for each image, or rounds coarsely.
    """
    is_exact = dtype_of(plan.module) in (torch.float32, torch.float64)
    if method.spec.many_passes or plan.graph is None or plan.left_out or not is_exact:
        return 1
    return max(1, limit_bytes // (BYTES_EACH * sum(prod(layer.shape) for layer in plan.layers)))


def _report_part(report: Report, at: int, parts: int) -> Report:
    """Report the progress of one part of several that are alike."""
    return lambda done, total: report(at * total + done, parts * total)


def most_probable_classes(plan: Plan, images: Tensor) -> tuple[int, ...]:
    """Return the number of the most probable class of each image, float (n, c, h, w) as preprocessed."""
    with partial_forward(plan, [], to_the_end=True) as reach, torch.no_grad():
        each = [reach(image[None]).class_probabilities.argmax(1) for image in images]
    return tuple(torch.cat(each).tolist())
