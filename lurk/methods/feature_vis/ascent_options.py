"""What every method that draws by ascent offers, and how its options become a drawing.

The defaults are lucid's (Olah et al., Feature Visualization, 2017) but for the views: here the picture that is not
moved fills what the network is shown, as it does when it is judged.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.device import device_of
from lurk.method_spec import Option
from lurk.methods.feature_vis.ascent import Recipe, ascend, mean_colour
from lurk.methods.feature_vis.objectives import Diverse, Objective
from lurk.methods.feature_vis.parameterization import Fourier, Pixels, sides, stir
from lurk.methods.feature_vis.regularizers import PRESETS, THEIR_RANGE, Policy, Regularisers
from lurk.methods.feature_vis.transforms import Views, resized
from lurk.records import Scalar

if TYPE_CHECKING:
    from lurk.methods import PictureRequest

WAVE_NOISE = 0.01
PIXEL_NOISE = 10 / THEIR_RANGE

SEED = Option("seed", 0, "Seed of all that is random: the same one gives the same picture.", low=0, high=2**31 - 1)
SIZE = Option("size", 0, "Shorter side of the picture in pixels; 0 for the network's own.", low=0, high=1024)
OPTIONS = (
    Option("steps", 256, "Steps of the ascent; a preset has its own number.", low=1, high=4096),
    SEED,
    SIZE,
    Option("canvas", "fourier", "What is changed: waves that add up, or the pixels.", choices=("fourier", "pixels")),
    Option("start", "noise", "What to begin with.", choices=("noise", "mean", "image")),
    Option("robustness", True, "Shift, scale and turn the picture at each step, so that it does not rely on noise."),
    Option("preset", "none", "A published recipe: canvas, rules, rate and steps.", choices=("none", *PRESETS)),
    Option("diversity", 1, "Different pictures for each unit.", low=1, high=8),
    Option("apart", 1.0, "What their likeness counts against them, where there are several.", low=0, high=100),
    Option(
        "policy",
        "adam",
        "How far a step goes: by Adam, the gradient times the rate, or so that the number grows by the rate.",
        choices=("adam", "constant", "progress", "progress01"),
    ),
    Option("rate", 0.05, "The rate of the policy.", low=0),
    Option("tv", 0.0, "What the mean difference between neighbouring pixels counts against the number.", low=0),
    Option("l1", 0.0, "What the mean difference from the mean colour counts against the number.", low=0),
    Option("decay", 0.0, "Share of the difference from the mean colour taken away each step.", low=0, high=1),
    Option("blur", 0.0, "Standard deviation of a blur in pixels.", low=0, high=50),
    Option("blur_every", 4, "Blur on each so-many-th step.", low=1),
    Option("small_norm", 0.0, "Percentage of pixels, the weakest, set to the mean colour.", low=0, high=100),
    Option("small_contribution", 0.0, "Percentage of pixels, the least needed, set to it.", low=0, high=100),
)


Aim = Callable[[tuple[int, ...]], Objective]


def draw(request: "PictureRequest", aim: Aim, layer: str) -> Tensor:
    """Draw a picture for each unit, or several.

    Args:
        request: What is asked for, with the options above.
        aim: Makes the objective of some units, one for each picture.
        layer: Where several pictures of a unit are to differ.

    Returns:
        float32 (f, c, h, w), in [0, 1]; the pictures of a unit one after the other.

    Raises:
        LurkError: It is to start from a photograph, and there is none.
    """
    repeats = cast(int, request.options["diversity"])
    objective = aim(tuple(unit for unit in request.units for _ in range(repeats)))
    if repeats > 1:
        objective = Diverse(objective, layer, repeats, cast(float, request.options["apart"]))
    recipe, has_pixels = _recipe(request.options, request.model.input_shape[1:])
    start = _start(request).repeat_interleave(repeats * len(request.units), 0)
    canvas = Pixels(start) if has_pixels else Fourier(start)
    if repeats > 1 or request.options["start"] == "noise":
        noise = PIXEL_NOISE if has_pixels else WAVE_NOISE
        stir(canvas.parameter, noise, cast(int, request.options["seed"]), repeats)
        canvas.settle()
    return ascend(request.model, request.plan, objective, canvas, recipe, request.show)


def _start(request: "PictureRequest") -> Tensor:
    """The picture to begin with, float32 (1, c, h, w)."""
    channels, *size = request.model.input_shape
    height, width = sides((size[0], size[1]), cast(int, request.options["size"]))
    if request.options["start"] == "image":
        if request.image is None:
            raise LurkError("start=image needs a photograph: give an image, or start from noise or mean")
        return resized(request.model.displayed(request.image[None]).float(), (height, width))
    plain = torch.zeros(1, channels, height, width, device=device_of(request.model.module))
    return plain + mean_colour(request.model, plain)


def _recipe(options: Mapping[str, Scalar], size: tuple[int, int]) -> tuple[Recipe, bool]:
    """How to draw, and whether on pixels."""
    seed, variation, distance = cast(int, options["seed"]), cast(float, options["tv"]), cast(float, options["l1"])
    if options["preset"] != "none":
        preset = PRESETS[str(options["preset"])]
        recipe = Recipe(
            preset.steps,
            Views(size, robust=False),
            preset.policy,
            preset.rate / (THEIR_RANGE**2 if preset.policy == "constant" else 1),
            limit=preset.limit / THEIR_RANGE**2,
            total_variation=variation,
            distance=distance,
            regularisers=preset.regularisers,
            keep_best=True,
            seed=seed,
        )
        return recipe, True
    regularisers = Regularisers(
        cast(float, options["decay"]),
        cast(float, options["blur"]),
        cast(int, options["blur_every"]),
        cast(float, options["small_norm"]),
        cast(float, options["small_contribution"]),
    )
    recipe = Recipe(
        cast(int, options["steps"]),
        Views(size, robust=bool(options["robustness"])),
        cast(Policy, options["policy"]),
        cast(float, options["rate"]),
        total_variation=variation,
        distance=distance,
        regularisers=regularisers if regularisers != Regularisers(blur_every=regularisers.blur_every) else None,
        seed=seed,
    )
    return recipe, options["canvas"] == "pixels"
