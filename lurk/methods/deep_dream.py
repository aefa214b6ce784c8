"""DeepDream.

The mean square of a layer's activations, or of one unit's, is raised at several zooms, from the photograph as a whole
down to its details.
"""

from functools import partial

import torch
from torch import Tensor

from lurk.errors import LurkError
from lurk.method_spec import Option
from lurk.methods import PictureRequest, Pictures, picture_method
from lurk.methods.feature_vis.ascent import AscentSettings, ascend, show_part
from lurk.methods.feature_vis.ascent_options import DOUBLE_SIZE, SEED
from lurk.methods.feature_vis.objectives import energy
from lurk.methods.feature_vis.parameterization import Pixels, picture_size
from lurk.methods.feature_vis.transforms import Transform, resize, transform

JITTER = 1 / 8


@picture_method(
    version=3,
    label="DeepDream",
    paper="Mordvintsev, Olah & Tyka, Inceptionism: going deeper into neural networks, 2015",
    caution="What already answers a little wins: it says as much of the photograph as of the network.",
    needs=("layer", "image"),
    options=(
        Option("steps", 24, "Steps at each zoom.", low=1, high=1024),
        Option("octaves", 4, "Zooms.", low=1, high=8),
        Option("zoom", 1.4, "How much nearer each zoom is than the one before.", low=1.01, high=3),
        Option("rate", 0.01, "Mean change of a sample, of 1, at each step.", low=0, high=1),
        SEED,
        DOUBLE_SIZE,
    ),
)
def deep_dream(request: PictureRequest) -> Pictures:
    """A photograph changed so that the layer answers to it more strongly: what the network sees in it."""
    if request.image is None:
        raise LurkError("deep_dream needs a photograph: give an image")
    options, model, input_size = request.options, request.model, request.model.input_shape[1:]
    size = picture_size(input_size, options["size"] or 2 * min(input_size))
    start = resize(model.displayed(request.image[None]).float(), size)
    canvas = Pixels(start.repeat_interleave(max(1, len(request.units)), 0))
    objective, pictures = energy(request.layer, request.units), canvas.pictures().detach()
    for octave in range(options["octaves"]):
        settings = AscentSettings(
            options["steps"],
            partial(_show_near, options["zoom"] ** octave, input_size),
            "normalized",
            options["rate"],
            seed=options["seed"] + octave,
            kept=request.kept.setdefault(f"octave {octave}", {}),
        )
        show = show_part(request.show, octave, options["octaves"])
        pictures = ascend(model, request.plan, objective, canvas, settings, show)
    return Pictures(pictures)


def _show_near(zoom: float, size: tuple[int, int], pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Show a part of the pictures, nearer by a factor, at a random place."""
    span = 1 - 1 / zoom + JITTER / zoom
    down, across = ((torch.rand(2, generator=generator) - 0.5) * span).tolist()
    return transform(pictures, Transform((down * pictures.shape[2], across * pictures.shape[3]), zoom), size)
