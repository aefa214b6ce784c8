"""Results of methods as the page shows them: plain values, ready to be written as JSON. Torch-free."""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from lurk.jobs.method_request import DEFAULT_PICTURE, MethodRequest, preview_key
from lurk.service.colormaps import MODES, Floats, scale
from lurk.service.urls import Address, map_url, opacity_url, picture_url, preview_url, tile_url
from lurk.storage.histogram import share_below
from lurk.storage.index import Index
from lurk.storage.render_store import Renders
from lurk.storage.results import Result, read_offers, read_result
from lurk.storage.webp import COLOURS

SCALES_KEPT = 256


def result_view(index: Index, request: MethodRequest) -> dict[str, Any] | None:
    """The result of a request.

    Args:
        index: The index that it is about.
        request: A request for a picture, a map or a sanity check.

    Returns:
        Its figures and the addresses of its images; None if it is not stored, and for the pictures of several units.
        For maps, `maps` with those that are stored, by the number of the image.
    """
    if request.kind == "pictures":
        return None
    if request.kind == "maps":
        each = {str(one.image): result_view(index, one) for one in request.of_each_image()}
        return {"maps": {image: found for image, found in each.items() if found is not None}}
    key = request.provenance(index.manifest.provenance).key
    found = read_result(index.folder, key)
    if found is None:
        return None
    shared = {
        "method": request.method,
        "options": dict(request.options),
        "seconds": found.figures.get("seconds"),
        "provenance": found.provenance,
    }
    if request.kind == "picture":
        return _picture(index, request, key, found) | shared
    return (_map if request.kind == "map" else _sanity)(index, key, found) | shared


def _picture(index: Index, request: MethodRequest, key: str, found: Result) -> dict[str, Any]:
    layer, unit = request.layer, request.units[0]
    record = index.unit(layer, unit)
    best = {
        "best_real_max": record.hits_max[0].score if record.hits_max else None,
        "best_real_mean": record.hits_mean[0].score if record.hits_mean else None,
        "best_real_before": record.hits_max[0].before if record.hits_max else None,
    }
    has_opacity = found.figures["has_opacity"]
    return {
        "pictures": [
            {
                "url": picture_url(index.key, key, number),
                "opacity_url": opacity_url(index.key, key, number) if has_opacity else None,
                "percentile": share_below(index, layer, unit, reached["reached_max"]),
                **reached,
                **best,
            }
            for number, reached in enumerate(found.figures["pictures"])
        ]
    }


def _map(index: Index, key: str, found: Result) -> dict[str, Any]:
    try:
        stamp = (found.folder / "map.npy").stat().st_mtime_ns
        scales, alone = _scales(found.folder, float(found.figures["scale"]), stamp)
    except (OSError, ValueError):
        scales, alone = {}, []
    return {
        "url": map_url(index.key, key),
        "modes": list(MODES),
        "scales": scales,
        "channel_scales": alone,
        "silent": not found.figures["scale"],
        "why_silent": _why_silent(found),
        **{name: found.figures[name] for name in ("value", "where", "row", "col", "label", "label_name")},
    }


def _why_silent(found: Result) -> str:
    """Why a map is zero everywhere; empty if it is not."""
    if found.figures["scale"]:
        return ""
    if found.figures.get("note"):
        return str(found.figures["note"])
    if found.figures["value"] == 0:
        return "what it explains is 0 on this image"
    return "by this method, no pixel changes what it explains"


@lru_cache(SCALES_KEPT)
def _scales(folder: Path, magnitude: float, _stamp: int) -> tuple[dict[str, list[float]], list[dict[str, list[float]]]]:
    """Scales of a map by mode, and those of each channel alone; of the file as it was at a time."""
    values = stored_map(Result(folder, {}, {"scale": magnitude}))
    return {mode: list(scale(values, mode)) for mode in MODES}, _channel_scales(values)


def _channel_scales(values: Floats) -> list[dict[str, list[float]]]:
    """Scales of each channel alone, by mode; none for colours and for grey, which are not shown one by one."""
    if len(values) in COLOURS:
        return []
    return [
        {mode: list(scale(values[channel : channel + 1], mode)) for mode in MODES} for channel in range(len(values))
    ]


def stored_map(found: Result) -> Floats:
    """The values of a map, float32 (c, h, w); raises OSError or ValueError if they cannot be read."""
    values: Floats = found.array("map").astype("float32") * float(found.figures["scale"])
    return values


def _sanity(index: Index, key: str, found: Result) -> dict[str, Any]:
    figures = {name: found.figures[name] for name in ("similarity", "agreement", "warning")}
    return {"randomised": _map(index, key, found), **figures}


def default_pictures(index: Index, layer: str, units: Sequence[int], renders: Renders) -> dict[str, Address]:
    """Addresses of the default pictures: tiles of those that are stored, previews of those that are being drawn.

    Args:
        index: The study's index.
        layer: Name of the layer.
        units: Channel numbers; those that the layer does not have are left out.
        renders: Where previews are.

    Returns:
        Addresses by unit.
    """
    method = next((one for one in read_offers(index.folder) if one.name == DEFAULT_PICTURE), None)
    info = index.layer(layer)
    if method is None:
        return {}
    options = tuple(method.read({}).items())
    request = MethodRequest("picture", layer, (0,), method.name, method.version, options)
    urls = {unit: _tile_or_preview(index, request, unit, renders) for unit in units if unit < info.units}
    return {str(unit): url for unit, url in urls.items() if url}


def _tile_or_preview(index: Index, request: MethodRequest, unit: int, renders: Renders) -> Address | None:
    key = request.provenance(index.manifest.provenance, unit).key
    if read_result(index.folder, key) is not None:
        return tile_url(index.key, key)
    return preview_address(key, renders)


def preview_address(key: str, renders: Renders) -> Address | None:
    """Address of the preview of a picture that is being drawn, another one for each preview.

    Args:
        key: Key of the picture's result.
        renders: Where previews are.

    Returns:
        The address; None if there is no preview.
    """
    preview = renders.get(preview_key(key))
    return preview_url(key, f"{zlib.crc32(preview):08x}") if preview else None
