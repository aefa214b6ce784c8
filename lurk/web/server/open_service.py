"""Opens the service of a server: the only place that puts studies, cache, queue and renders together."""

from lurk.config.options import Settings
from lurk.config.study_list import studies_of
from lurk.jobs.open_queue import open_queue
from lurk.jobs.queue import Limits
from lurk.service.service import Service
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.disk_space import MEGABYTE, Space
from lurk.storage.render_store import open_renders


def open_service(settings: Settings) -> Service:
    """Open the service; every process opens its own, and they share the cache.

    Args:
        settings: The options.

    Returns:
        The service.
    """
    cache = prepare_cache(settings.cache)
    limits = Limits(settings.queue_limit, settings.queue_limit_person)
    space = Space(cache, settings.min_free * MEGABYTE)
    studies = studies_of(settings, cache)
    return Service(studies, cache, open_queue(settings.queue, cache), open_renders(cache), limits=limits, space=space)
