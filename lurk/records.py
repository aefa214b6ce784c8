"""Frozen values without torch that processes exchange, that lie on disk, and that pages and scripts get."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Literal

import numpy as np

VERSION = "0.2.0"
Box = tuple[int, int, int, int]
Scalar = str | int | float | bool | None
UnitState = Literal["ok", "dead", "always_on", "saturated", "constant"]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def canonical(value: object) -> str:
    """Write a value as JSON text that is the same for equal values: sorted keys, no white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def printable(text: str) -> str:
    """A text with `?` in place of what is no Unicode, such as in a file's name that another system gave."""
    return text.encode("utf-8", "replace").decode()


def counted(count: int, noun: str) -> str:
    """How many there are of something.

    >>> [counted(count, "image") for count in (0, 1, 1200)]
    ['0 images', '1 image', '1,200 images']
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def digest(value: object) -> str:
    """Hash a JSON value: 32 hexadecimal digits of the SHA-256 of its canonical text."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]


def software() -> tuple[tuple[str, str], ...]:
    """(package, version) of each package that results depend on, sorted by name; this package comes last."""
    packages = ("numpy", "pillow", "torch", "torchvision")
    return (*((name, version(name)) for name in packages), ("torchlurk", VERSION))


@dataclass(frozen=True, order=True)
class UnitRef:
    """One unit: a channel of a layer."""

    layer: str
    unit: int


@dataclass(frozen=True)
class LayerInfo:
    """What a layer is, for the model's own input size.

    Args:
        name: Dotted module name; the second call of a module in one forward pass is `name:2`.
        kind: Class name of the module.
        units: Number of channels.
        shape: Shape of one image's output, without the batch axis.
        receptive_field: (rows, columns) in pixels; None if a position sees the whole image.
        jump: (rows, columns) in pixels between the boxes of neighbouring positions; None without a receptive field.
        tap: `post`, the value after the normalisation and activation that directly follow, or `raw`, the module's
            own output, if the model's graph could not be traced.
        offset: (row, column) in pixels of the top left of position (0, 0)'s box; None without a receptive field.
        grid: (rows, columns) of positions.
        bound: Upper bound of the activation function (6.0 for ReLU6); None if it has none.
        lower_bound: Its lower bound if it is bounded at both ends and no rectifier (-1.0 for tanh); else None.
        activation: Name of the activation function that gives the score, such as `relu6`; None if none is known.
        rectified: Whether that function is a rectifier: never below 0, and exactly 0 where the unit is inactive. Only
            then a unit can be `dead` or `always_on`.
        class_scores: Whether the layer's units are the model's class scores.
        heads: Whether the layer's units are attention heads, and their values the norms of what they write.
        words: What the module does, such as `3×3 convolution, stride 2`; empty if there are no words for it.
    """

    name: str
    kind: str
    units: int
    shape: tuple[int, ...]
    receptive_field: tuple[float, float] | None
    jump: tuple[float, float] | None
    tap: Literal["post", "raw"]
    offset: tuple[float, float] | None = None
    grid: tuple[int, int] = (1, 1)
    bound: float | None = None
    lower_bound: float | None = None
    activation: str | None = None
    rectified: bool = False
    class_scores: bool = False
    heads: bool = False
    words: str = ""

    def box(self, row: int, col: int, size: tuple[int, int]) -> Box:
        """Box of input pixels that can change a position.

        Args:
            row: Row of the position.
            col: Column of the position.
            size: (height, width) of the preprocessed input in pixels, which is the box without a receptive field.

        Returns:
            Half-open (row0, col0, row1, col1) in pixels of the preprocessed input; it may reach into the padding.
        """
        if self.receptive_field is None or self.jump is None or self.offset is None:
            return (0, 0, size[0], size[1])
        top = self.offset[0] + row * self.jump[0]
        left = self.offset[1] + col * self.jump[1]
        height, width = self.receptive_field
        return (math.floor(top), math.floor(left), math.ceil(top + height), math.ceil(left + width))


