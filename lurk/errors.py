"""The errors that a user can act on: one line that names the bad value, the good ones and the flag to change."""


class LurkError(Exception):
    """A user's mistake: the command line prints the message as one line and exits with status 2."""


class ModelError(LurkError):
    """The model cannot be found, built or run."""


class WeightsError(LurkError):
    """The weights cannot be read or do not fit the model."""


class ImagesError(LurkError):
    """The image set cannot be found or holds nothing that can be read."""


class LayerError(LurkError):
    """No layer of the model is called that, or none matches the expression."""


class IndexFormatError(LurkError):
    """What lies on disk is not an index that this version can read."""


class CacheError(LurkError):
    """The cache directory cannot be used."""


class BusyError(CacheError):
    """Another process is writing the same index; wait for it and try again."""


class QueueError(LurkError):
    """The job queue cannot be used."""


class QueueFullError(QueueError):
    """Too many jobs wait; the same request may succeed later."""


class DiskFullError(CacheError):
    """There is too little room for new work; what is there can still be read."""


class NotAllowedError(LurkError):
    """This person may not do that."""


class Cancelled(Exception):  # noqa: N818 - a request that is obeyed, not an error
    """Raised inside a job when somebody asked for it to stop; what it had finished stays."""
