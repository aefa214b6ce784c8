"""`worker`: runs the jobs of a cache until interrupted."""

import argparse

from lurk.commands import WORKER, command
from lurk.config.gpus import worker_count
from lurk.config.options import Settings, pass_to_workers
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.disk_space import MEGABYTE
from lurk.worker import supervisor


@command("claim and run the jobs of a cache", (*WORKER, "config", "cache", "queue", "log"), reads_config=True)
def run(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Run a worker, or one for each GPU, until interrupted."""
    pass_to_workers(settings)
    cache = prepare_cache(settings.cache)
    floor_bytes = settings.min_free * MEGABYTE
    supervisor.run(
        cache, workers=worker_count(), floor_bytes=floor_bytes, stuck_s=settings.stuck_after, queue=settings.queue
    )
    return 0
