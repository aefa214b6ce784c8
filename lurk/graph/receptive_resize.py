"""Rules of the operations that resize maps without weights, entered into the table of `receptive_rules`."""

from dataclasses import replace
from fractions import Fraction

from lurk.graph.axes import AXES
from lurk.graph.receptive_field import Field, Window, lost, picked, resized, stretched, windowed
from lurk.graph.receptive_rules import Operation, rule


@rule("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d")
@rule("adaptive_avg_pool1d", "adaptive_max_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive(op: Operation) -> Field:
    field = op.data
    for dim, (before, after) in enumerate(zip(field.shape, op.shape, strict=True)):
        if after == before:
            continue
        if after > 1 and before % after == 0:
            field = windowed(field, dim, Window(before // after, before // after), after)
        else:
            field = resized(lost(field, dim), dim, after)
    return field


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d")
@rule("_upsample_nearest_exact1d", "upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d")
def _upsample(op: Operation) -> Field:
    field = op.data
    scales = {2: op.arguments.get("scales_h", op.arguments.get("scales")), 3: op.arguments.get("scales_w")}
    taps = {"nearest": (0, 0), "linear": (0, 1), "bilinear": (0, 1), "bicubic": (-1, 2)}
    low, high = next(value for word, value in taps.items() if f"_{word}" in op.name)
    for dim in range(2, len(op.shape)):
        before, after = field.shape[dim], op.shape[dim]
        given = scales.get(dim)
        step = Fraction(1 / given).limit_denominator(4096) if isinstance(given, float) else Fraction(before, after)
        shift = Fraction(0)
        if op.arguments.get("align_corners"):
            step = Fraction(before - 1, after - 1) if after > 1 else Fraction(0)
        elif "exact" in op.name or (low, high) != (0, 0):
            shift = (step - 1) / 2 if (low, high) != (0, 0) else step / 2
        grain = max(step.denominator, shift.denominator)
        reads = (step, shift + low - Fraction(grain - 1, grain), shift + high)
        field = stretched(field, dim, reads, after)
    return field


@rule("pixel_shuffle")
def _pixel_shuffle(op: Operation) -> Field:
    field, factor = op.data, op.number("upscale_factor")
    for dim in (-2, -1):
        at = len(op.shape) + dim
        field = stretched(field, at, (Fraction(1, factor), Fraction(1 - factor, factor), Fraction(0)), op.shape[at])
    return resized(field, len(op.shape) - 3, op.shape[-3])


@rule("pixel_unshuffle")
def _pixel_unshuffle(op: Operation) -> Field:
    field, factor = op.data, op.number("downscale_factor")
    for dim in (len(op.shape) - 2, len(op.shape) - 1):
        field = windowed(field, dim, Window(factor, factor), op.shape[dim])
    return resized(field, len(op.shape) - 3, op.shape[-3])


@rule("constant_pad_nd")
def _pad(op: Operation) -> Field:
    field, pads = op.data, op.numbers("pad")
    for i in range(len(pads) // 2):
        dim = len(op.shape) - 1 - i
        if pads[2 * i] or pads[2 * i + 1]:
            field = picked(field, dim, -pads[2 * i], 1, op.shape[dim])
    return field


@rule(*(f"{how}_pad{n}d" for how in ("reflection", "replication") for n in (1, 2, 3)))
def _mirror(op: Operation) -> Field:
    field, pads = op.data, op.numbers("padding")
    for i in range(len(pads) // 2):
        dim, before, after = len(op.shape) - 1 - i, pads[2 * i], pads[2 * i + 1]
        field = picked(field, dim, -before, 1, op.shape[dim])
        slack = max(before, after) * (2 if op.name.startswith("reflection") else 1)
        for kind in AXES:
            reach = field.reach(kind)
            if reach is not None and kind in field.kinds(dim):
                field = field.reaching(kind, replace(reach, slack=slack))
    return field
