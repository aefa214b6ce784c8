"""The jobs by which other workers help with a sweep: one a shard, asked for by the worker that plans and merges."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from lurk.errors import Cancelled, QueueError
from lurk.jobs.lanes import Lane
from lurk.jobs.queue import Queue
from lurk.records import JobSpec, Scalar
from lurk.sweeps.shards import Shard
from lurk.worker.study import Context

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


class Helpers:
    """The workers that take a sweep's shards from the queue; as a context manager it stops them with the sweep.

    Args:
        sweep: The sweep's own job.
        context: Who hears of the progress.
        queue: Where the shards are asked for.
    """

    def __init__(self, sweep: JobSpec, context: Context, queue: Queue) -> None:
        self._sweep, self._context, self._queue = sweep, context, queue
        self._asked: list[str] = []

    def ask(self, index: str, shard: Shard) -> None:
        """Ask for a shard of an index, by its key."""
        spec = shard_spec(self._sweep, index, shard)
        self._asked.append(self._patiently(lambda: self._queue.submit(spec, Lane.SWEEP, again=True)).key)

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        """Ask the queue, again where it cannot answer just now."""
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
        """Images of a shard that another worker runs just now; None where none does."""
        try:
            job = self._queue.get(shard_spec(self._sweep, index, shard).key)
        except QueueError:  # not known just now
            return 0
        return job.done if job and job.state == "running" else None

    def report(self, done: int, total: int, note: str, rate: float) -> None:
        """Tell the progress of the whole; may raise Cancelled."""
        self._context.report(done, total, note, rate)

    def give_way(self) -> None:
        """Let more urgent work run now; may raise Cancelled."""
        self._context.give_way()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the shards where somebody cancelled the sweep; one that only changes workers leaves them running."""
        if isinstance(error, Cancelled):
            try:
                mine = self._queue.get(self._sweep.key)
                if mine and mine.stopping:
                    for key in self._asked:
                        self._queue.cancel(key)
            except QueueError:  # they end by themselves, a little later
                return