@dataclass(frozen=True)
class Hit:
    """One image in a unit's top list.

    Args:
        image: Position in the image set's sorted order.
        path: Path below the image set's folder, or the data set's own name for the image.
        label: Class number; None if the image has no class.
        score: Raw float32 value of the unit: its spatial max or its spatial mean.
        row: Row of the position of the maximum.
        col: Column of the position of the maximum.
        box: Half-open (row0, col0, row1, col1) in pixels of the preprocessed input.
        before: The value that enters the monotone activation function which gives the score, its spatial max or its
            spatial mean, float32; None if no such function follows. Hits are in its order where scores are equal.
    """

    image: int
    path: str
    label: int | None
    score: float
    row: int
    col: int
    box: Box
    before: float | None = None


@dataclass(frozen=True)
class UnitRecord:
    """What a sweep measures of one unit; `class_*` are arrays over classes, NaN for a class without images.

    Args:
        layer: Name of the layer.
        unit: Channel number.
        hits_max: The images with the highest spatial max, best first; none for a constant unit.
        hits_mean: The images with the highest spatial mean, best first; none for a constant unit.
        class_count: int64 (y,), images of each class.
        class_max: float64 (y,), mean over the class's images of the spatial max.
        class_mean: float64 (y,), mean over the class's images of the spatial mean.
        class_max_std: float64 (y,), sample standard deviation (n - 1) of the spatial max.
        class_mean_std: float64 (y,), sample standard deviation (n - 1) of the spatial mean.
        count: Positions seen, over all images.
        mean: Mean over all positions of all images.
        std: Standard deviation over all positions of all images.
        fraction_positive: Share of positions above 0, in [0, 1].
        quantiles: Value at each probability, from the sketch.
        state: `constant` if it has the same value at every position of every image, before its activation function too;
            behind a rectifier `dead` if never above 0, `always_on` if above 0 at 99.9 % of positions or more;
            `saturated` if at a bound of its activation function at half of its active positions or more, which behind a
            rectifier are those above 0; else `ok`.
    """

    layer: str
    unit: int
    hits_max: tuple[Hit, ...]
    hits_mean: tuple[Hit, ...]
    class_count: Ints
    class_max: Floats
    class_mean: Floats
    class_max_std: Floats
    class_mean_std: Floats
    count: int
    mean: float
    std: float
    fraction_positive: float
    quantiles: Mapping[float, float]
    state: UnitState


@dataclass(frozen=True)
class Provenance:
    """What determines a result; if any of it changes, the result is computed again.

    Args:
        weight_hash: SHA-256 of the weights.
        model: Model source, as the user gave it.
        weights: `pretrained`, `untrained`, or the name of the weights file.
        preprocessing: Text that identifies the preprocessing.
        image_set: Fingerprint of the image set.
        method: `sweep`, or the name of a method.
        method_version: Version of that method, raised when its results change.
        parameters: The method's parameters, as (name, value) pairs sorted by name.
        software: (package, version) pairs sorted by name.
        seed: Seed of the random numbers; None if there are none.
    """

    weight_hash: str
    model: str
    weights: str
    preprocessing: str
    image_set: str
    method: str
    method_version: int
    parameters: tuple[tuple[str, Scalar], ...] = ()
    software: tuple[tuple[str, str], ...] = ()
    seed: int | None = None

    @property
    def key(self) -> str:
        """Identity of the result: 32 hexadecimal digits."""
        return digest(asdict(self))


@dataclass(frozen=True)
class JobSpec:
    """What a job has to do; equal specs are one job.

    Args:
        kind: `sweep`, `verify`, …: a name in the table of tasks.
        study: Name of the study.
        parameters: (name, value) pairs, which are sorted by name.
    """

    kind: str
    study: str
    parameters: tuple[tuple[str, Scalar], ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(sorted((str(k), v) for k, v in self.parameters)))

    @property
    def key(self) -> str:
        """Identity of the job: 32 hexadecimal digits of the hash of the canonical spec."""
        return digest(self.to_json())

    def get(self, name: str) -> Scalar:
        """Value of a parameter; None if it is not set."""
        return dict(self.parameters).get(name)

    def to_json(self) -> dict[str, object]:
        """JSON form, read back by `from_json`."""
        return {"kind": self.kind, "study": self.study, "parameters": dict(self.parameters)}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "JobSpec":
        """Read the JSON form; a part that is missing or of the wrong type is a ValueError."""
        kind, study, parameters = value.get("kind"), value.get("study"), value.get("parameters")
        if not isinstance(kind, str) or not isinstance(study, str) or not isinstance(parameters, Mapping):
            raise ValueError("a job spec has a kind, a study and parameters")
        return cls(kind, study, tuple(parameters.items()))
