"""Errors that a user can act on; the message is one line: the wrong value, the right ones and the flag to change.

Two checks of what a script gives raise them here, so that all of the library says the same of a wrong type.
"""

from operator import index


class LurkError(Exception):
    """A user's mistake: the command line prints the message as one line and exits with status 2."""


class ModelError(LurkError):
    """The model cannot be found, built or run."""


class WeightsError(LurkError):
    """The weights cannot be read or do not fit the model."""


class ImagesError(LurkError):
    """The image set cannot be found, or holds no image that can be read."""


class LayerError(LurkError):
    """No layer of the model has that name, or none matches the expression."""


class IndexFormatError(LurkError):
    """The files on disk are not an index that this version can read."""


class CacheError(LurkError):
    """The cache directory cannot be used."""


class BusyError(CacheError):
    """Another process is writing the same index; try again when it has finished."""


class QueueError(LurkError):
    """The job queue cannot be used."""


class QueueFullError(QueueError):
    """Too many jobs wait; the same request may succeed later."""


class DiskFullError(CacheError):
    """The disk has too little room for new work; existing results can still be read."""


class NotAllowedError(LurkError):
    """This person may not do that."""


class Paused(Exception):  # noqa: N818 - a request, not an error
    """Raised inside a job that steps aside for another one; it is run again later and goes on from what it has kept."""


class Cancelled(Exception):  # noqa: N818 - a request, not an error
    """Raised inside a job after somebody cancelled it; what the job had finished is kept."""


def expect(value: object, kinds: type | tuple[type, ...], words: str) -> None:
    """Refuse a value of another type.

    >>> expect(3, str, "a layer is a name")
    Traceback (most recent call last):
    lurk.errors.LurkError: a layer is a name, not int

    Args:
        value: What was given.
        kinds: The types that are right.
        words: What it is to be.

    Raises:
        LurkError: The value is of none of these types.
    """
    if not isinstance(value, kinds):
        raise LurkError(f"{words}, not {type(value).__name__}")


def whole_number(value: object, name: str) -> int:
    """A whole number of any type, such as NumPy's, as Python's own.

    >>> whole_number(3, "top")
    3

    Args:
        value: What was given.
        name: What it is, for the message.

    Returns:
        The number.

    Raises:
        LurkError: It is none.
    """
    try:
        return index(value)  # type: ignore[arg-type]  # whatever it is, a TypeError says that it is none
    except TypeError:
        raise LurkError(f"{name} is a whole number, not {str(value)[:40]!r}") from None
