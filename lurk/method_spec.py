"""A method as plain data: the page and the command line are built from it. Torch-free."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Literal

from lurk.errors import LurkError
from lurk.records import Scalar

Gives = Literal["picture", "map"]
Need = Literal["layer", "unit", "image", "class", "images"]


@dataclass(frozen=True)
class Option:
    """One option of a method.

    Args:
        name: Name in scripts, addresses and on the command line.
        default: Its value if none is given; its type is the option's type.
        help: What it does, in a line.
        low: Lowest number allowed, or None for no bound.
        high: Highest number allowed, or None for no bound.
        choices: The texts allowed; empty if any text is.
    """

    name: str
    default: Scalar
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def read(self, value: object) -> Scalar:
        """Check a value and bring it into the option's type.

        Args:
            value: The value, or its text.

        Returns:
            The value in the option's type.

        Raises:
            LurkError: The value is not of the option's type, or out of its range.
        """
        if self.choices:
            if value not in self.choices:
                raise LurkError(f"{self.name} is one of {', '.join(self.choices)}, not {str(value)[:40]!r}")
            return str(value)
        if isinstance(self.default, bool):
            return self._switch(value)
        if isinstance(self.default, (int, float)):
            return self._number(value, type(self.default))
        if not isinstance(value, str):
            raise LurkError(f"{self.name} is a text, not {str(value)[:40]!r}")
        return value

    def _switch(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() not in ("true", "false"):
            raise LurkError(f"{self.name} is true or false, not {str(value)[:40]!r}")
        return str(value).lower() == "true"

    def _number(self, value: object, kind: type[int] | type[float]) -> int | float:
        try:
            if isinstance(value, bool) or not isinstance(value, (Real, str)):
                raise ValueError
            number = kind(value)  # type: ignore[arg-type]  # int() and float() take any real number
            if not math.isfinite(number) or (kind is int and number != float(value)):
                raise ValueError
        except (ValueError, OverflowError):
            words = "a whole number" if kind is int else "a number"
            raise LurkError(f"{self.name} is {words}, not {str(value)[:40]!r}") from None
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            low = "" if self.low is None else f" from {self.low:g}"
            high = "" if self.high is None else f" to {self.high:g}"
            raise LurkError(f"{self.name} is a number{low}{high}, not {number:g}")
        return number


@dataclass(frozen=True)
class MethodSpec:
    """What the page and the command line know of a method.

    Args:
        name: Name in scripts and addresses.
        label: What the page calls it.
        shows: What is seen, in a line of plain words.
        gives: A `picture` in [0, 1], or a `map` with a value for each pixel of an image.
        needs: What it takes: a `layer`, a `unit` of it, an `image`, a `class`, the `images` of the image set.
        paper: Authors, title, year and arXiv number.
        version: Raised when the method's results change.
        signed: Whether the sign of a map's values means something.
        caution: How it misleads, in a line.
        options: Its options.
        refusal: Why it does not work for this model; empty if it does.
        no_class: Why its maps cannot explain a class of this model; empty if they can.
        many_passes: Whether it runs the network many times for each image, so that its maps take long.
        draft: Options that make its maps coarse and quick, by name; empty if there are none.
    """

    name: str
    label: str
    shows: str
    gives: Gives
    needs: tuple[Need, ...]
    paper: str
    version: int = 1
    signed: bool = False
    caution: str = ""
    options: tuple[Option, ...] = ()
    refusal: str = ""
    no_class: str = ""
    many_passes: bool = False
    draft: tuple[tuple[str, Scalar], ...] = ()

    def read(self, given: Mapping[str, object]) -> dict[str, Scalar]:
        """Check options and fill in the defaults.

        Args:
            given: Values by name; those that are missing or None take their default.

        Returns:
            A value for every option, in the order of the options.

        Raises:
            LurkError: There is no such option, or a value does not fit.
        """
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                raise LurkError(f"{self.name} has no option {name!r}; it has: {', '.join(known) or 'none'}")
        values = {name: value for name, value in given.items() if value is not None}
        return {name: option.read(values[name]) if name in values else option.default for name, option in known.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, which `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "MethodSpec":
        """Read the JSON form; a part that is missing or of the wrong type raises TypeError or KeyError."""
        options = tuple(
            Option(**{**option, "choices": tuple(option["choices"])}) for option in value.get("options", ())
        )
        draft = tuple((name, chosen) for name, chosen in value.get("draft", ()))
        return cls(**{**value, "options": options, "needs": tuple(value["needs"]), "draft": draft})
