"""A photograph changed so that a layer, or a unit, answers to it more strongly: what the network sees in it.

The mean square of the activations is raised, at several zooms, from the photograph as a whole down to its details. How
it misleads: what already answers a little wins, so it says as much of the photograph as of the network.

Mordvintsev, Olah & Tyka, Inceptionism: going deeper into neural networks, 2015 (no arXiv number).
"""

from functools import partial
from typing import cast

import torch
from torch import Tensor

from lurk.errors import LurkError
from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, PictureMethod, PictureRequest, Pictures, Show
from lurk.methods.feature_vis.ascent import Recipe, ascend
from lurk.methods.feature_vis.ascent_options import SEED
from lurk.methods.feature_vis.objectives import Energy
from lurk.methods.feature_vis.parameterization import Pixels, sides
from lurk.methods.feature_vis.transforms import Move, moved, resized

JITTER = 1 / 8

OFFER = MethodSpec(
    name="deep_dream",
    label="DeepDream",
    shows="A photograph changed so that the layer answers to it more strongly: what the network sees in it.",
    gives="picture",
    needs=("layer", "image"),
    paper="Mordvintsev, Olah & Tyka, Inceptionism: going deeper into neural networks, 2015",
    version=1,
    caution="What already answers a little wins: it says as much of the photograph as of the network.",
    options=(
        Option("steps", 24, "Steps at each zoom.", low=1, high=1024),
        Option("octaves", 4, "Zooms.", low=1, high=8),
        Option("zoom", 1.4, "How much nearer each zoom is than the one before.", low=1.01, high=3),
        Option("rate", 0.01, "Mean change of a sample, of 1, at each step.", low=0, high=1),
        SEED,
        Option("size", 0, "Shorter side of the picture in pixels; 0 for twice the network's own.", low=0, high=1024),
    ),
)


def run(request: PictureRequest) -> Pictures:
    """Dream from the photograph.

    Args:
        request: What is asked for; with units, a picture for each of them, else one for the layer as a whole.

    Returns:
        The pictures.

    Raises:
        LurkError: There is no photograph.
    """
    if request.image is None:
        raise LurkError("deep_dream needs a photograph: give an image")
    options, model = request.options, request.model
    input_size = (model.input_shape[1], model.input_shape[2])
    size = sides(input_size, cast(int, options["size"]) or 2 * min(input_size))
    start = resized(model.displayed(request.image[None]).float(), size)
    canvas = Pixels(start.repeat_interleave(max(1, len(request.units)), 0))
    objective = Energy(request.layer, request.units)
    octaves, steps, seed = (cast(int, options[name]) for name in ("octaves", "steps", "seed"))
    pictures = canvas.pictures().detach()
    for octave in range(octaves):
        recipe = Recipe(
            steps,
            partial(_near, cast(float, options["zoom"]) ** octave, input_size),
            "normalised",
            cast(float, options["rate"]),
            seed=seed + octave,
        )
        show = _shifted(request.show, octave * steps, octaves * steps)
        pictures = ascend(model, request.plan, objective, canvas, recipe, show)
    return Pictures(pictures)


def _near(zoom: float, size: tuple[int, int], pictures: Tensor, chance: torch.Generator) -> Tensor:
    """Show a part of the pictures that is nearer by a factor, anywhere in them."""
    span = 1 - 1 / zoom + JITTER / zoom
    down, across = ((torch.rand(2, generator=chance) - 0.5) * span).tolist()
    return moved(pictures, Move((down * pictures.shape[2], across * pictures.shape[3]), zoom), size)


def _shifted(show: Show, before: int, total: int) -> Show:
    return lambda done, _total, pictures: show(before + done, total, pictures)


METHODS.register("deep_dream")(PictureMethod(OFFER, run))
