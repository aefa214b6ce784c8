"""Which channels of an image are shown, where it has more than one; the scripts draw the choice."""

from dash import Dash, Input, Output, State, html
from dash.development.base_component import Component

from lurk.service.service import Service
from lurk.web.ui import ids
from lurk.web.ui.clientside import attributes, bind
from lurk.web.ui.panels import PANELS


def layout() -> Component:
    """Room for the choice, hidden where there is nothing to choose."""
    label = attributes("Channels that are shown")
    return html.Section(id=ids.CHANNELS_ROOM, hidden=True, className="channels", **label)


@PANELS.register("channels")
def register(app: Dash, _service: Service) -> None:
    """Bind the panel to an app."""
    bind(app, "channels", Output(ids.CHANNELS, "data"), Input(ids.LAYERS, "data"), State(ids.CHANNELS, "data"))
