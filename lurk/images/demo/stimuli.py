"""The demo set's generated stimuli: patterns that excite early and middle units of a network.

Each is a field of values from 0 to 1, painted with a ramp of 256 colours. Rounding to the 256 steps avoids the values
that patterns often take, so that machines whose sines differ in the last bit make the same bytes.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

SIDE = 256
Plane = np.ndarray[Any, np.dtype[np.float64]]
Colour = tuple[int, int, int]
TIE = 0.500001

X, Y = (plane.astype(np.float64) - (SIDE - 1) / 2 for plane in np.meshgrid(np.arange(SIDE), np.arange(SIDE)))
BLACK, WHITE, GREY = (12, 12, 14), (244, 243, 240), (128, 128, 128)
RED, ORANGE, YELLOW, GREEN = (205, 38, 40), (236, 124, 32), (245, 208, 52), (46, 140, 62)
TEAL, BLUE, VIOLET, PINK = (22, 142, 150), (34, 78, 176), (110, 52, 150), (236, 120, 160)
BROWN, CREAM, NAVY, SKY = (112, 70, 38), (240, 226, 196), (20, 30, 72), (130, 190, 232)
RAMPS: tuple[tuple[Colour, ...], ...] = (
    (BLACK, WHITE),
    (BLUE, YELLOW),
    (RED, GREEN),
    (NAVY, ORANGE),
    (BROWN, CREAM),
    (WHITE, RED),
    (GREEN, BLACK),
    (VIOLET, PINK),
    (TEAL, WHITE),
    (SKY, BLUE),
)
RICH: tuple[tuple[Colour, ...], ...] = (
    (NAVY, VIOLET, RED, ORANGE, YELLOW),
    (NAVY, BLUE, SKY, WHITE),
    (BLACK, GREEN, YELLOW, CREAM),
    (BROWN, ORANGE, CREAM, TEAL),
    (RED, YELLOW, GREEN, TEAL, BLUE, VIOLET, RED),
)


def stimulus(name: str, number: int) -> Image.Image:
    """A generated picture, the same one on every machine.

    Args:
        name: A key of `FIELDS`.
        number: Number of the picture.

    Returns:
        256 by 256 pixels, mode P: 256 colours.
    """
    chance = random.Random(f"{name}/{number}")  # noqa: S311 - not a secret
    field = FIELDS[name](number, chance)
    ramps = RICH if name in COLOURFUL else RAMPS
    picture = Image.fromarray(np.floor(np.clip(field, 0, 1) * 255 + TIE).astype(np.uint8))
    picture.putpalette(_palette(ramps[(number + number // len(ramps)) % len(ramps)]))
    return picture


def _palette(ramp: tuple[Colour, ...]) -> bytes:
    """256 colours from the first colour of a ramp to the last; integer arithmetic gives the same on every machine."""
    parts = len(ramp) - 1
    colours = []
    for step in range(256):
        part, rest = divmod(step * parts, 255) if step < 255 else (parts - 1, 255)
        low, high = ramp[part], ramp[part + 1]
        colours += [(a * (255 - rest) + b * rest + 127) // 255 for a, b in zip(low, high, strict=True)]
    return bytes(colours)


def _edge(distance: Plane) -> Plane:
    """1 where a distance in pixels is negative, 0 where it is positive, with a slope of 1.5 pixels between."""
    return np.clip(0.5 - distance / 1.5, 0, 1)


def _wave(phase: Plane, number: int, period: float) -> Plane:
    """A grating of a phase in turns; soft for even numbers, sharp for odd ones."""
    sine = np.sin(2 * math.pi * phase)
    return 0.5 + 0.5 * sine if number % 2 == 0 else np.clip(0.5 + sine * period / 10, 0, 1)


def _turned(angle: float) -> tuple[Plane, Plane]:
    """The plane's coordinates, turned by an angle in degrees."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return X * cos + Y * sin, Y * cos - X * sin


