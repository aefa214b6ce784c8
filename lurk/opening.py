"""Opens the service of a run: the one place that puts studies, cache, queue and renders together for a process."""

from lurk.jobs import Limits
from lurk.jobs.place import queue_at
from lurk.served import studies_of
from lurk.service import Service
from lurk.settings import Settings
from lurk.space import MEGABYTE, Space
from lurk.stores import open_renders, prepare_cache


def open_service(settings: Settings) -> Service:
    """Open the service of a run; every process opens its own, and they share what lies on the disk.

    Args:
        settings: The options.

    Returns:
        The service.
    """
    cache = prepare_cache(settings.cache)
    limits = Limits(settings.queue_limit, settings.queue_limit_person)
    space = Space(cache, settings.min_free * MEGABYTE)
    studies = studies_of(settings, cache)
    return Service(studies, cache, queue_at(settings.queue, cache), open_renders(cache), limits=limits, space=space)
