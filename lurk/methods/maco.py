"""The picture that a unit answers to most among those with the waves of natural images: only their phases are free.

The magnitude of each wave is the mean over the image set, so that large forms and fine ones have their natural share.
Its opacity says how much each pixel was asked for. How it misleads: where the unit wants a flat or a lone thing, the
rest of the picture must still be filled with natural waves; look where it is opaque.

Fel et al., Unlocking feature visualization for deeper networks with magnitude constrained optimization, 2023, arXiv
2306.06805. Here the magnitudes and the colours are those of the study's own image set, before the sigmoid.
"""

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.device import device_of
from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, PictureMethod, PictureRequest, Pictures
from lurk.methods.feature_vis.ascent import Recipe, ascend
from lurk.methods.feature_vis.ascent_options import SEED
from lurk.methods.feature_vis.image_spectrum import natural_spectrum
from lurk.methods.feature_vis.objectives import Channel
from lurk.methods.feature_vis.parameterization import Phases, sides

CENTRE_SPREAD = 0.15
OPAQUE = 0.8

OFFER = MethodSpec(
    name="maco",
    label="What it wants, as natural waves",
    shows="The picture that a unit answers to most among those with the waves of natural images.",
    gives="picture",
    needs=("layer", "unit", "images"),
    paper="Fel et al., Unlocking feature visualization for deeper networks with magnitude constrained optimization, "
    "2023, arXiv 2306.06805",
    version=1,
    caution="All of the picture must be filled with natural waves: look where it is opaque.",
    options=(
        Option("steps", 128, "Steps of the ascent.", low=1, high=4096),
        Option("crops", 2, "Parts of the picture that the network is shown at each step.", low=1, high=32),
        Option("smallest", 0.25, "Side of the smallest part, as a share of the picture's.", low=0.05, high=1),
        Option("largest", 0.6, "Side of the largest part.", low=0.05, high=1),
        Option("noise", 0.02, "Noise added to what is shown.", low=0, high=1),
        Option("rate", 1.0, "NAdam's rate.", low=0),
        SEED,
        Option("size", 0, "Shorter side of the picture in pixels; 0 for twice the network's own.", low=0, high=1024),
    ),
)


def run(request: PictureRequest) -> Pictures:
    """Draw a picture for each unit.

    Args:
        request: What is asked for.

    Returns:
        The pictures and their opacity.

    Raises:
        LurkError: There is no image set.
    """
    if request.images is None:
        raise LurkError("maco draws with the waves of an image set: give one (--data, or images=)")
    options, model = request.options, request.model
    input_size = (model.input_shape[1], model.input_shape[2])
    size = sides(input_size, cast(int, options["size"]) or 2 * min(input_size))
    device = device_of(model.module)
    natural = natural_spectrum(request.images, model).resized(size)
    chance = torch.Generator().manual_seed(cast(int, options["seed"]))
    phases = torch.randn(natural.magnitude.shape, generator=chance).to(device)
    magnitude, mix, centre = (part.to(device) for part in (natural.magnitude, natural.mix, natural.centre))
    canvas = Phases(magnitude, mix, centre, size, phases.expand(len(request.units), *phases.shape))
    crops = _Crops(
        input_size,
        cast(int, options["crops"]),
        (cast(float, options["smallest"]), cast(float, options["largest"])),
        cast(float, options["noise"]),
    )
    asked = torch.zeros(len(request.units), *size, device=device)

    def watch(slope: Tensor) -> None:
        asked.add_(slope.abs().mean(1))

    recipe = Recipe(
        cast(int, options["steps"]),
        crops,
        "nadam",
        cast(float, options["rate"]),
        seed=cast(int, options["seed"]),
        watch=watch,
    )
    units = tuple(unit for unit in request.units for _ in range(crops.count))
    pictures = ascend(model, request.plan, Channel(request.layer, units), canvas, recipe, request.show)
    full = torch.quantile(asked.flatten(1), OPAQUE, dim=1).clamp(min=torch.finfo(asked.dtype).tiny)
    return Pictures(pictures, (asked / full.view(-1, 1, 1)).clamp(max=1))


class _Crops:
    """Shows parts of the pictures, all of them the same parts."""

    def __init__(self, size: tuple[int, int], count: int, sides: tuple[float, float], noise: float) -> None:
        self._size, self.count, self._sides, self._noise = size, count, sides, noise

    def __call__(self, pictures: Tensor, chance: torch.Generator) -> Tensor:
        """Show parts: float (f, c, h, w) to float (f · crops, c, height, width), those of one picture together."""
        low, high = min(self._sides), max(self._sides)
        side = torch.rand(self.count, 1, generator=chance) * (high - low) + low
        centre = (torch.randn(self.count, 2, generator=chance) * CENTRE_SPREAD * 2).clamp(side - 1, 1 - side)
        matrices = torch.zeros(self.count, 2, 3)
        matrices[:, 0, 0] = matrices[:, 1, 1] = side[:, 0]
        matrices[:, :, 2] = centre
        channels, repeats = pictures.shape[1], len(pictures)
        grid = F.affine_grid(matrices, [self.count, channels, *self._size], align_corners=False).to(pictures.device)
        shown = F.grid_sample(
            pictures.repeat_interleave(self.count, 0),
            grid.repeat(repeats, 1, 1, 1),
            mode="bilinear",
            align_corners=False,
        )
        noise = torch.randn(self.count, channels, *self._size, generator=chance).to(pictures.device) * self._noise
        return shown + noise.repeat(repeats, 1, 1, 1)


METHODS.register("maco")(PictureMethod(OFFER, run))
