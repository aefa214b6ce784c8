"""What every method that draws by ascent offers, and how its options become a recipe.

The defaults are lucid's, but for the views: the picture fills what the network is shown, as it does when it is judged.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from lurk.ascent import POLICIES, Policy, Recipe, Show, ascend, mean_colour
from lurk.canvas import NOISE, Canvas, Fourier, Pixels, sides
from lurk.errors import LurkError
from lurk.methods import PictureRequest
from lurk.objectives import Diverse, Objective
from lurk.offers import Option
from lurk.records import Scalar
from lurk.regularisers import PRESETS, THEIR_RANGE, Preset, Regularisers
from lurk.robustness import Views
