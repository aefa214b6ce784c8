"""How the panels write the names of models and image sets, and moments."""

from datetime import UTC, datetime
from pathlib import PurePath


def base_name(source: str) -> str:
    """Name of a model or image source, without the folders in front of it."""
    return PurePath(source).name or source


def moment(seconds: float | None, form: str = "%Y-%m-%d %H:%M UTC") -> str:
    """A moment in UTC, given in seconds since 1970; empty for None."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime(form)
