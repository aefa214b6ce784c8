"""Errors that a user can act on; the message is one line: the wrong value, the right ones and the flag to change."""


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


class Cancelled(Exception):  # noqa: N818 - a request, not an error
    """Raised inside a job after somebody cancelled it; what the job had finished is kept."""
