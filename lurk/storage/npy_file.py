"""An .npy file that is written and read a slice of rows at a time: the class moments of a large network fill 700 MB."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from lurk.errors import IndexFormatError

Array = np.ndarray[Any, np.dtype[Any]]
Conversion = Callable[[Array], Array]
SLICE_BYTES = 1 << 24


class StoredArray:
    """Reads rows of an .npy file; each slice is an array of its own in memory.

    Reading fails with an OSError when the file is removed meanwhile. A memory map would end the process instead where
    the folder lies on a network file system.
    """

    def __init__(self, file: Path) -> None:
        """Read the file's header.

        Args:
            file: The file, as `write_array` made it.

        Raises:
            IndexFormatError: It holds no array.
        """
        self._file = file
        try:
            with file.open("rb") as content:
                np.lib.format.read_magic(content)
                self.shape, _, self.dtype = np.lib.format.read_array_header_1_0(content)
                self._offset = content.tell()
        except ValueError as error:
            raise IndexFormatError(f"{file} cannot be read ({error}); sweep again") from error

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        """Read consecutive rows; an IndexFormatError if the file is cut short."""
        first, last, _ = rows.indices(len(self))
        width = math.prod(self.shape[1:])
        start = self._offset + first * width * self.dtype.itemsize
        found = np.fromfile(self._file, self.dtype, (last - first) * width, offset=start)
        if len(found) != (last - first) * width:
            raise IndexFormatError(f"{self._file} is cut short; sweep again")
        return found.reshape(last - first, *self.shape[1:])


def stored_arrays(folder: Path) -> dict[str, StoredArray]:
    """Every array of a folder, by the name of its file."""
    return {file.stem: StoredArray(file) for file in folder.glob("*.npy")}


def write_array(file: IO[bytes], array: Array, convert: Conversion = np.asarray) -> None:
    """Write an array as .npy.

    Args:
        file: An empty file.
        array: The array.
        convert: Applied to each slice of rows before it is written; keeps the number of rows.
    """
    like = convert(array[:0])
    layout = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, layout | {"shape": (len(array), *like.shape[1:])})
    rows = max(1, SLICE_BYTES // max(array[:1].nbytes, 1))
    for start in range(0, len(array), rows):
        file.write(np.ascontiguousarray(convert(array[start : start + rows])).tobytes())
