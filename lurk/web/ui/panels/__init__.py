"""What a panel is, and the tables of them; a panel is one file of this folder.

A panel's logic is plain functions `(service, *inputs) -> component`. `PANELS` holds the functions that bind them to an
app's callbacks, `SECTIONS` the parts of a unit's modal: to add a panel, add a file that enters itself in one of them. A
panel imports no other panel.

Inputs come from the page, so a panel checks their type. Those that several panels take are

    study   name of the study that is shown, None on other pages
    place   the layer that is shown, `{"study", "layer"}`, or the unit in the modal, with `"unit"` too; None without one
    kind    which of a unit's scores rank the images: `max`, its highest value in an image, or `mean`
    serial  number of the sweep's last checkpoint   }
    ready   whether the study has an index          }  when one of these changes, the panel is drawn again
    tick    number of the page's last poll          }
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dash import Dash, html
from dash.development.base_component import Component

from lurk.registry import Registry
from lurk.service.service import Service
from lurk.service.unit_view import UnitView
from lurk.web.ui.clientside import attributes

Kind = Literal["max", "mean"]
Register = Callable[[Dash, Service], None]


@dataclass(frozen=True)
class Section:
    """A part of a unit's modal.

    Args:
        column: `wants` for what the unit wants to see, on the left; `saw` for what it saw, in the middle; `answers`
            for what it answers to, on the right.
        order: Place in the column, lowest first.
        build: Draws it for a unit and for `max` or `mean`.
    """

    column: Literal["wants", "saw", "answers"]
    order: int
    build: Callable[[UnitView, Kind], Component]


PANELS: Registry[Register] = Registry("lurk.web.ui.panels", "panel")
SECTIONS: Registry[Section] = Registry("lurk.web.ui.panels", "section")


def sections(column: str) -> list[Section]:
    """The sections of a column of the modal, in their order."""
    found = [SECTIONS[name] for name in SECTIONS]
    return sorted((section for section in found if section.column == column), key=lambda section: section.order)


def heading(title: str, explanation: str, *beside: Component) -> Component:
    """A panel's heading with its explanation in plain words, shown on demand.

    Args:
        title: The heading.
        explanation: What is seen and how it is defined.
        *beside: What stands on the right of it.

    Returns:
        The component.
    """
    question = html.Summary("?", title="What is this?", **attributes(f"What is “{title}”?"))
    words = [html.P(paragraph) for paragraph in explanation.split("\n")]
    return html.Div(
        [html.H2(title), html.Details([question, html.Div(words, className="help-words")], className="help"), *beside],
        className="heading",
    )
