"""What is asked of a method: from the page to a job spec, and from there to the key of its result. Torch-free."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from lurk.errors import LurkError
from lurk.method_spec import MethodSpec
from lurk.records import JobSpec, Provenance, Scalar, canonical

Kind = Literal["picture", "pictures", "map", "sanity"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DEFAULT_PICTURE = "gradient_ascent"
SANITY_VERSION = 1
MOST_UNITS = 64


@dataclass(frozen=True)
class Ask:
    """One request: a unit's picture, the pictures of several units, a map, or a map's sanity check.

    Args:
        kind: `picture`, `pictures`, `map` or `sanity`.
        layer: Name of the layer.
        units: Channel numbers; one, but for `pictures`.
        method: Name of the method.
        version: Version of the method.
        options: A value for each of the method's options, sorted by name when made.
        image: Number of the image, None for pictures that need none.
        target: What a map explains: `maximum`, `map` or `class`; empty for pictures.
    """

    kind: Kind
    layer: str
    units: tuple[int, ...]
    method: str
    version: int
    options: tuple[tuple[str, Scalar], ...] = field(default=())
    image: int | None = None
    target: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(sorted(dict(self.options).items())))

    def spec(self, sweep: JobSpec, index: str) -> JobSpec:
        """The job that does what is asked.

        Args:
            sweep: The job of the study's sweep, which says how to load model and images.
            index: Key of the index whose weights and images are meant.

        Returns:
            The spec.
        """
        own: dict[str, Scalar] = {
            "index": index,
            "layer": self.layer,
            "unit": self.units[0] if len(self.units) == 1 else None,
            "units": ",".join(map(str, self.units)),
            "method": self.method,
            "version": self.version,
            "options": canonical(dict(self.options)),
            "image": self.image,
            "target": self.target,
        }
        return JobSpec(self.kind, sweep.study, (*sweep.parameters, *own.items()))

    @classmethod
    def from_spec(cls, spec: JobSpec) -> "Ask":
        """Read what `spec` made."""
        return cls(
            kind=spec.kind,  # type: ignore[arg-type]  # a spec of one of these kinds
            layer=str(spec.get("layer")),
            units=tuple(int(unit) for unit in str(spec.get("units")).split(",") if unit),
            method=str(spec.get("method")),
            version=int(spec.get("version") or 0),
            options=tuple(json.loads(str(spec.get("options"))).items()),
            image=None if spec.get("image") is None else int(spec.get("image") or 0),
            target=str(spec.get("target") or ""),
        )

    def provenance(self, swept: Provenance, unit: int | None = None) -> Provenance:
        """Where the result for a unit comes from; its key is the result's.

        Args:
            swept: Provenance of the index.
            unit: Channel number; by default the first.

        Returns:
            The provenance, the same whether a unit was asked for alone or with others.
        """
        asked: dict[str, Scalar] = {f"option {name}": value for name, value in self.options}
        asked |= {"layer": self.layer, "unit": self.units[0] if unit is None else unit}
        asked |= {"image": self.image, "target": self.target} if self.target else {}
        if self.kind == "sanity":
            asked["sanity"] = SANITY_VERSION
        seed = dict(self.options).get("seed")
        return replace(
            swept,
            method=self.method,
            method_version=self.version,
            parameters=tuple(sorted(asked.items())),
            seed=seed if isinstance(seed, int) else None,
        )


def ask(
    offer: MethodSpec,
    layer: str,
    units: tuple[int, ...],
    options: Mapping[str, object],
    *,
    image: int | None,
    target: str,
) -> Ask:
    """Make a request of an offer.

    Args:
        offer: The method's offer.
        layer: Name of the layer.
        units: Channel numbers.
        options: Options by name; those that are missing take their default.
        image: Number of the image; for a map.
        target: `maximum`, `map` or `class`; for a map.

    Returns:
        The request, a `picture`, `pictures` or `map`.

    Raises:
        LurkError: The method cannot be had for the model, or does not give that, or an option does not fit.
    """
    if offer.refusal:
        raise LurkError(f"{offer.label} cannot be had for this model: {offer.refusal}")
    is_map = offer.gives == "map"
    if "unit" not in offer.needs or ("image" in offer.needs) != is_map:
        raise LurkError(f"{offer.label} shows no unit; use it with lurk visualize or from Python")
    if is_map and (image is None or target not in ("maximum", "map", "class")):
        raise LurkError(f"a map needs an image and a target: maximum, map or class, not {target[:40]!r}")
    if not 1 <= len(units) <= MOST_UNITS:
        raise LurkError(f"from 1 to {MOST_UNITS} units can be asked for at once, not {len(units)}")
    kind: Kind = "map" if is_map else "picture" if len(units) == 1 else "pictures"
    read = tuple(offer.read(options).items())
    return Ask(kind, layer, units, offer.name, offer.version, read, image if is_map else None, target if is_map else "")
