"""Measures what a preprocessing does to colours, by pictures of known colours. It reads no attribute and no name.

Pictures of one colour tell the weight of each sample in each channel. Pictures of two colours, a half each, tell
whether the same holds where colours stand side by side, which it does not if each image is scaled by its own samples.

Axes: k pictures, c channels, p pixels.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lurk.errors import ModelError
from lurk.models.normalisation import Normalisation, Numbers

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Colour = tuple[int, int, int]

SIDE = 320
PIXELS = 4001
PAIRS: tuple[tuple[Colour, Colour], ...] = (
    ((40, 90, 130), (120, 60, 20)),
    ((230, 140, 190), (150, 250, 90)),
    ((10, 200, 100), (240, 20, 160)),
)
COLOURS: tuple[Colour, ...] = (
    *((0, 0, 0), (255, 255, 255), (102, 102, 102), (51, 51, 51), (200, 200, 200)),
    *((255, 0, 0), (0, 255, 0), (0, 0, 255)),
    *(colour for pair in PAIRS for colour in pair),
)
LEVELS = 1.5  # an error of so many of 255 levels comes from rounding to 8 bits
EQUAL = 1e-3  # of the range of a channel
MOST = 0.5  # of the pixels; the rest may lie at an edge
LEAST = 0.02  # smallest singular value of an invertible mix: below it, rounding to 8 bits decides the colour
LEAST_COLUMNS = 4  # in which each half of a picture keeps its colour however it was resized
EXACT = 2e-6  # relative error of a number that was computed in float32


def measure(preprocess: Callable[[Image.Image], Tensor], examples: Sequence[Tensor]) -> Normalisation:
    """Measure what a preprocessing does to colours.

    Args:
        preprocess: Gives float32 (c, h, w) for a picture.
        examples: Its outputs for pictures with coarse and fine detail, each float32 (c, h, w).

    Returns:
        What it does. If no fixed mix of red, green and blue describes it, `problem` says why.
    """
    try:
        with np.errstate(all="ignore"):
            plain = [preprocess(Image.new("RGB", (SIDE, SIDE), colour)) for colour in COLOURS]
            halves = [preprocess(_halves(*pair)) for pair in PAIRS]
    except ModelError as error:
        return _input_range(examples, f"it does not work for plain pictures ({error})")
    found = _fit_of(plain, halves)
    if isinstance(found, str):
        return _input_range([*plain, *halves, *examples], found)
    for channel, weights in enumerate(found.mix or ()):
        if not any(weights) and any(float(np.ptp(example[channel].numpy())) > EQUAL for example in examples):
            return _input_range([*plain, *halves, *examples], f"channel {channel} depends on how pixels differ")
    return found


def _fit_of(plain: Sequence[Tensor], halves: Sequence[Tensor]) -> Normalisation | str:
    """What explains the outputs for pictures of one colour and of two; or why nothing does."""
    if len({tuple(output.shape) for output in (*plain, *halves)}) > 1:
        return "it gives tensors of different shapes for pictures of one size"
    outputs, sides = _stacked(plain), _stacked(halves)  # (k, c, p)
    if not (np.isfinite(outputs).all() and np.isfinite(sides).all()):
        return "it gives NaN or infinity for some pictures"
    padding = np.ptp(outputs, 0).max(0) == 0
    if (sides[:, :, padding] != outputs[:1, :, padding]).any() and not padding.all():
        return "it shows how pixels differ, and not their colours"
    found = _fit(outputs)
    if isinstance(found, str) or plain[0].shape[2] < LEAST_COLUMNS:
        return found
    of_pairs = outputs[-2 * len(PAIRS) :].reshape(len(PAIRS), 2, *outputs.shape[1:])
    if not all(_is_alike(side, both) for side, both in zip(sides, of_pairs, strict=True)):
        return "what becomes of a colour depends on the rest of the picture"
    return found


def _halves(left: Colour, right: Colour) -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE), left)
    picture.paste(right, (SIDE // 2, 0, SIDE, SIDE))
    return picture


def _stacked(outputs: Sequence[Tensor]) -> Array:
    """At most so many pixels of each output, spread evenly, float64 (k, c, p)."""
    flat = torch.stack(list(outputs)).flatten(2)
    at = torch.linspace(0, flat.shape[2] - 1, min(PIXELS, flat.shape[2])).round().long()
    stacked: Array = flat[:, :, at].double().cpu().numpy()
    return stacked


def _fit(outputs: Array) -> Normalisation | str:
    """The weights of red, green and blue in each channel, from pictures of one colour; or why there are none."""
    live = np.ptp(outputs, 0).max(0) > 0  # padding does not change with the colour
    if not live.any():
        return "it gives the same for all pictures of one colour"
    pixels = outputs[:, :, live]
    values: Array = np.asarray(np.median(pixels, 2), np.float64)  # (k, c)
    allowed = EQUAL * np.ptp(values, 0) + EXACT * np.abs(values).max(0) + 1e-9  # (c,)
    if (np.abs(pixels - values[:, :, None]) <= allowed[None, :, None]).all((0, 1)).mean() < MOST:
        return "it does not treat all pixels alike"
    colours = np.array(COLOURS, np.float64) / 255
    design = np.column_stack([colours, np.ones(len(colours))])
    solution: Array = np.linalg.pinv(design) @ values  # (4, c)
    error, weights = np.abs(design @ solution - values).max(0), solution[:3].T
    if (error > LEVELS / 255 * np.abs(weights).sum(1) + allowed).any():
        return "it is no fixed mix of red, green and blue"
    weights[np.ptp(values, 0) <= EXACT * np.abs(values).max(0) + 1e-9] = 0
    return _described(weights, solution[3], colours, values)


def _described(weights: Array, offsets: Array, colours: Array, values: Array) -> Normalisation | str:
    """A fit as mean, deviation and, where samples change places or are mixed, the mix."""
    live: Mask = np.abs(weights).max(1) > 0
    sums = weights[live].sum(1, keepdims=True)
    shares = weights[live] / np.where(sums == 0, np.inf, sums)
    if np.ptp(shares, 0).max() <= LEVELS / 255 and (shares.min() >= -LEVELS / 255) and shares.max() > 0.2:
        return _grey(live, colours, values)
    rows: list[tuple[Numbers, float, float]] = []  # weights, mean, std of each channel
    for row, offset, numbers in zip(weights, offsets, values.T, strict=True):
        source = int(np.abs(row).argmax())
        if not row.any():
            rows.append(((0.0,) * 3, -float(np.median(numbers)), 1.0))
        elif np.abs(np.delete(row, source)).max() <= EQUAL * abs(row[source]):
            unit = tuple(float(at == source) for at in range(3))
            rows.append((unit, *_mean_and_std(colours[:, source], numbers)))
        else:
            total = float(np.abs(row).sum())
            rows.append((tuple((row / total).tolist()), -float(offset) / total, 1 / total))
    mix, mean, std = (tuple(part) for part in zip(*rows, strict=True))
    if not _is_invertible(mix):
        return "its channels do not tell red, green and blue apart"
    is_in_order = mix == tuple(tuple(float(at == row) for at in range(3)) for row in range(3))
    return Normalisation(mean, std, None if is_in_order else mix)


def _is_invertible(mix: tuple[Numbers, ...]) -> bool:
    """Whether a mix has an inverse for every sample that any channel takes."""
    taken = np.array(mix)[:, np.any(mix, axis=0)]
    singular = np.linalg.svd(taken, compute_uv=False)
    return len(singular) == taken.shape[1] and bool(singular[-1] > LEAST)


def _grey(live: Mask, colours: Array, values: Array) -> Normalisation:
    """All channels take the same sample, a colour or a mean of all: pictures are grey, and grey colours tell how."""
    greys = np.ptp(colours, 1) == 0
    rows = [
        ((1.0,), *_mean_and_std(colours[greys, 0], numbers[greys]))
        if is_live
        else ((0.0,), -float(np.median(numbers)), 1.0)
        for is_live, numbers in zip(live, values.T, strict=True)
    ]
    mix, mean, std = (tuple(part) for part in zip(*rows, strict=True))
    return Normalisation(mean, std, mix if len(mix) > 1 else None)


def _mean_and_std(samples: Array, numbers: Array) -> tuple[float, float]:
    """Mean and deviation by which samples in [0, 1] become these numbers, exact if they are short decimals.

    Of the short decimals near the measured ones, in units of 1 or of 255, those win which give the numbers bit for bit.
    """
    slope, offset = np.polyfit(samples, numbers, 1)
    mean, std = float(-offset / slope), float(1 / slope)
    means, stds = _decimals(mean, EXACT * max(1.0, abs(std))), _decimals(std, EXACT * abs(std))
    given, wanted = torch.from_numpy(samples).float(), torch.from_numpy(numbers).float()

    def likeness(pair: tuple[float, float]) -> tuple[bool, int]:
        equal = (given - torch.tensor(pair[0])) / torch.tensor(pair[1]) == wanted
        return bool(equal.all()), -round((abs(pair[0] - mean) + abs(pair[1] - std)) / (EXACT / 20))

    return max(product(means, stds), key=likeness)


def _decimals(value: float, error: float) -> list[float]:
    """Short decimals, and short decimals over 255, that differ from a value by no more than an error; else itself."""
    units = [(digits, 1) for digits in range(7)] + [(digits, 255) for digits in range(5)] + [(7, 1), (8, 1)]
    near = [round(value * unit, digits) / unit for digits, unit in units]
    return [one + 0.0 for one in near if abs(one - value) <= error] or [value]  # + 0.0: no -0.0


def _is_alike(side: Array, outputs: Array) -> bool:
    """Whether most pixels (c, p) of a picture of two colours are what pictures (2, c, p) of each colour become."""
    allowed = EQUAL * np.ptp(outputs, 0).max(1) + EXACT * np.abs(outputs).max((0, 2)) + 1e-9  # (c,)
    equal = (np.abs(side - outputs) <= allowed[:, None]).all(1)  # (2, p)
    differ = (np.ptp(outputs, 0) > allowed[:, None]).any(0)  # padding is the same for both
    return bool(equal[:, differ].any(0).mean() >= MOST) if differ.any() else False


def _input_range(outputs: Sequence[Tensor], problem: str) -> Normalisation:
    """Turns 0 and 1 into the least and greatest finite number of each channel."""
    channels = [torch.cat([output[at].flatten() for output in outputs]) for at in range(len(outputs[0]))]
    means, stds = [], []
    for numbers in channels:
        finite = numbers[numbers.isfinite()].double()
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        high = high if high > low else low + 1
        means.append(-low / (high - low))
        stds.append(1 / (high - low))
    return Normalisation(tuple(means), tuple(stds), None, problem)
