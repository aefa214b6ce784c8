"""The page of jobs: what each is for, its progress, and the error of those that failed."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from lurk.errors import LurkError
from lurk.service.service import Service
from lurk.web.ui import ids
from lurk.web.ui.clientside import attributes
from lurk.web.ui.login_routes import person
from lurk.web.ui.page_addresses import write
from lurk.web.ui.panels import PANELS
from lurk.web.ui.words import moment

OPEN = ("queued", "running")
KINDS = {
    "sweep": "Sweep",
    "shard": "Part of a sweep",
    "verify": "Check",
    "picture": "Picture",
    "pictures": "Pictures",
    "map": "Map",
    "maps": "Maps",
    "sanity": "Sanity check of a map",
}
COLUMNS = ("job", "state", "progress", "asked for", "")
MOST = 200


def table(service: Service, _tick: object, page: object) -> Component | None:
    """The user's own jobs, or everybody's for an admin; None on other pages than that of the jobs."""
    if page != "jobs":
        return None
    viewer = person()
    found = service.jobs(viewer)[:MOST]
    if not found:
        whose = "Nothing has been asked for yet." if viewer.is_admin else "You have asked for nothing yet."
        return html.P(whose, className="why")
    with_people = bool(viewer.name) and viewer.is_admin
    columns = (*COLUMNS[:-1], "by", "") if with_people else COLUMNS
    head = html.Thead(html.Tr([html.Th(word, scope="col") if word else html.Td() for word in columns]))
    rows = html.Tbody([_row(service, job, with_people) for job in found])
    title = "Jobs" if viewer.is_admin else "Your jobs"
    return html.Div([html.H1(title), html.Table([head, rows], className="plain jobs")])


def people_words(job: Mapping[str, Any]) -> str:
    """Who asked for a job, and how many others."""
    more = int(job.get("people") or 1) - 1
    return (str(job.get("person") or "") or "the server") + (f" and {more} more" if more else "")


def _row(service: Service, job: Mapping[str, Any], with_people: bool) -> Component:
    state = html.Span(state_words(job), className=f"job-state {job['state']}")
    buttons = []
    if job["state"] in OPEN:
        words = f"Cancel {KINDS.get(job['spec']['kind'], job['spec']['kind'])}"
        buttons = [
            html.Button("Cancel", type="button", className="worded", **attributes(words, data_cancel=job["key"]))
        ]
    return html.Tr(
        [
            html.Td(_what(service, job["spec"])),
            html.Td([state, *_trouble(job)]),
            html.Td(progress_words(job), className="number"),
            html.Td(moment(job.get("submitted"), "%Y-%m-%d %H:%M:%S UTC"), className="number"),
            *([html.Td(people_words(job))] if with_people else []),
            html.Td(buttons),
        ]
    )


def _what(service: Service, spec: Mapping[str, Any]) -> list[Component | str]:
    kind, layer = KINDS.get(spec["kind"], spec["kind"]), spec.get("layer")
    if layer is None:
        return [f"{kind} of ", dcc.Link(spec["study"], href=write(spec["study"]))]
    units = units_of(spec)
    words = f" {_unit(service, spec, units[0])}" if len(units) == 1 else f" {len(units)} units"
    place: list[Component | str] = [html.Span(layer, className="name"), words if units else ""]
    link = dcc.Link(place, href=write(spec["study"], str(layer), units[0] if len(units) == 1 else None))
    method = spec.get("method")
    how = [html.Span(f" by {str(method).replace('_', ' ')}", className="note")] if method else []
    image = spec.get("image")
    return [f"{kind} of ", link, *([] if image is None else [f" in image {image}"]), *how]


def _unit(service: Service, spec: Mapping[str, Any], unit: int) -> str:
    """What a unit is called; by its number if its study is gone."""
    try:
        return service.unit_names(spec["study"], str(spec["layer"]))[unit]
    except (LurkError, IndexError):
        return f"unit {unit}"


def units_of(spec: Mapping[str, Any]) -> list[int]:
    """The units that a job is about: its `unit`, or its `units`, a text of numbers with commas."""
    if spec.get("unit") is not None:
        return [int(spec["unit"])]
    return [int(unit) for unit in str(spec.get("units") or "").split(",") if unit]


def state_words(job: Mapping[str, Any]) -> str:
    """State of a job in words, with how many are ahead of it."""
    if job["state"] == "queued" and job.get("ahead"):
        return f"waiting, {job['ahead']} ahead"
    return {"queued": "waiting", "failed": "failed"}.get(job["state"], str(job["state"]))


def _trouble(job: Mapping[str, Any]) -> list[Component]:
    error = job.get("error")
    if job["state"] != "failed" or not error:
        return []
    return [html.Div(str(error[1]), className="trouble")]


def progress_words(job: Mapping[str, Any]) -> str:
    """How far a job is, and how fast it goes."""
    words = f"{job['done']:,} of {job['total']:,}" if job.get("total") else ""
    if job["state"] == "running" and job.get("rate"):
        words += f" · {job['rate']:,.0f} a second"
    return words or (str(job.get("note") or "") if job["state"] == "running" else "")


@PANELS.register("jobs")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    app.callback(Output(ids.JOBS_PAGE, "children"), Input(ids.TICK, "data"), Input(ids.PAGE, "data"))(
        partial(table, service)
    )
