"""A sweep's shards as jobs: asked for once, at once over where there is nothing to do, stopped with their sweep."""

from contextlib import suppress
from pathlib import Path

import pytest

from lurk.config.options import Settings
from lurk.errors import Cancelled, QueueError
from lurk.jobs.open_queue import open_local_queue
from lurk.storage.index import Index
from lurk.storage.manifest import study_index
from lurk.sweeps.shards import Shard
from lurk.worker.shard_jobs import ShardJobs, shard_of, shard_spec
from lurk.worker.tasks import run
from lurk.worker.worker import Worker
from tests.commands.conftest import arguments  # noqa: F401 - a small network and its images

SHARD = Shard(8, 16, 4)


@pytest.fixture
def settings(arguments):  # noqa: F811 - the fixture
    return Settings(model=arguments[1], data=arguments[3], cache=arguments[5], batch_size=3, shards=3)


@pytest.fixture
def queue(tmp_path):
    (tmp_path / "cache").mkdir()
    return open_local_queue(tmp_path / "cache")


class Context:
    cache = None
    queue = None

    def __init__(self):
        self.given_way = 0

    def report(self, done, total, note="", rate=None):
        pass

    def give_way(self):
        self.given_way += 1


def test_the_spec_of_a_shard_holds_the_shard_and_how_to_load_its_sweep(settings, tmp_path):
    spec = shard_spec(settings.sweep_spec(), "0" * 32, SHARD)
    assert shard_of(spec) == SHARD
    assert (spec.kind, spec.study, spec.get("index"), spec.get("shards")) == ("shard", settings.study, "0" * 32, None)
    again = Settings.from_spec(spec, tmp_path)
    assert (again.model, again.data, again.batch_size, again.shards) == (settings.model, settings.data, 4, 1)


def test_a_shard_that_another_worker_runs_is_told_from_one_that_waits(settings, queue):
    shard_jobs = ShardJobs(settings.sweep_spec(), Context(), queue)
    assert shard_jobs.done("key", SHARD) is None
    shard_jobs.ask("key", SHARD)
    shard_jobs.ask("key", SHARD)
    assert shard_jobs.done("key", SHARD) is None
    job = queue.claim("w/1")
    queue.beat(job.key, "w/1", 5, 8)
    assert shard_jobs.done("key", SHARD) == 5
    assert len(queue.jobs()) == 1


def test_a_queue_that_cannot_answer_is_waited_for(settings, queue, monkeypatch):
    context, answers = Context(), iter([QueueError("gone"), QueueError("gone")])
    submit = queue.submit

    def troubled(*given, **options):
        for error in answers:
            raise error
        return submit(*given, **options)

    monkeypatch.setattr("lurk.worker.shard_jobs.time.sleep", lambda _seconds: None)
    monkeypatch.setattr(queue, "submit", troubled)
    shard_jobs = ShardJobs(settings.sweep_spec(), context, queue)
    shard_jobs.ask("key", SHARD)
    assert context.given_way == 2

    def gone(_key):
        raise QueueError("gone")

    monkeypatch.setattr(queue, "get", gone)
    assert shard_jobs.done("key", SHARD) == 0


@pytest.mark.parametrize("by_somebody", [True, False])
def test_shards_stop_with_a_sweep_that_was_cancelled_and_not_with_one_that_changes_workers(
    settings, queue, by_somebody
):
    spec = settings.sweep_spec()
    queue.submit(spec, 2)
    queue.claim("w/1")
    with suppress(Cancelled), ShardJobs(spec, Context(), queue) as shard_jobs:
        shard_jobs.ask("key", SHARD)
        if by_somebody:
            queue.cancel(spec.key)
        raise Cancelled
    state = queue.get(shard_spec(spec, "key", SHARD).key).state
    assert state == ("cancelled" if by_somebody else "queued")


def test_one_worker_alone_gets_through_and_what_is_left_of_its_jobs_is_over_at_once(settings, queue):
    cache = Path(settings.cache)
    worker = Worker(cache, run)
    queue.submit(settings.sweep_spec(), 2)
    assert worker.run_next()
    job = queue.get(settings.sweep_spec().key)
    assert job.state == "done", job
    assert (job.done, job.total, job.result["images"], job.result["skipped"]) == (13, 13, 13, 1)
    index = Index(study_index(cache, settings.study))
    assert index.manifest.complete
    shards = [one for one in queue.jobs() if one.spec.kind == "shard"]
    assert len(shards) == 3
    while worker.run_next():
        pass
    assert {queue.get(one.key).state for one in shards} == {"done"}
