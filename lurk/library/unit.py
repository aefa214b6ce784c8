"""A unit as a notebook shows it: its record, with figures of what the page shows."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from lurk.errors import LurkError
from lurk.library.copies import same_fields
from lurk.records import UnitRecord
from lurk.service.unit_view import UnitView

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from lurk.library.index import Index

Kind = Literal["max", "mean"]


class Unit(UnitRecord):
    """A unit: a `UnitRecord` that draws itself; in Jupyter it shows its card.

    >>> unit = index.unit("layer1.0.conv1", 12)  # doctest: +SKIP
    >>> unit.plot_top(by="mean").show()  # doctest: +SKIP
    """

    _index: "Index | None" = None

    @cached_property
    def view(self) -> UnitView:
        """The unit as the page shows it: plain values, from which the figures are drawn."""
        return UnitView(self.index.stored, self.layer, self.unit)

    @property
    def index(self) -> "Index":
        """The index that the unit is of; LurkError for a copy that `dataclasses.replace` has made."""
        if self._index is None:
            raise LurkError("a changed copy of a unit has no figures; take the unit from index.unit(layer, unit)")
        return self._index

    def plot_top(self, by: Kind = "max") -> "Figure":
        """Draw the images that excite the unit most, with the patch outlined in each.

        Args:
            by: `max`, ranked by the unit's highest value in an image, or `mean`, by its mean.

        Returns:
            A Plotly figure.
        """
        from lurk.library.pictures import top_images

        return top_images(self, _checked(by))

    def plot_patches(self, by: Kind = "max") -> "Figure":
        """Draw the patches of the top images: exactly the pixels that can change the highest value.

        Args:
            by: `max`, ranked by the unit's highest value in an image, or `mean`, by its mean.

        Returns:
            A Plotly figure.
        """
        from lurk.library.pictures import patches

        return patches(self, _checked(by))

    def plot_classes(self, by: Kind = "max") -> "Figure":
        """Draw the 20 classes with the highest mean, with 95 % intervals; the dashed line is the mean over all classes.

        Args:
            by: `max`, the mean of the unit's highest value in each image, or `mean`, of its mean.

        Returns:
            A Plotly figure.
        """
        from lurk.library.charts import classes

        return classes(self, _checked(by))

    def plot_distribution(self) -> "Figure":
        """Draw how often the unit took which value, over all positions of all images, as a Plotly figure."""
        from lurk.library.charts import distribution

        return distribution(self)

    def plot_picture(self, *, device: str = "auto") -> "Figure":
        """Draw what the unit wants to see: the stored picture if there is one, else it is drawn now and stored.

        Args:
            device: Where a picture is drawn that is not stored: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

        Returns:
            A Plotly figure.

        Raises:
            LurkError: There is no stored picture, and the index does not know its model or the model has changed.
        """
        from lurk.library.drawn_picture import draw_picture
        from lurk.library.pictures import drawn_pictures

        return drawn_pictures(self, draw_picture(self.index, self.layer, self.unit, device))

    def _repr_html_(self) -> str:
        from lurk.library.cards import unit_card

        return unit_card(self)

    def __repr__(self) -> str:
        best = f", best {self.hits_max[0].score:.4g} in {self.hits_max[0].path!r}" if self.hits_max else ""
        return f"<Unit {self.unit} of {self.layer}: {self.state}{best}>"

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other, UnitRecord)

    def __hash__(self) -> int:
        return hash((self.layer, self.unit))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "view"}


def _checked(kind: str) -> Kind:
    if kind not in ("max", "mean"):
        raise LurkError(f"images are ranked by 'max' or by 'mean', not by {kind!r}"[:120])
    return kind  # type: ignore[return-value]  # one of the two
