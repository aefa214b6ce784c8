"""Metrics for Prometheus: the state of queue, sweeps and workers, and what all processes have counted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from lurk.jobs.lanes import Lane
from lurk.jobs.queue import Job
from lurk.storage.metric_counts import BUCKETS_S, Name

STATES = ("queued", "running", "done", "failed", "cancelled")
HELP = {
    "lurk_requests": "Requests answered, by kind of address and class of status.",
    "lurk_request_seconds": "Seconds from a request to the start of its answer.",
    "lurk_job_seconds": "Seconds that jobs ran, by kind and how they ended.",
    "lurk_renders": "Images asked of the store of rendered images, by whether it had them.",
}


class Metrics:
    """All metrics at one moment; a collector of `prometheus_client`."""

    def __init__(
        self,
        jobs: Sequence[Job],
        workers: int,
        studies: Mapping[str, Mapping[str, Any]],
        counted: Mapping[Name, float],
    ) -> None:
        """Collect from these.

        Args:
            jobs: All jobs on record.
            workers: How many workers are alive.
            studies: `Service.status` of each study.
            counted: What `Counts.read` returns.
        """
        self._jobs, self._workers, self._studies, self._counted = jobs, workers, studies, counted

    def text(self) -> str:
        """The metrics in Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry).decode()

    def collect(self) -> Iterable[Metric]:
        """All metrics."""
        yield GaugeMetricFamily("lurk_workers", "Workers that are alive.", self._workers)
        yield self._queue()
        yield self._by_state()
        yield from self._sweeps()
        yield from self._counters()
        yield from self._histograms()

    def _queue(self) -> Metric:
        metric = GaugeMetricFamily("lurk_queue_jobs", "Jobs that wait or run, by lane.", labels=("lane", "state"))
        found = Counter[tuple[int, str]]((job.lane, job.state) for job in self._jobs)
        for lane in Lane:
            for state in STATES[:2]:
                metric.add_metric((lane.name.lower(), state), found[lane, state])
        return metric

    def _by_state(self) -> Metric:
        metric = GaugeMetricFamily("lurk_jobs", "Jobs on record, by state.", labels=("state",))
        found = Counter[str](job.state for job in self._jobs)
        for state in STATES:
            metric.add_metric((state,), found[state])
        return metric

    def _sweeps(self) -> Iterable[Metric]:
        done = GaugeMetricFamily("lurk_sweep_images", "Images that a study's index is made from.", labels=("study",))
        rate = GaugeMetricFamily("lurk_sweep_rate", "Images a second of the sweep that runs.", labels=("study",))
        for study, status in self._studies.items():
            done.add_metric((study,), status["images_indexed"])
            rate.add_metric((study,), status["rate"] or 0)
        return done, rate

    def _counters(self) -> Iterable[Metric]:
        for name, labels in (("lurk_requests", ("kind", "status")), ("lurk_renders", ("found",))):
            metric = CounterMetricFamily(name, HELP[name], labels=labels)
            for (counted, given), value in sorted(self._counted.items()):
                if counted == name:
                    metric.add_metric([dict(given)[label] for label in labels], value)
            yield metric

    def _histograms(self) -> Iterable[Metric]:
        for name, labels in (("lurk_request_seconds", ("kind",)), ("lurk_job_seconds", ("kind", "state"))):
            metric = HistogramMetricFamily(name, HELP[name], labels=labels)
            sums = {given: value for (counted, given), value in self._counted.items() if counted == f"{name}_sum"}
            for given, total in sorted(sums.items()):
                metric.add_metric([dict(given)[label] for label in labels], self._buckets(name, given), total)
            yield metric

    def _buckets(self, name: str, given: tuple[tuple[str, str], ...]) -> list[tuple[str, float]]:
        """Cumulative buckets of a histogram."""
        total, found = 0.0, []
        for bound in (*(f"{bound:g}" for bound in BUCKETS_S), "+Inf"):
            total += self._counted.get((f"{name}_bucket", tuple(sorted((*given, ("le", bound))))), 0)
            found.append((bound, total))
        return found
