"""Gradient ascent on a unit.

The picture is one of many that the unit answers to; compare the activation that it reaches with the unit's values over
real images. Erhan, Bengio, Courville & Vincent, Visualizing higher-layer features of a deep network, 2009; Yosinski et
al., 2015 (presets); Olah, Mordvintsev & Schubert, 2017 (waves, independent colours, robustness, diversity).
"""

from lurk.method_spec import Option
from lurk.methods import PictureRequest, Pictures, picture_method
from lurk.methods.feature_vis.ascent_options import ASCENT_OPTIONS, draw
from lurk.methods.feature_vis.objectives import Objective, channel, neuron


@picture_method(
    version=3,
    label="What it wants to see",
    paper="Olah, Mordvintsev & Schubert, Feature Visualization, 2017, doi 10.23915/distill.00007; Yosinski et al., "
    "2015, arXiv 1506.06579",
    caution="One of many such pictures; it need not look like anything that the network has seen.",
    options=(
        Option("objective", "channel", "Its mean over the map, or one position of it.", choices=("channel", "neuron")),
        Option("row", -1, "Row of the position, for neuron; -1 for the middle.", low=-1),
        Option("col", -1, "Column of the position, for neuron; -1 for the middle.", low=-1),
        *ASCENT_OPTIONS,
    ),
)
def gradient_ascent(request: PictureRequest) -> Pictures:
    """The picture that a unit answers to most, found by changing it step by step."""
    options, layer = request.options, request.layer

    def objective(units: tuple[int, ...]) -> Objective:
        if options["objective"] == "neuron":
            return neuron(layer, units, options["row"], options["col"])
        return channel(layer, units)

    return Pictures(draw(request, objective, layer))
