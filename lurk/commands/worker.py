"""`worker`: claims and runs the jobs of a cache until interrupted."""

import argparse

from lurk import supervisor
from lurk.settings import Settings
from lurk.stores import prepare_cache


def run(settings: Settings, _given: argparse.Namespace) -> int:
    """Run workers until interrupted.

    Args:
        settings: The options.
        _given: Flags of this command alone; it has none.

    Returns:
        Exit status.
    """
    supervisor.run(prepare_cache(settings.cache), queue=settings.queue)
    return 0
