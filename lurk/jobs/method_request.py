"""A request for a picture or a map: one value from the page to the worker. Torch-free.

The page's request is read into a `MethodRequest`, the service completes it by what the method offers, and `spec` writes
it into a job, from which the worker reads it back. The key of its result is that of its `provenance`.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from lurk.errors import LurkError
from lurk.method_spec import MethodSpec
from lurk.records import JobSpec, Provenance, Scalar, canonical

Kind = Literal["picture", "pictures", "map", "maps", "sanity"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TARGETS = ("maximum", "map", "class")
DEFAULT_PICTURE = "gradient_ascent"
SANITY_VERSION = 1
MOST_UNITS = 64
MOST_IMAGES = 64


@dataclass(frozen=True)
class MethodRequest:
    """A request for the picture of a unit or of several, for its map on an image or on several, or a sanity check.

    Args:
        kind: `picture`, `pictures`, `map`, `maps` or `sanity`, which is that of a map.
        layer: Name of the layer.
        units: Channel numbers; one, but for `pictures`.
        method: Name of the method.
        version: Version of the method; 0 until `completed`.
        options: (name, value) pairs, sorted by name when made; once `completed`, a value for each of the method's.
        image: Number of the image, for `map` and `sanity`.
        images: Numbers of the images, for `maps`.
        target: What a map explains: `maximum`, `map` or `class`; empty for pictures.
    """

    kind: Kind
    layer: str
    units: tuple[int, ...]
    method: str = DEFAULT_PICTURE
    version: int = 0
    options: tuple[tuple[str, Scalar], ...] = field(default=())
    image: int | None = None
    target: str = ""
    images: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(sorted(dict(self.options).items())))

    @property
    def is_map(self) -> bool:
        """Whether it is about maps, and not about pictures."""
        return self.kind in ("map", "maps", "sanity")

    @property
    def images_asked(self) -> tuple[int, ...]:
        """The images that it is about; none for pictures."""
        return self.images if self.kind == "maps" else () if self.image is None else (self.image,)

    def of_each_image(self) -> list["MethodRequest"]:
        """A request for `maps` as one for the map on each image; any other as it is."""
        if self.kind != "maps":
            return [self]
        return [replace(self, kind="map", image=image, images=()) for image in dict.fromkeys(self.images)]

    def completed(self, method: MethodSpec) -> "MethodRequest":
        """The request with the method's version and a value for each of its options.

        Args:
            method: What the method declares, for the study's model.

        Returns:
            The request that `spec` and `provenance` take.

        Raises:
            LurkError: The method does not work for the model, does not give that, or an option does not fit.
        """
        if method.refusal:
            raise LurkError(f"{method.label} cannot be had for this model: {method.refusal}")
        if "unit" not in method.needs or ("image" in method.needs) != (method.gives == "map"):
            raise LurkError(f"{method.label} shows no unit; use it with lurk visualize or from Python")
        if self.is_map != (method.gives == "map"):
            raise LurkError(f"{self.method} gives no {self.kind}")
        if self.is_map and (self.images_asked == () or self.target not in TARGETS):
            raise LurkError(f"a map needs an image and a target: maximum, map or class, not {self.target[:40]!r}")
        if len(self.images_asked) > MOST_IMAGES:
            raise LurkError(f"maps of at most {MOST_IMAGES} images can be asked for at once, not {len(self.images)}")
        if self.target == "class" and method.no_class:
            raise LurkError(f"no class can be explained: {method.no_class}")
        most = MOST_UNITS if self.kind == "pictures" else 1
        if not 1 <= len(self.units) <= most:
            raise LurkError(f"from 1 to {most} units can be asked for at once, not {len(self.units)}")
        options = tuple(method.read(dict(self.options)).items())
        request = replace(self, version=method.version, options=options)
        return request if self.is_map else replace(request, image=None, images=(), target="")

    def spec(self, sweep: JobSpec, index: str) -> JobSpec:
        """The job that does what is requested.

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
        if self.kind == "maps":
            own["images"] = ",".join(map(str, self.images))
        return JobSpec(self.kind, sweep.study, (*sweep.parameters, *own.items()))

    @classmethod
    def from_spec(cls, spec: JobSpec) -> "MethodRequest":
        """Read what `spec` wrote."""
        return cls(
            kind=spec.kind,  # type: ignore[arg-type]  # a spec of one of these kinds
            layer=str(spec.get("layer")),
            units=tuple(int(unit) for unit in str(spec.get("units")).split(",") if unit),
            method=str(spec.get("method")),
            version=int(spec.get("version") or 0),
            options=tuple(json.loads(str(spec.get("options"))).items()),
            image=None if spec.get("image") is None else int(spec.get("image") or 0),
            target=str(spec.get("target") or ""),
            images=tuple(int(image) for image in str(spec.get("images") or "").split(",") if image),
        )

    def provenance(self, swept: Provenance, unit: int | None = None) -> Provenance:
        """Where the result for a unit comes from; its key is the result's.

        Args:
            swept: Provenance of the index.
            unit: Channel number; by default the first.

        Returns:
            The provenance, the same whether a unit was requested alone or with others.
        """
        parameters: dict[str, Scalar] = {f"option {name}": value for name, value in self.options}
        parameters |= {"layer": self.layer, "unit": self.units[0] if unit is None else unit}
        parameters |= {"image": self.image, "target": self.target} if self.target else {}
        if self.kind == "sanity":
            parameters["sanity"] = SANITY_VERSION
        seed = dict(self.options).get("seed")
        return replace(
            swept,
            method=self.method,
            method_version=self.version,
            parameters=tuple(sorted(parameters.items())),
            seed=seed if isinstance(seed, int) else None,
        )


def preview_key(result: str) -> str:
    """Key in the store of images of a picture that is still being drawn, by the key of its result."""
    return f"preview/{result}"
