"""Opens the service of a run: the one place that puts studies, cache, queue and renders together for a process."""

from lurk.jobs.local import LocalQueue
from lurk.service import Service
from lurk.settings import Settings
from lurk.stores import open_renders, prepare_cache


def open_service(settings: Settings) -> Service:
    """Open the service of a run; every process opens its own, and they share what lies on the disk.

    Args:
        settings: The options.

    Returns:
        The service.
    """
    cache = prepare_cache(settings.cache)
    return Service({settings.study: settings}, cache, LocalQueue(cache), open_renders(cache))
