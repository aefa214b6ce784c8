"""What the page shows of a request and of its result: plain values, ready to be written as JSON. Torch-free."""

from typing import Any

from lurk.jobs.method_request import Ask
from lurk.service.colormaps import MODES, Floats, scale
from lurk.storage.histogram import share_below
from lurk.storage.index import Index
from lurk.storage.results import Result, read_result


def outcome(index: Index, asked: Ask) -> dict[str, Any] | None:
    """The result of a request.

    Args:
        index: The index that it is about.
        asked: A request for a picture, a map or a sanity check.

    Returns:
        Its figures and the addresses of its images; None where it is not there, and for several pictures at once.
    """
    if asked.kind == "pictures":
        return None
    key = asked.provenance(index.manifest.provenance).key
    found = read_result(index.folder, key)
    if found is None:
        return None
    shared = {
        "method": asked.method,
        "options": dict(asked.options),
        "seconds": found.figures.get("seconds"),
        "provenance": found.provenance,
    }
    if asked.kind == "picture":
        return _picture(index, asked, key, found) | shared
    return (_map if asked.kind == "map" else _sanity)(index, key, found) | shared


def _picture(index: Index, asked: Ask, key: str, found: Result) -> dict[str, Any]:
    record = index.unit(asked.layer, asked.units[0])
    best = {
        "best_real_max": record.hits_max[0].score if record.hits_max else None,
        "best_real_mean": record.hits_mean[0].score if record.hits_mean else None,
    }
    pictures = []
    for number, reached in enumerate(found.figures["pictures"]):
        pictures.append(
            {
                "url": picture_url(index, key, number),
                "opacity_url": f"/media/{index.key}/opacity/{key}/{number}" if found.figures["has_opacity"] else None,
                "percentile": share_below(index, asked.layer, asked.units[0], reached["reached_max"]),
                **reached,
                **best,
            }
        )
    return {"pictures": pictures}


def picture_url(index: Index, key: str, number: int = 0, *, tile: bool = False) -> str:
    """Address of a picture of a result, whole or as a tile of the grid."""
    return f"/media/{index.key}/picture/{key}/{number}" + ("/tile" if tile else "")


def _map(index: Index, key: str, found: Result) -> dict[str, Any]:
    try:
        values = stored_map(found)
        scales = {mode: list(scale(values, mode)) for mode in MODES}
    except (OSError, ValueError):
        scales = {}
    told = dict(found.figures)
    return {
        "url": f"/media/{index.key}/map/{key}/{{mode}}/{{boost}}/{{gamma}}",
        "modes": list(MODES),
        "scales": scales,
        "silent": not told["scale"],
        **{name: told[name] for name in ("value", "where", "row", "col", "label", "label_name")},
    }


def stored_map(found: Result) -> Floats:
    """The values of a map, float32 (c, h, w); an OSError or ValueError where they cannot be read."""
    values: Floats = found.array("map").astype("float32") * float(found.figures["scale"])
    return values


def _sanity(index: Index, key: str, found: Result) -> dict[str, Any]:
    told = found.figures
    return {
        "randomised": _map(index, key, found),
        "similarity": told["similarity"],
        "agreement": told["agreement"],
        "warning": told["warning"],
    }
