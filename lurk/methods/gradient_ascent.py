"""The picture that a unit answers to most, found by changing it step by step.

How it misleads: the picture is one of many that the unit answers to, and none of them need look like any image that
the network has seen; compare the activation that it reaches with the unit's values over real images.

Erhan, Bengio, Courville & Vincent, Visualizing higher-layer features of a deep network, 2009; Yosinski et al., 2015,
arXiv 1506.06579 (presets); Olah, Mordvintsev & Schubert, Feature Visualization, 2017, doi 10.23915/distill.00007
(waves, independent colours, robustness, diversity).
"""

from typing import cast

from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, PictureMethod, PictureRequest, Pictures
from lurk.methods.feature_vis.ascent_options import OPTIONS, draw
from lurk.methods.feature_vis.objectives import Channel, Neuron, Objective

OFFER = MethodSpec(
    name="gradient_ascent",
    label="What it wants to see",
    shows="The picture that a unit answers to most, found by changing it step by step.",
    gives="picture",
    needs=("layer", "unit"),
    paper="Olah, Mordvintsev & Schubert, Feature Visualization, 2017, doi 10.23915/distill.00007; Yosinski et al., "
    "2015, arXiv 1506.06579",
    version=1,
    caution="One of many such pictures; it need not look like anything that the network has seen.",
    options=(
        Option("objective", "channel", "Its mean over the map, or one position of it.", choices=("channel", "neuron")),
        Option("row", -1, "Row of the position, for neuron; -1 for the middle.", low=-1),
        Option("col", -1, "Column of the position, for neuron; -1 for the middle.", low=-1),
        Option("direction", "maximise", "What it wants, or what it shuns.", choices=("maximise", "minimise")),
        *OPTIONS,
    ),
)


def run(request: PictureRequest) -> Pictures:
    """Draw a picture for each unit.

    Args:
        request: What is asked for.

    Returns:
        The pictures, those of one unit one after the other.
    """
    options = request.options

    def aim(units: tuple[int, ...]) -> Objective:
        found: Objective = Channel(request.layer, units)
        if options["objective"] == "neuron":
            found = Neuron(request.layer, units, cast(int, options["row"]), cast(int, options["col"]))
        return -found if options["direction"] == "minimise" else found

    return Pictures(draw(request, aim, request.layer))


METHODS.register("gradient_ascent")(PictureMethod(OFFER, run))
