"""A layer as a notebook shows it: its record, its numbers as arrays over units, and its grid."""

from typing import TYPE_CHECKING

import numpy as np

from lurk.errors import LurkError
from lurk.library.copies import same_fields
from lurk.records import Floats, Ints, LayerInfo, UnitState

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from lurk.library.index import Index
    from lurk.library.unit import Kind


class Layer(LayerInfo):
    """A layer: a `LayerInfo` with arrays over its units; in Jupyter it shows its grid.

    Axes: u units, k hits, y classes.

    >>> layer = index.layer("layer1.0.conv1")  # doctest: +SKIP
    >>> layer.scores("max").shape, layer.class_means("max").shape  # doctest: +SKIP
    ((64, 9), (64, 40))
    """

    _index: "Index | None" = None

    @property
    def index(self) -> "Index":
        """The index that the layer is of; LurkError for a copy that `dataclasses.replace` has made."""
        if self._index is None:
            raise LurkError("a changed copy of a layer has no units; take the layer from index.layer(name)")
        return self._index

    def images(self, kind: "Kind" = "max") -> Ints:
        """Images of the top lists, int64 (u, k), best first; -1 where a list is shorter."""
        return self._hits(kind, "image", -1).astype(np.int64)

    def scores(self, kind: "Kind" = "max") -> Floats:
        """Scores of the top lists, float64 (u, k), best first; NaN where a list is shorter."""
        return self._hits(kind, "score", np.nan)

    def before(self, kind: "Kind" = "max") -> Floats:
        """Values that enter the activation function of the top lists, float64 (u, k); NaN where none follows."""
        return self._hits(kind, "before", np.nan)

    def positions(self, kind: "Kind" = "max") -> Ints:
        """Row and column of the maximum in each image of the top lists, int64 (u, k, 2); -1 where a list is shorter."""
        flat = self._hits(kind, "position", -1).astype(np.int64)
        pairs = np.stack(np.divmod(flat, self.grid[1]), axis=-1)
        pairs[flat < 0] = -1
        return pairs

    def _hits(self, kind: str, part: str, empty: float) -> Floats:
        """A part of the top lists, float64 (u, k), with a value for the places where a list is shorter."""
        index = self.index
        if kind not in ("max", "mean"):
            raise LurkError(f"images are ranked by 'max' or by 'mean', not by {kind!r}"[:120])
        if not index.manifest.generation:
            return np.full((self.units, 0), empty)
        found = np.array(index.rows(f"top_{kind}_{part}", self.name), np.float64)
        none = np.asarray(index.rows(f"top_{kind}_image", self.name)) < 0
        none |= np.array([state == "constant" for state in self.states])[:, None]  # its images are all the same to it
        found[none] = empty
        return found

    @property
    def states(self) -> list[UnitState]:
        """State of each unit."""
        return self.index.stored.states(self.name)

    @property
    def fraction_positive(self) -> Floats:
        """Share of positions above 0, float64 (u,)."""
        return self.index.stored.fraction_positive(self.name)

    @property
    def selectivity(self) -> Floats:
        """Selectivity index over classes, float64 (u,): (best - rest) / (|best| + |rest|)."""
        return self.index.stored.selectivity(self.name)

    @property
    def means(self) -> Floats:
        """Mean over all positions of all images, float64 (u,); NaN before the first checkpoint."""
        return self._moments()[0]

    @property
    def stds(self) -> Floats:
        """Standard deviation over all positions of all images, float64 (u,); NaN before the first checkpoint."""
        return self._moments()[1]

    def _moments(self) -> tuple[Floats, Floats]:
        index = self.index
        if not index.manifest.generation:
            return np.full(self.units, np.nan), np.full(self.units, np.nan)
        counts = np.asarray(index.rows("distribution_counts", self.name), np.float64)[:, 0]
        moments = np.asarray(index.rows("distribution_moments", self.name), np.float64)
        seen = np.where(counts > 0, counts, np.nan)
        return np.where(counts > 0, moments[:, 0], np.nan), np.sqrt(moments[:, 1] / seen)

    def class_means(self, kind: "Kind" = "max") -> Floats:
        """Mean score over the images of each class, float64 (u, y); NaN for a class without images."""
        return self.index.class_profile(self.name)[:, :, 0 if kind == "max" else 1, 0]

    def class_stds(self, kind: "Kind" = "max") -> Floats:
        """Sample deviation (n - 1) of the score over the images of each class, float64 (u, y)."""
        return self.index.class_profile(self.name)[:, :, 0 if kind == "max" else 1, 1]

    def plot_grid(self) -> "Figure":
        """Draw the grid of the layer's units, each as the patch that excites it most, as a Plotly figure."""
        from lurk.library.pictures import unit_grid

        return unit_grid(self)

    def _repr_html_(self) -> str:
        from lurk.library.cards import layer_card

        return layer_card(self)

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other, LayerInfo)

    __hash__ = LayerInfo.__hash__
