"""What a layer still knows of a photograph: a picture, drawn from noise, that the layer answers to in the same way.

What the layer has dropped is missing or made up. How it misleads: what looks lost may only be hard to find by ascent,
and the little smoothing that is asked for fills in what the layer does not say.

Mahendran & Vedaldi, Understanding deep image representations by inverting them, 2015, arXiv 1412.0035; drawn with the
waves of Olah, Mordvintsev & Schubert, Feature Visualization, 2017.
"""

from typing import cast

import torch

from lurk.errors import LurkError
from lurk.graph.partial_forward import reaching
from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, PictureMethod, PictureRequest, Pictures
from lurk.methods.feature_vis.ascent import Recipe, ascend, mean_colour
from lurk.methods.feature_vis.ascent_options import SEED, SIZE, WAVE_NOISE
from lurk.methods.feature_vis.objectives import Likeness
from lurk.methods.feature_vis.parameterization import Fourier, sides, stir
from lurk.methods.feature_vis.transforms import Views

OFFER = MethodSpec(
    name="inversion",
    label="What the layer keeps",
    shows="A picture drawn from noise that the layer answers to as it does to the photograph.",
    gives="picture",
    needs=("layer", "image"),
    paper="Mahendran & Vedaldi, Understanding deep image representations by inverting them, 2015, arXiv 1412.0035",
    version=1,
    caution="What looks lost may only be hard to find; what the layer does not say is filled in smoothly.",
    options=(
        Option("steps", 256, "Steps of the ascent.", low=1, high=4096),
        SEED,
        SIZE,
        Option("rate", 0.05, "Adam's rate; small networks need a larger one.", low=0),
        Option("tv", 0.01, "What the mean difference between neighbouring pixels counts.", low=0),
    ),
)


def run(request: PictureRequest) -> Pictures:
    """Draw a picture with the photograph's activations.

    Args:
        request: What is asked for; its units are not looked at.

    Returns:
        One picture.

    Raises:
        LurkError: There is no photograph.
    """
    if request.image is None:
        raise LurkError("inversion needs a photograph: give an image")
    options, model = request.options, request.model
    with reaching(request.plan, [request.layer]) as reach, torch.no_grad():
        given = reach(request.image[None].to(model.dtype))[request.layer].clone()
    channels, *size = model.input_shape
    drawn_size = sides((size[0], size[1]), cast(int, options["size"]))
    plain = torch.zeros(1, channels, *drawn_size, device=request.image.device)
    canvas = Fourier(plain + mean_colour(model, plain))
    stir(canvas.parameter, WAVE_NOISE, cast(int, options["seed"]), 1)
    recipe = Recipe(
        cast(int, options["steps"]),
        Views((size[0], size[1]), robust=False),
        rate=cast(float, options["rate"]),
        total_variation=cast(float, options["tv"]),
        seed=cast(int, options["seed"]),
    )
    objective = Likeness(request.layer, given)
    return Pictures(ascend(model, request.plan, objective, canvas, recipe, request.show))


METHODS.register("inversion")(PictureMethod(OFFER, run))
