"""The jobs of a sweep's shards, by which other workers share in it; the worker that merges the shards submits them."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from lurk.errors import Cancelled, QueueError
from lurk.jobs.lanes import Lane
from lurk.jobs.queue import Queue
from lurk.records import JobSpec, Scalar
from lurk.sweeps.shards import Shard
from lurk.worker.loaded_study import Context

PATIENCE_S = 60.0

Answer = TypeVar("Answer")


def shard_spec(sweep: JobSpec, index: str, shard: Shard) -> JobSpec:
    """The job of a shard.

    Args:
        sweep: The sweep's own job, which says how to load model and images.
        index: Key of the index.
        shard: The shard.

    Returns:
        The job's spec, read back by `shard_of`.
    """
    parameters: dict[str, Scalar] = {name: value for name, value in sweep.parameters if name != "shards"}
    parameters |= {"batch_size": shard.batch_size, "index": index, "first": shard.first, "last": shard.last}
    return JobSpec("shard", sweep.study, tuple(parameters.items()))


def shard_of(spec: JobSpec) -> Shard:
    """The shard that a job is for."""
    first, last, batch_size = (int(spec.get(name) or 0) for name in ("first", "last", "batch_size"))
    return Shard(first, last, batch_size)


class ShardJobs:
    """The jobs of a sweep's shards; as a context manager, it cancels them if the sweep is cancelled.

    Args:
        sweep: The sweep's own job.
        context: Where the progress is reported.
        queue: The queue of the jobs.
    """

    def __init__(self, sweep: JobSpec, context: Context, queue: Queue) -> None:
        self._sweep, self._context, self._queue = sweep, context, queue
        self._asked: list[str] = []

    def ask(self, index: str, shard: Shard) -> None:
        """Submit the job of a shard.

        Args:
            index: Key of the index.
            shard: The shard.
        """
        spec = shard_spec(self._sweep, index, shard)
        self._asked.append(self._patiently(lambda: self._queue.submit(spec, Lane.SWEEP, again=True)).key)

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        """Call the queue, again and again for a minute while it does not answer."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call()
            except QueueError:
                if time.monotonic() > end:
                    raise
                self._context.give_way()
                time.sleep(1)

    def done(self, index: str, shard: Shard) -> int | None:
        """Images that the worker of a shard has done; None if no worker runs it now."""
        try:
            job = self._queue.get(shard_spec(self._sweep, index, shard).key)
        except QueueError:  # unknown: as if one ran it
            return 0
        return job.done if job and job.state == "running" else None

    def report(self, done: int, total: int, note: str, rate: float) -> None:
        """Report the progress of the whole sweep; may raise Cancelled."""
        self._context.report(done, total, note, rate)

    def give_way(self) -> None:
        """Let more urgent work run now; may raise Cancelled."""
        self._context.give_way()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the shards if somebody cancelled the sweep; if it only changes its worker, they go on."""
        if isinstance(error, Cancelled):
            try:
                mine = self._queue.get(self._sweep.key)
                if mine and mine.stopping:
                    for key in self._asked:
                        self._queue.cancel(key)
            except QueueError:  # they end by themselves, a little later
                return
