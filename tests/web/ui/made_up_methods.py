"""Made-up methods, and the pictures and maps that they would give, for the fake service."""

import io
import re

import numpy as np
from PIL import Image, ImageFilter

from lurk.method_spec import MethodSpec, Option
from tests.web.ui.made_up import VIEW, webp

FOURIER = "Mordvintsev, Olah, Tyka: Inceptionism, 2015"
OFFERS = [
    MethodSpec(
        "gradient_ascent",
        "What it wants to see",
        "The picture that raises the unit's value most, drawn from noise.",
        "picture",
        ("layer", "unit"),
        FOURIER,
        1,
        options=(
            Option("objective", "channel", "What is raised.", choices=("channel", "neuron")),
            Option("row", -1, "Row of the neuron; −1: the middle.", -1),
            Option("direction", "maximise", "Raise the value, or lower it.", choices=("maximise", "minimise")),
            Option("steps", 256, "Steps of the ascent.", 1, 4096),
            Option("seed", 0, "Seed of the noise.", 0),
            Option("robustness", True, "Whether the picture is moved about at each step."),
            Option("preset", "none", "Yosinski's regularisers.", choices=("none", "blur_norm", "decay_norm")),
            Option("diversity", 1, "How many different pictures.", 1, 8),
            Option("rate", 0.05, "Length of a step.", 0.0),
        ),
    ),
    MethodSpec(
        "maco",
        "MACO",
        "A picture with the spectrum of real images; only its phase is drawn.",
        "picture",
        ("layer", "unit"),
        "Fel et al. 2023, arXiv:2306.06805",
        1,
        options=(Option("steps", 256, "Steps of the ascent.", 1, 4096),),
    ),
    MethodSpec(
        "inversion",
        "inversion",
        "What a layer keeps of a photograph.",
        "picture",
        ("layer", "image"),
        "Mahendran and Vedaldi 2014, arXiv:1412.0035",
        1,
    ),
    MethodSpec(
        "deconvnet",
        "Deconvnet",
        "The pixels that a deconvnet holds responsible.",
        "map",
        ("layer", "unit", "image"),
        "Zeiler and Fergus 2013, arXiv:1311.2901",
        1,
        signed=True,
        caution="It draws edges that hardly depend on the trained weights (Adebayo et al., 2018, arXiv 1810.03292), "
        "and without max pooling hardly on the image: sharp does not mean true.",
    ),
    MethodSpec(
        "smoothgrad",
        "SmoothGrad",
        "The mean gradient over noisy copies of the image.",
        "map",
        ("layer", "unit", "image"),
        "Smilkov et al. 2017, arXiv:1706.03825",
        1,
        signed=True,
        caution="Shows what a small change would do, not what made the value.",
        options=(
            Option("copies", 25, "How many noisy copies.", 1, 500),
            Option("noise", 0.1, "Deviation of the noise as a share of the image's range.", 0.0, 1.0),
        ),
    ),
    MethodSpec(
        "occlusion",
        "occlusion",
        "How much the value falls when a square is covered.",
        "map",
        ("layer", "unit", "image"),
        "Zeiler and Fergus 2013, arXiv:1311.2901",
        1,
        signed=True,
        caution="What is covered with grey is itself unlike any image.",
        options=(Option("size", 0, "Side of the square.", 0), Option("stride", 0, "From one place to the next.", 0)),
        many_passes=True,
        draft=(("size", 64), ("stride", 64)),
    ),
    MethodSpec(
        "lrp",
        "LRP",
        "Relevance passed back layer by layer.",
        "map",
        ("layer", "unit", "image"),
        "Bach et al. 2015",
        1,
        refusal="it needs a traced graph, and this model's could not be traced",
    ),
]
MODES = ["raw", "grey", "norm", "blurred", "signs", "overlay"]
CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"]
SIGNS = [
    "#053061",
    "#2166ac",
    "#4393c3",
    "#92c5de",
    "#d1e5f0",
    "#f7f7f7",
    "#fddbc7",
    "#f4a582",
    "#d6604d",
    "#b2182b",
    "#67001f",
]


