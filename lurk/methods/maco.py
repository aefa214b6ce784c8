"""MACO: only the phases of a picture's waves are free.

The magnitude of each wave is the mean over the image set, so that large forms and fine ones have their natural share.
Its opacity says how strongly each pixel was asked for. Unlike in the paper, the magnitudes and the colours are those of
the study's own image set, before the sigmoid.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.device import device_of
from lurk.method_spec import Option
from lurk.methods import PictureRequest, Pictures, picture_method
from lurk.methods.feature_vis.ascent import AscentSettings, ascend
from lurk.methods.feature_vis.ascent_options import DOUBLE_SIZE, SEED
from lurk.methods.feature_vis.image_spectrum import natural_spectrum
from lurk.methods.feature_vis.objectives import channel
from lurk.methods.feature_vis.parameterization import Phases, picture_size

CENTRE_SPREAD = 0.15
OPAQUE = 0.8


@picture_method(
    version=3,
    label="What it wants, as natural waves",
    paper="Fel et al., Unlocking feature visualization for deeper networks with magnitude constrained optimization, "
    "2023, arXiv 2306.06805",
    caution="All of the picture must be filled with natural waves: look where it is opaque.",
    needs=("layer", "unit", "images"),
    options=(
        Option("steps", 128, "Steps of the ascent.", low=1, high=4096),
        Option("crops", 2, "Parts of the picture that the network is shown at each step.", low=1, high=32),
        Option("smallest", 0.25, "Side of the smallest part, as a share of the picture's.", low=0.05, high=1),
        Option("largest", 0.6, "Side of the largest part.", low=0.05, high=1),
        Option("noise", 0.02, "Noise added to what is shown.", low=0, high=1),
        Option("rate", 1.0, "NAdam's rate.", low=0),
        SEED,
        DOUBLE_SIZE,
    ),
)
def maco(request: PictureRequest) -> Pictures:
    """The picture that a unit answers to most among those with the waves of natural images."""
    if request.images is None:
        raise LurkError("maco draws with the waves of an image set: give one (--data, or images=)")
    options, model, input_size = request.options, request.model, request.model.input_shape[1:]
    size, device = picture_size(input_size, options["size"] or 2 * min(input_size)), device_of(model.module)
    natural = natural_spectrum(request.images, model).resized(size)
    generator = torch.Generator().manual_seed(options["seed"])
    phases = torch.randn(natural.magnitude.shape, generator=generator).to(device)
    magnitude, mix, centre = (part.to(device) for part in (natural.magnitude, natural.mix, natural.centre))
    waves = Phases(magnitude, mix, centre, size, phases.expand(len(request.units), *phases.shape))
    crops = _Crops(input_size, options["crops"], (options["smallest"], options["largest"]), options["noise"])
    slopes = request.kept.setdefault("slopes", torch.zeros(len(request.units), *size, device=device))
    settings = AscentSettings(
        options["steps"],
        crops,
        "nadam",
        options["rate"],
        seed=options["seed"],
        watch=lambda slope: slopes.add_(slope.abs().mean(1)),
        kept=request.kept,
    )
    units = tuple(unit for unit in request.units for _ in range(crops.count))
    pictures = ascend(model, request.plan, channel(request.layer, units), waves, settings, request.show)
    full = torch.quantile(slopes.flatten(1), OPAQUE, dim=1).clamp(min=torch.finfo(slopes.dtype).tiny)
    return Pictures(pictures, (slopes / full.view(-1, 1, 1)).clamp(max=1))


class _Crops:
    """Shows parts of the pictures, the same parts of each."""

    def __init__(self, size: tuple[int, int], count: int, shares: tuple[float, float], noise: float) -> None:
        self._size, self.count, self._shares, self._noise = size, count, shares, noise

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Show parts: float (f, c, h, w) to float (f · crops, c, height, width), those of one picture together."""
        low, high = min(self._shares), max(self._shares)
        side = torch.rand(self.count, 1, generator=generator) * (high - low) + low
        centre = (torch.randn(self.count, 2, generator=generator) * CENTRE_SPREAD * 2).clamp(side - 1, 1 - side)
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
        noise = torch.randn(self.count, channels, *self._size, generator=generator).to(pictures.device) * self._noise
        return shown + noise.repeat(repeats, 1, 1, 1)
