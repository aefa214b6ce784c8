"""The best hit of each unit of a layer, of which its grid is made."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lurk.records import Floats, Ints
from lurk.storage.npy_file import Array


@dataclass(frozen=True)
class Best:
    """The best hit of each unit of a layer; every array is (u,), image -1 where a unit has none yet or is constant.

    `before` is the value that enters the monotone activation function which gives the score, NaN if none follows.
    """

    image: Ints
    score: Floats
    before: Floats
    row: Ints
    col: Ints

    @classmethod
    def none(cls, units: int) -> "Best":
        """Before the first checkpoint."""
        image, number = np.full(units, -1, np.int64), np.full(units, np.nan)
        return cls(image, number, number, image, image)

    @classmethod
    def of(cls, hits: Mapping[str, Array], cols: int, is_constant: Array) -> "Best":
        """From arrays (u,) of an index: `image`, `score`, `before`, and `position`, row by row, each of `cols`."""
        row, col = np.divmod(np.asarray(hits["position"], np.int64), cols)
        image = np.where(is_constant, -1, hits["image"]).astype(np.int64)
        score, before = (np.asarray(hits[part], np.float64) for part in ("score", "before"))
        return cls(image, score, before, row, col)
