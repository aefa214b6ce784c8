"""Callbacks and attributes that the scripts in `assets/` handle."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State


def bind(app: Dash, function: str, *parts: Output | Input | State, at_start: bool = True) -> None:
    """Bind a function of the scripts to an app as a callback.

    Args:
        app: The app.
        function: Name of the function in `window.dash_clientside.lurk`.
        *parts: Outputs, inputs and states, as for a callback.
        at_start: Whether it is called when the page opens.
    """
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash leaves it untyped
        ClientsideFunction("lurk", function), *parts, prevent_initial_call=not at_start
    )


def attributes(label: str = "", **data: str) -> dict[str, Any]:
    """Attributes that Dash's components take without naming them: `aria-label`, and others with `_` for `-`."""
    named = {"aria-label": label} if label else {}
    return named | {name.replace("_", "-"): value for name, value in data.items()}