def coloured(values: np.ndarray, colours: list[str]) -> np.ndarray:
    """Values in [0, 1] through a colour scale: uint8 (h, w, 3)."""
    stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in colours], float)
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(values, places, stops[:, channel]) for channel in range(3)], -1).astype(np.uint8)


def drawing(unit: int, number: int = 0) -> np.ndarray:
    """A picture that could be a unit's: float (h, w, 3) in [0, 1]."""
    rng = np.random.default_rng(1000 * number + unit)
    rows, cols = np.mgrid[0:VIEW, 0:VIEW] / VIEW
    picture = np.zeros((VIEW, VIEW, 3))
    for _ in range(7):
        angle, often, phase = rng.uniform(0, np.pi), rng.uniform(4, 22), rng.uniform(0, 6.3)
        bend = rng.uniform(-3, 3) * np.sin(6.3 * (rows * rng.uniform(0, 2) + cols * rng.uniform(0, 2)))
        wave = np.sin(6.3 * often * (rows * np.sin(angle) + cols * np.cos(angle)) + phase + bend)
        picture += wave[..., None] * rng.normal(0, 1, 3)
    return 0.5 + 0.45 * np.tanh(picture / 2.2)


def drawn(unit: int, number: int = 0, share: float = 1.0, side: int = VIEW) -> bytes:
    """The picture after a share of its steps, as WebP."""
    noise = np.random.default_rng(unit).uniform(0.35, 0.65, (VIEW, VIEW, 3))
    mixed = share * drawing(unit, number) + (1 - share) * noise
    image = Image.fromarray((mixed * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(6 * (1 - share)))
    return webp(image.resize((side, side)))


def importance(seed: int) -> np.ndarray:
    """A map that could be an image's: float (h, w) in [-1, 1]."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:VIEW, 0:VIEW]
    values = np.zeros((VIEW, VIEW))
    for sign in (1, 1, 1, -0.7):
        row, col, size = rng.uniform(50, 174), rng.uniform(50, 174), rng.uniform(10, 40)
        values += sign * np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * size**2))
    values *= 1 + 0.6 * np.sin(rows / rng.uniform(2, 7) + cols / rng.uniform(2, 7))
    return values / np.abs(values).max()


def mapped(seed: int, mode: str, boost: float, gamma: float) -> bytes:
    """A map as an image in a display mode, as WebP; an overlay has an alpha channel."""
    values = importance(seed)
    magnitude = np.abs(values) ** gamma
    if mode == "signs":
        pixels = coloured(0.5 + 0.5 * np.sign(values) * magnitude, SIGNS)
    elif mode == "raw":
        tint = np.array([1.0, 0.6, 0.3]) ** (1 - boost)
        pixels = ((0.5 + 0.5 * (np.sign(values) * magnitude)[..., None] * tint) * 255).astype(np.uint8)
    elif mode == "grey":
        pixels = ((0.5 + 0.5 * np.sign(values) * magnitude) * 255).astype(np.uint8)
    else:
        pixels = coloured(magnitude, CIVIDIS)
    if mode == "overlay":
        alpha = (magnitude * 255).astype(np.uint8)[..., None]
        file = io.BytesIO()
        Image.fromarray(np.concatenate([pixels, alpha], -1)).save(file, "WEBP", lossless=True)
        return file.getvalue()
    image = Image.fromarray(pixels)
    return webp(image.filter(ImageFilter.GaussianBlur(4)) if mode == "blurred" else image)


def media(key: str) -> bytes | None:
    """The image of a key of a result or a preview."""
    for pattern, draw in {
        r"fake/map/(\d+)/(\w+)/([\d.]+)/([\d.]+)": lambda seed, mode, *how: mapped(int(seed), mode, *map(float, how)),
        r"fake/drawn/(\d+)/(\d+)/([\d.]+)": lambda unit, number, share: drawn(int(unit), int(number), float(share)),
        r"fake/tile/(\d+)": lambda unit: drawn(int(unit), side=64),
        r"fake/opacity/(\d+)": lambda seed: webp(
            Image.fromarray((np.abs(importance(int(seed))) * 255).astype(np.uint8))
        ),
    }.items():
        match = re.fullmatch(pattern, key)
        if match:
            return draw(*match.groups())
    return None
