"""The options of every method that draws by ascent, and how they become a drawing.

The defaults are lucid's (Olah et al., Feature Visualization, 2017) but for the views: here a picture that is not
transformed fills what the network is shown, as it does when it is evaluated.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.device import device_of
from lurk.method_spec import Option
from lurk.methods import Options, PictureRequest
from lurk.methods.feature_vis.ascent import AscentSettings, ascend, mean_colour
from lurk.methods.feature_vis.objectives import Objective, diverse
from lurk.methods.feature_vis.parameterization import Fourier, Pixels, add_noise, picture_size
from lurk.methods.feature_vis.regularizers import PRESETS, THEIR_RANGE, Regularizers
from lurk.methods.feature_vis.transforms import Views, resize
from lurk.models.model import Model

WAVE_NOISE = 0.01
PIXEL_NOISE = 10 / THEIR_RANGE

SEED = Option("seed", 0, "Seed of all that is random: the same one gives the same picture.", low=0, high=2**31 - 1)
SIZE = Option("size", 0, "Shorter side of the picture in pixels; 0 for the network's own.", low=0, high=1024)
DOUBLE_SIZE = Option(
    "size", 0, "Shorter side of the picture in pixels; 0 for twice the network's own.", low=0, high=1024
)
ASCENT_OPTIONS = (
    Option("direction", "maximise", "Draw what raises the value, or what lowers it.", choices=("maximise", "minimise")),
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


def draw(request: PictureRequest, objective_of: Callable[[tuple[int, ...]], Objective], layer: str) -> Tensor:
    """Draw a picture for each unit, or several.

    Args:
        request: The request of a method that has the options above.
        objective_of: Returns the objective of some units, one for each picture.
        layer: The layer in which several pictures of a unit are to differ.

    Returns:
        float32 (f, c, h, w), in [0, 1]; the pictures of a unit one after the other.

    Raises:
        LurkError: The drawing is to start from a photograph, and the request has none.
    """
    options, repeats = request.options, request.options["diversity"]
    objective = objective_of(tuple(unit for unit in request.units for _ in range(repeats)))
    if options["direction"] == "minimise":
        objective = -objective
    if repeats > 1:
        objective = diverse(objective, layer, repeats, options["apart"])
    start = _start(request).repeat_interleave(repeats * len(request.units), 0)
    has_pixels = options["canvas"] == "pixels" or options["preset"] != "none"
    drawing = Pixels(start) if has_pixels else Fourier(start)
    if repeats > 1 or options["start"] == "noise":
        add_noise(drawing.parameter, PIXEL_NOISE if has_pixels else WAVE_NOISE, options["seed"], repeats)
        drawing.project()
    settings = replace(_settings(options, request.model.input_shape[1:]), kept=request.kept)
    return ascend(request.model, request.plan, objective, drawing, settings, request.show)


def mean_picture(model: Model, size: int) -> Tensor:
    """Return a picture of the mean colour, float32 (1, c, h, w), of a shorter side in pixels; 0 for the network's."""
    height, width = picture_size(model.input_shape[1:], size)
    plain = torch.zeros(1, model.normalisation.samples, height, width, device=device_of(model.module))
    return plain + mean_colour(model, plain)


def _start(request: PictureRequest) -> Tensor:
    """The picture to begin with, float32 (1, c, h, w)."""
    model, size = request.model, request.options["size"]
    if request.options["start"] != "image":
        return mean_picture(model, size)
    if request.image is None:
        raise LurkError("start=image needs a photograph: give an image, or start from noise or mean")
    return resize(model.displayed(request.image[None]).float(), picture_size(model.input_shape[1:], size))


def _settings(options: Options, size: tuple[int, int]) -> AscentSettings:
    rules = Regularizers(
        options["decay"], options["blur"], options["blur_every"], options["small_norm"], options["small_contribution"]
    )
    settings = AscentSettings(
        options["steps"],
        Views(size, robust=options["robustness"]),
        options["policy"],
        options["rate"],
        total_variation=options["tv"],
        distance=options["l1"],
        regularizers=rules if rules != Regularizers(blur_every=rules.blur_every) else None,
        seed=options["seed"],
    )
    if options["preset"] == "none":
        return settings
    preset = PRESETS[options["preset"]]
    return replace(
        settings,
        steps=preset.steps,
        view=Views(size, robust=False),
        policy=preset.policy,
        rate=preset.rate / (THEIR_RANGE**2 if preset.policy == "constant" else 1),
        limit=preset.limit / THEIR_RANGE**2,
        regularizers=preset.regularizers,
        keep_best=True,
    )
