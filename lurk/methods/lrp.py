"""Layer-wise relevance propagation.

With the rule `epsilon` every layer shares by contribution, which for rectified networks is gradient × input; `gamma`
favours contributions with the sign of their sum; `composite` shares by those alone (z⁺) at convolutions and by all at
linear layers. The layer that reads the pixels may have a rule of its own: `flat` shares evenly, `box` knows the bounds
of a pixel. A batch normalisation is multiplied into the sum before it.

With `composite` nearly everything flows wherever any contribution is.
"""

import torch
from torch import Tensor

from lurk.errors import LurkError, ModelError
from lurk.graph.device import device_of
from lurk.graph.plan import Plan
from lurk.method_spec import Option
from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.lrp_propagation import missing_rule, relevance
from lurk.methods.attribution.lrp_rules import Rule, RuleSet
from lurk.methods.attribution.target import Target
from lurk.models.model import Model

RULES: dict[str, tuple[Rule, Rule]] = {  # of convolutions, of linear layers
    "epsilon": ("epsilon", "epsilon"),
    "gamma": ("gamma", "gamma"),
    "composite": ("plus", "epsilon"),
}


def refuse(plan: Plan) -> str:
    """Return why neither the last nor the first layer has relevance to share out; empty if one has."""
    image = torch.zeros(plan.input_shape, device=device_of(plan.module))
    last, first = (missing_rule(plan, Target(plan.layers[at].name, 0), image) for at in (-1, 0))
    return last and first


@map_method(
    version=3,
    label="Relevance (LRP)",
    paper="Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance "
    "Propagation, 2015, doi 10.1371/journal.pone.0130140; rules: Montavon et al., 2019, "
    "doi 10.1007/978-3-030-28954-6_10",
    caution="What biases keep is lost. With the composite rule the map barely depends on the target; which rule is "
    "right nobody can tell.",
    signed=True,
    options=(
        Option("rule", "composite", "How layers share.", choices=tuple(RULES)),
        Option("first", "same", "How the layer that reads the pixels shares.", choices=("same", "flat", "box")),
        Option("epsilon", 1e-6, "Keeps sums away from 0, as a share of a layer's root mean square.", 1e-9, 1.0),
        Option("gamma", 0.25, "How much the gamma rule favours contributions with the sign of their sum.", 0.0, 1000.0),
    ),
    refuse=refuse,
)
def lrp(request: MapRequest) -> Map:
    """What each pixel adds to the unit's or class's value, shared out backwards layer by layer."""
    request.report(0, 1)
    options = request.options
    first = None if options["first"] == "same" else options["first"]
    low, high = _bounds(request.model, request.images[0]) if first == "box" else (None, None)
    rules = RuleSet(*RULES[options["rule"]], first, options["epsilon"], options["gamma"], low, high)
    try:
        values = relevance(request.plan, request.target, request.images, rules)
    except ModelError:
        raise
    except LurkError as error:
        raise LurkError(f"relevance cannot be had for this target: {error}") from error
    request.report(1, 1)
    return Map(values.float())


def _bounds(model: Model, image: Tensor) -> tuple[Tensor, Tensor]:
    """What black and white are to the network, each float (c, 1, 1)."""
    if model.normalisation.problem:
        raise LurkError(
            "first=box needs the bounds of a pixel, and this model's preprocessing has no inverse: take flat"
        )
    return model.normalisation.bounds(image)