def _stripes(angle: float) -> Callable[[int, random.Random], Plane]:
    def stripes(number: int, chance: random.Random) -> Plane:
        along, _ = _turned(angle + chance.uniform(-9, 9))
        period = (6, 10, 16, 28, 48)[number % 5]
        return _wave(along / period + chance.random(), number // 5, period)

    return stripes


def _cells(size: float, angle: float, shift: float = 0.0) -> tuple[Plane, Plane]:
    """(x, y) in pixels from the centre of the cell, in a lattice of square cells with every other row shifted."""
    along, across = _turned(angle)
    row = np.floor(across / size + 1e-7)
    moved = along / size + shift * (row % 2)
    column = np.floor(moved + 1e-7)
    return (moved - column - 0.5) * size, (across / size - row - 0.5) * size


def _checkerboards(number: int, chance: random.Random) -> Plane:
    size, angle = (10, 16, 24, 36, 56)[number % 5], (0, 45, 20, 0, 70)[number // 5] + 0.01
    along, across = _turned(angle)
    product = np.sin(math.pi * (along / size + chance.random())) * np.sin(math.pi * (across / size + chance.random()))
    return np.clip(0.5 + product * size / 3, 0, 1)


def _dots(number: int, chance: random.Random) -> Plane:
    size = (14, 22, 34, 50, 80)[number % 5]
    x, y = _cells(size, chance.uniform(0, 45), 0.5 * (number // 5 % 2))
    return _edge(np.hypot(x, y) - size * (0.2 + 0.05 * (number // 5)))


def _rings(number: int, chance: random.Random) -> Plane:
    radius = np.hypot(X - chance.uniform(-60, 60), (Y - chance.uniform(-60, 60)) * chance.uniform(1, 1.6))
    period = (9, 15, 24, 40, 70)[number % 5]
    return _wave(radius / period + chance.random(), number // 5, period)


def _rays(number: int, chance: random.Random) -> Plane:
    x, y = X - chance.uniform(-50, 50), Y - chance.uniform(-50, 50)
    spokes = (4, 6, 9, 14, 22)[number % 5]
    phase = np.arctan2(y, x) * spokes / (2 * math.pi) + chance.random()
    return _wave(phase, number // 5, 60) * np.clip(np.hypot(x, y) / 6, 0, 1)


def _spirals(number: int, chance: random.Random) -> Plane:
    x, y = X - chance.uniform(-40, 40), Y - chance.uniform(-40, 40)
    radius, arms = np.hypot(x, y), chance.choice((1, 2, 3, 5)) * chance.choice((1, -1))
    period = (14, 22, 32, 46, 70)[number % 5]
    return _wave(radius / period + arms * np.arctan2(y, x) / (2 * math.pi), number // 5, period)


def _waves(number: int, chance: random.Random) -> Plane:
    along, across = _turned(chance.uniform(0, 180))
    period, length = (8, 13, 20, 32, 50)[number % 5], chance.uniform(50, 120)
    bent = across + chance.uniform(0.1, 0.25) * length * np.sin(2 * math.pi * along / length)
    return _wave(bent / period, number // 5, period)


def _zigzags(number: int, chance: random.Random) -> Plane:
    along, across = _turned(chance.uniform(0, 180))
    period, length = (10, 16, 24, 36, 56)[number % 5], chance.uniform(24, 70)
    bent = across + 2 * np.abs((along / length) % 1 - 0.5) * length * chance.uniform(0.4, 0.9)
    return _wave(bent / period, number // 5 + 1, period)


def _lattices(number: int, chance: random.Random) -> Plane:
    size, width = (14, 22, 34, 50, 72)[number % 5], chance.uniform(0.06, 0.2)
    x, y = _cells(size, chance.uniform(0, 90))
    return _edge(size / 2 - np.maximum(np.abs(x), np.abs(y)) - size * width)


def _honeycombs(number: int, chance: random.Random) -> Plane:
    size, angle = (18, 26, 36, 52, 76)[number % 5], chance.uniform(0, 60)
    thirds = [np.cos(2 * math.pi * _turned(angle + turn)[0] / size) for turn in (0, 60, 120)]
    return np.clip(0.5 + (sum(thirds, np.zeros_like(X)) + 0.9) * size / 16, 0, 1)


def _scales(number: int, chance: random.Random) -> Plane:
    size = (20, 28, 38, 54, 78)[number % 5] * chance.uniform(0.9, 1.1)
    shade = np.zeros_like(X)
    for layer in range(3):
        x, y = _cells(size, 0.0, 0.5)
        radius = np.hypot(x, y + size * (0.5 - 0.25 * layer))
        inside = _edge(radius - size * 0.52)
        shade = shade * (1 - inside) + inside * np.clip(radius / (size * 0.52), 0, 1) ** 2
    return 1 - shade


def _curves(number: int, chance: random.Random) -> Plane:
    shade, width = np.zeros_like(X), (2.0, 3.0, 5.0, 8.0, 13.0)[number % 5]
    for _ in range(chance.randint(3, 9)):
        radius = chance.uniform(25, 150)
        distance = np.hypot(X - chance.uniform(-150, 150), Y - chance.uniform(-150, 150)) - radius
        shade = np.maximum(shade, _edge(np.abs(distance) - width))
    return shade


def _polygons(number: int, chance: random.Random) -> Plane:
    shade = np.zeros_like(X)
    corners, size = 3 + number % 5, (18, 26, 38, 60, 95)[number // 5]
    for _ in range(max(1, int(9000 / size**2 * chance.uniform(0.8, 1.6)))):
        x, y, turn = X - chance.uniform(-120, 120), Y - chance.uniform(-120, 120), chance.uniform(0, 360)
        sides = [math.radians(turn + 360 * side / corners) for side in range(corners)]
        distance = np.max([x * math.cos(a) + y * math.sin(a) for a in sides], axis=0) - size * 0.6
        shade = np.maximum(shade, _edge(distance) * chance.uniform(0.55, 1))
    return shade


def _colours(number: int, chance: random.Random) -> Plane:
    along, across = _turned(chance.uniform(0, 360))
    kind = number % 5
    if kind == 0:
        return _edge(along) * chance.uniform(0.6, 1) + _edge(across) * chance.uniform(0, 0.4)
    if kind == 1:
        return np.asarray(along / 340 + 0.5)
    if kind == 2:
        return np.hypot(X, Y) / 170
    if kind == 3:
        return np.asarray((np.arctan2(across, along) / (2 * math.pi)) % 1)
    return np.full_like(X, chance.random())


def _clouds(number: int, chance: random.Random) -> Plane:
    shade = np.zeros_like(X)
    for step, weight in ((4, 1.0), (8, 0.6), (16, 0.35), (32, 0.2), (64, 0.12)):
        if number % 5 < {4: 3, 8: 5, 16: 5, 32: 5, 64: 5}[step]:
            coarse = np.frombuffer(chance.randbytes(step * step), np.uint8).reshape(step, step)
            smooth = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            shade = shade + weight * np.asarray(smooth, np.float64) / 255
    low, high = float(shade.min()), float(shade.max())
    return np.asarray((shade - low) / (high - low))


FIELDS: dict[str, Callable[[int, random.Random], Plane]] = {
    "checkerboards": _checkerboards,
    "clouds": _clouds,
    "colours": _colours,
    "curves": _curves,
    "dots": _dots,
    "falling stripes": _stripes(135),
    "honeycombs": _honeycombs,
    "horizontal stripes": _stripes(90),
    "lattices": _lattices,
    "polygons": _polygons,
    "rays": _rays,
    "rings": _rings,
    "rising stripes": _stripes(45),
    "scales": _scales,
    "spirals": _spirals,
    "vertical stripes": _stripes(0),
    "waves": _waves,
    "zigzags": _zigzags,
}
COLOURFUL = frozenset(("clouds", "colours", "polygons", "scales"))
