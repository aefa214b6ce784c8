"""Inversion: a picture, drawn from noise, whose activations in a layer are those of a photograph.

What the layer has dropped is missing or made up. The picture is made of the waves of Olah, Mordvintsev & Schubert,
Feature Visualization, 2017.
"""

import torch

from lurk.errors import LurkError
from lurk.graph.partial_forward import partial_forward
from lurk.method_spec import Option
from lurk.methods import PictureRequest, Pictures, picture_method
from lurk.methods.feature_vis.ascent import AscentSettings, ascend
from lurk.methods.feature_vis.ascent_options import SEED, SIZE, WAVE_NOISE, mean_picture
from lurk.methods.feature_vis.objectives import likeness
from lurk.methods.feature_vis.parameterization import Fourier, add_noise
from lurk.methods.feature_vis.transforms import Views


@picture_method(
    version=2,
    label="What the layer keeps",
    paper="Mahendran & Vedaldi, Understanding deep image representations by inverting them, 2015, arXiv 1412.0035",
    caution="What looks lost may only be hard to find; what the layer does not say is filled in smoothly.",
    needs=("layer", "image"),
    options=(
        Option("steps", 256, "Steps of the ascent.", low=1, high=4096),
        SEED,
        SIZE,
        Option("rate", 0.05, "Adam's rate; small networks need a larger one.", low=0),
        Option("tv", 0.01, "What the mean difference between neighbouring pixels counts.", low=0),
    ),
)
def inversion(request: PictureRequest) -> Pictures:
    """A picture drawn from noise that the layer answers to as it does to the photograph."""
    if request.image is None:
        raise LurkError("inversion needs a photograph: give an image")
    options, model = request.options, request.model
    with partial_forward(request.plan, [request.layer]) as reach, torch.no_grad():
        given = reach(request.image[None].to(model.dtype))[request.layer].clone()
    waves = Fourier(mean_picture(model, options["size"]))
    add_noise(waves.parameter, WAVE_NOISE, options["seed"], 1)
    settings = AscentSettings(
        options["steps"],
        Views(model.input_shape[1:], robust=False),
        rate=options["rate"],
        total_variation=options["tv"],
        seed=options["seed"],
        kept=request.kept,
    )
    return Pictures(ascend(model, request.plan, likeness(request.layer, given), waves, settings, request.show))
