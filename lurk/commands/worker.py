"""`worker`: claims and runs the jobs of a cache until interrupted."""

import argparse

from lurk.config.settings import Settings, hand_down
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.disk_space import MEGABYTE
from lurk.worker import supervisor


def run(settings: Settings, _given: argparse.Namespace) -> int:
    """Run workers until interrupted.

    Args:
        settings: The options.
        _given: Flags of this command alone; it has none.

    Returns:
        Exit status.
    """
    hand_down(settings)
    cache = prepare_cache(settings.cache)
    floor_bytes = settings.min_free * MEGABYTE
    supervisor.run(cache, floor_bytes=floor_bytes, stuck_s=settings.stuck_after, queue=settings.queue)
    return 0
