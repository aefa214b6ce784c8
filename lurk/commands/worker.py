"""`worker`: claims and runs the jobs of a cache until interrupted."""

import argparse

from lurk import supervisor
from lurk.settings import Settings, hand_down
from lurk.space import MEGABYTE
from lurk.stores import prepare_cache


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
    supervisor.run(cache, floor_bytes=settings.min_free * MEGABYTE, stuck_s=settings.stuck_after)
    return 0
