"""What a sweep stores of units, against a full sort and counts over what plain hooks see."""

from collections.abc import Iterator

import torch
from torch import Tensor

import lurk
from benchmarks.architectures.case import Case, Fault
from benchmarks.architectures.readings import Reading
from lurk.records import LayerInfo

SIGNED = frozenset({"gelu", "silu", "hardswish", "elu", "leaky_relu", "mish", "tanh", "selu", "celu", "softplus"})
Stacked = tuple[Tensor, Tensor, bool]


def swept(case: Case) -> str:
    """Top lists and positions are those of a full sort."""
    unordered, missing = 0, []
    for info in case.model.layers:
        found = case.stacked(info)
        if found is None:
            missing.append(info.name)
            continue
        unordered += not found[2]
        for unit in some(info):
            compare(case, info, case.index.unit(info.name, unit), found)
    remark = f"{len(case.model.layers) - len(missing)} layers"
    remark += f", {unordered} without positions" if unordered else ""
    return remark + (f"; {len(missing)} without a reference, such as {missing[0]}" if missing else "")


def some(info: LayerInfo) -> Iterator[int]:
    yield from sorted({0, info.units // 2, info.units - 1})


def compare(case: Case, info: LayerInfo, record: lurk.UnitRecord, found: Stacked) -> None:
    """Compare a unit's lists of images with a full sort."""
    values, _, in_order = found
    near = 1e-3 if case.model.dtype in (torch.float32, torch.float64) else 3e-2
    near *= float(values.abs().amax().clamp(min=1e-6))
    best = values[:, record.unit].amax(1).sort(descending=True).values
    for hit, score in zip(record.hits_max, best.tolist(), strict=False):
        at = hit.row * info.grid[1] + hit.col
        there = float(values[hit.image, record.unit, at]) if in_order else hit.score
        if abs(hit.score - score) > near or abs(there - hit.score) > near:
            raise Fault(
                f"{info.name} unit {record.unit}: score {hit.score:.4g}, by a full sort {score:.4g}, there {there:.4g}"
            )
    means = values[:, record.unit].mean(1).sort(descending=True).values
    if any(abs(hit.score - mean) > near for hit, mean in zip(record.hits_mean, means.tolist(), strict=False)):
        raise Fault(f"{info.name} unit {record.unit}: means differ from those of a full sort")


def units(case: Case) -> str:
    """Activation functions, bounds, states and class scores are what plain hooks show of them."""
    seen: dict[str, int] = {}
    output = case.run(case.batch(case.images[0]))
    for info in case.model.layers:
        reading, found = case.reading(info, case.readings[0]), case.stacked(info)
        if reading is None or found is None:
            continue
        function(info, reading, found[0])
        is_output = isinstance(output, Tensor) and output.dim() == 2 and torch.equal(reading.own, output)
        if is_output and not info.class_scores and not case.model.plan().scores.missing:
            raise Fault(f"{info.name} is the network's output, but not taken for class scores")
        for unit in some(info):
            record = case.index.unit(info.name, unit)
            wanted = state(info, found[0][:, unit], found[1][:, unit])
            is_inside = info.activation is not None and not reading.function  # what enters it was not seen
            if record.state != wanted and not (is_inside and (record.state, wanted) == ("dead", "constant")):
                raise Fault(f"{info.name} unit {unit} is {record.state}, by its values {wanted}")
            if wanted != "constant" and len(record.hits_max) == 0:
                raise Fault(f"{info.name} unit {unit} has no images")
            seen[wanted] = seen.get(wanted, 0) + 1
    return ", ".join(f"{count} {name}" for name, count in sorted(seen.items()))


def function(info: LayerInfo, reading: Reading, values: Tensor) -> None:
    """Compare a layer's activation function with the operation that was logged."""
    name, (low, high) = reading.function, (*reading.limits, None, None)[:2]
    if info.tap == "post" and name and info.activation is None:
        raise Fault(f"{info.name} is followed by {name}, but no activation function is told")
    is_rectified = name == "relu" or (name == "hardtanh" and low == 0)
    if info.tap == "post" and (is_rectified or name in SIGNED) and info.rectified != is_rectified:
        raise Fault(f"{info.name} is followed by {name}, but rectified is {info.rectified}")
    if name == "hardtanh" and info.tap == "post" and info.bound != high:
        raise Fault(f"{info.name} ends at {high}, but its bound is {info.bound}")
    if info.rectified and float(values.min()) < 0:
        raise Fault(f"{info.name} is called rectified, but is {float(values.min()):.3g} somewhere")
    if info.bound is not None and float(values.max()) > info.bound * (1 + 1e-3):
        raise Fault(f"{info.name} is said to end at {info.bound}, but is {float(values.max()):.3g} somewhere")


def state(info: LayerInfo, values: Tensor, entering: Tensor) -> str:
    """The state of a unit, by its definition, from all its values."""
    if (
        values.numel() > 1
        and bool((values == values.flatten()[0]).all())
        and bool((entering == entering.flatten()[0]).all())
    ):
        return "constant"
    share = float((values > 0).double().mean())
    if info.rectified and (share == 0 or share >= 0.999):
        return "dead" if share == 0 else "always_on"
    at_bound = torch.zeros_like(values) if info.bound is None else values >= info.bound
    if info.lower_bound is not None:
        at_bound = at_bound.bool() | (values <= info.lower_bound)
    active = float((values > 0).sum()) if info.rectified else values.numel()
    return "saturated" if float(at_bound.sum()) >= 0.5 * active and info.bound is not None else "ok"
