import math
from fractions import Fraction

from lurk.graph.axes import Atom, regrouped
from lurk.graph.receptive_field import image_field


def test_view_splits_and_joins_axes_exactly() -> None:
    dims = image_field((2, 3, 8, 6)).dims
    split = regrouped(dims, (2, 3, 4, 2, 6))
    assert split is not None
    assert split[2] == (Atom("row", 4, Fraction(2)),)
    assert split[3] == (Atom("row", 2, Fraction(1)),)
    assert regrouped(split, (2, 3, 8, 6)) == dims
    flat = regrouped(dims, (2, 144))
    assert flat is not None
    assert math.prod(atom.size for atom in flat[1]) == 144


def test_view_across_an_uneven_cut_is_unknown() -> None:
    assert regrouped(image_field((2, 3, 8, 6)).dims, (2, 3, 5, 48)) is None
    assert regrouped(image_field((2, 3, 8, 6)).dims, (2, 4, 36)) is None
