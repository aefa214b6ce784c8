"""What a unit wants to see: room for the picture that is drawn for it; the scripts ask for it and show it."""

from dash import html
from dash.development.base_component import Component

from lurk.service.unit_view import UnitView
from lurk.service.unit_words import idle_words
from lurk.web.ui.clientside import attributes
from lurk.web.ui.panels import SECTIONS, Kind, Section, heading

TITLE = "What it wants to see"
HELP = (
    "This picture is drawn, not photographed: it starts as noise and is changed step by step so that the unit's value "
    "rises. It shows what the unit looks for, free of what else happens to be in photographs.\n"
    "A drawn picture can reach values that no photograph does, by means that no photograph has. So the table says what "
    "the unit gives for this picture, for the same picture shifted a little, and for the best real image: the highest "
    "value over all positions, and the mean over them.\n"
    "A unit that is never active on these images, or always has the same value, is drawn only if you ask for it.\n"
    "“Variants” changes what is drawn and how; the choice holds for the next units too."
)


def wants(view: UnitView, _kind: Kind) -> Component:
    """Room for the picture of a unit, to be filled by the scripts."""
    record = view.record
    which = attributes(
        data_layer=record.layer,
        data_unit=str(record.unit),
        data_name=view.name,
        data_seen=str(view.seen),
        data_idle=idle_words(record),
    )
    room = html.Div(className="wants-room", **which)
    return html.Section([heading(TITLE, HELP), room], className="section grows")


SECTIONS.register("wants")(Section("wants", 0, wants))
