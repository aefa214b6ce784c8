"""What each pixel adds to the unit's or class's value, shared out backwards layer by layer.

Layer-wise relevance propagation. With the rule `epsilon` every layer shares by contribution, which for rectified
networks is gradient × input; `gamma` favours contributions with the sign of their sum; `composite` shares by those
alone (z⁺) at convolutions and by all at linear layers. The layer that reads the pixels may have a rule of its own:
`flat` shares evenly, `box` knows the bounds of a pixel. A batch normalisation is multiplied into the sum before it.

Misleads: what biases keep is lost, so the values need not add up to the target's; with `composite` nearly everything
flows where any contribution is, and the map barely depends on the target; the rules are choices, not consequences.

Paper: Bach et al., 2015, doi 10.1371/journal.pone.0130140; Montavon et al., 2019, doi 10.1007/978-3-030-28954-6_10.
"""

import torch
from torch import Tensor

from lurk.errors import LurkError, ModelError
from lurk.graph.device import device_of
from lurk.graph.plan import Plan
from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.lrp_propagation import refusal, relevance
from lurk.methods.attribution.lrp_rules import Share, Sharing
from lurk.methods.attribution.target import Target
from lurk.models.model import Model

OFFER = MethodSpec(
    name="lrp",
    label="Relevance (LRP)",
    shows="What each pixel adds to the unit's or class's value, shared out backwards layer by layer.",
    gives="map",
    needs=("layer", "unit", "image"),
    paper="Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance "
    "Propagation, 2015, doi 10.1371/journal.pone.0130140; rules: Montavon et al., 2019, "
    "doi 10.1007/978-3-030-28954-6_10",
    version=1,
    signed=True,
    caution="What biases keep is lost. With the composite rule the map barely depends on the target; which rule is "
    "right nobody can tell.",
    options=(
        Option("rule", "composite", "How layers share.", choices=("epsilon", "gamma", "composite")),
        Option("first", "same", "How the layer that reads the pixels shares.", choices=("same", "flat", "box")),
        Option("epsilon", 1e-6, "Keeps sums away from 0, as a share of a layer's root mean square.", 1e-9, 1.0),
        Option("gamma", 0.25, "How much the gamma rule favours contributions with the sign of their sum.", 0.0, 1000.0),
    ),
)
RULES: dict[str, tuple[Share, Share]] = {
    "epsilon": ("epsilon", "epsilon"),
    "gamma": ("gamma", "gamma"),
    "composite": ("plus", "epsilon"),
}


def run(request: MapRequest) -> Map:
    """Share the target's value out among the pixels.

    Args:
        request: What is asked for.

    Returns:
        float32 (c, h, w).

    Raises:
        LurkError: The network computes the target by an operation that has no rule.
    """
    request.report(0, 1)
    convolution, dense = RULES[str(request.options["rule"])]
    first: Share | None = {"flat": "flat", "box": "box"}.get(str(request.options["first"]))  # type: ignore[assignment]
    epsilon, gamma = (float(str(request.options[name])) for name in ("epsilon", "gamma"))
    low, high = _bounds(request.model, request.image) if first == "box" else (None, None)
    sharing = Sharing(convolution, dense, first, epsilon, gamma, low, high)
    try:
        values = relevance(request.plan, request.target, request.image, sharing)
    except ModelError:
        raise
    except LurkError as error:
        raise LurkError(f"relevance cannot be had for this target: {error}") from error
    request.report(1, 1)
    return Map(values.float())


def _bounds(model: Model, image: Tensor) -> tuple[Tensor, Tensor]:
    """What black and white are to the network, each float (c, 1, 1)."""
    if model.mean is None or model.std is None:
        raise LurkError("first=box needs the bounds of a pixel, and this model's normalisation is not known: take flat")
    blank = torch.zeros_like(image[:, :1, :1])
    return model.normalised(blank), model.normalised(blank + 1)


def refuse(model: Model, plan: Plan) -> str:
    """Say why no relevance can be had for a model, neither for its last layer nor for its first; empty where it can."""
    image = torch.zeros(plan.input_shape, device=device_of(model.module), dtype=model.dtype)
    last, first = (refusal(plan, Target(plan.layers[at].name, 0), image) for at in (-1, 0))
    return last and first


METHODS.register("lrp")(MapMethod(OFFER, run, refuse))
