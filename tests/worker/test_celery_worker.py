"""Real workers that hear by Celery from a real Redis: jobs, poison, a Redis that goes away, limits of time."""

import os
import signal
import sys
import threading
import time

import pytest

from lurk.errors import Cancelled
from lurk.jobs.celery_queue import open_celery_queue
from lurk.records import JobSpec
from lurk.worker import celery_worker
from lurk.worker.supervisor import Supervisor
from lurk.worker.worker import Worker
from tests.real_redis import real_redis
from tests.waiting import wait_for
from tests.worker.test_supervisor import TASKS, children, ended, log

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    # of a connection that a killed Redis has cut off, left to the garbage collector by the client
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with real_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def queue(redis, cache):
    """The queue of two workers that run."""
    queue = open_celery_queue(redis.url())
    with Supervisor(cache, tasks=TASKS, workers=2, queue=redis.url()):
        wait_for(lambda: queue.workers_alive() == 2, 60)
        yield queue
    assert not children("lurk.")
    assert queue.workers_alive() == 0
    queue.close()


def test_each_job_runs_once(queue, cache):
    specs = [JobSpec("count", str(number), (("steps", 3),)) for number in range(8)]
    for spec in specs:
        queue.submit(spec, 2)
    for spec in specs:
        assert wait_for(ended(queue, spec), 60).result == {"steps": 3}
    assert sorted(line for line in log(cache) if "begin" in line) == [f"begin {number}" for number in range(8)]


def test_a_poison_task_fails_after_three_tries_and_the_next_job_runs(queue, cache):
    bad, good = JobSpec("poison", "bad", (("how", "segv"),)), JobSpec("count", "good", (("steps", 1),))
    queue.submit(bad, 2)
    queue.submit(good, 2)
    job = wait_for(ended(queue, bad), 60)
    assert (job.state, job.tries, job.error[0]) == ("failed", 3, "WorkerLost")
    assert "SIGSEGV" in job.error[1]
    assert wait_for(ended(queue, good), 60).state == "done"
    assert log(cache).count("begin bad") == 3


def test_an_urgent_job_does_not_wait_for_running_ones(queue):
    sweeps = [JobSpec("count", name, (("steps", 150),)) for name in ("sweep1", "sweep2")]
    for spec in sweeps:
        queue.submit(spec, 2)
    wait_for(lambda: all(queue.get(spec.key).done > 1 for spec in sweeps), 60)
    click = JobSpec("count", "click", (("steps", 1),))
    queue.submit(click, 0)
    assert wait_for(ended(queue, click), 60).state == "done"
    assert [queue.get(spec.key).state for spec in sweeps] == ["running", "running"]
    for spec in sweeps:
        queue.cancel(spec.key)
        assert wait_for(ended(queue, spec), 60).state == "cancelled"


def test_a_killed_worker_loses_nothing_and_is_replaced(queue):
    spec = JobSpec("count", "killed", (("steps", 60),))
    queue.submit(spec, 2)
    wait_for(lambda: queue.get(spec.key).done > 1, 60)
    for pid in children("lurk.worker.worker"):
        os.kill(pid, signal.SIGKILL)
    job = wait_for(ended(queue, spec), 60)
    assert (job.state, job.tries) == ("done", 1)


def test_jobs_outlive_the_redis(queue, redis):
    runs = JobSpec("count", "runs", (("steps", 60),))
    waits = [JobSpec("count", f"waits{number}", (("steps", 20),)) for number in range(3)]
    for spec in (runs, *waits):
        queue.submit(spec, 2)
    wait_for(lambda: queue.get(runs.key).done > 1, 60)
    redis.kill()
    time.sleep(0.5)
    redis.start()
    for spec in (runs, *waits):
        job = wait_for(ended(queue, spec), 60)
        assert (job.state, job.tries) == ("done", 1)


def test_the_password_is_on_no_command_line(queue):
    import subprocess

    assert children("lurk.worker.worker")
    shown = subprocess.run(["ps", "-ef"], capture_output=True, text=True, check=True).stdout
    assert "of-the-tests-only" not in "\n".join(line for line in shown.splitlines() if "lurk." in line)


def test_a_job_that_has_run_for_long_makes_way_and_goes_on_later(tmp_path, redis, monkeypatch):
    monkeypatch.setattr(celery_worker, "TIME_LIMIT_S", 0.3)
    monkeypatch.setattr(celery_worker, "WATCH_S", 0.05)

    def endless(_spec, context):
        while True:
            time.sleep(0.01)
            context.report(1, 10)

    queue = open_celery_queue(redis.url(7), sends_messages=False)
    worker = Worker(tmp_path, endless, queue=redis.url(7))
    threading.Thread(target=celery_worker._watch, args=(worker, queue), daemon=True).start()
    key = queue.submit(JobSpec("toy", "a"), 2).key
    assert worker.run_next()
    worker.give_back()
    job = queue.get(key)
    assert (job.state, job.tries) == ("queued", 0)
    worker._queue.close()


@pytest.mark.parametrize("what", ["a job that does not end", "jobs wait unheard"])
def test_a_process_in_which_nothing_goes_on_ends_itself(tmp_path, redis, monkeypatch, what):
    ended_at = []
    for name, seconds in {"TIME_LIMIT_S": 0.1, "GRACE_S": 0.1, "WATCH_S": 0.05, "UNHEARD_S": 0.2}.items():
        monkeypatch.setattr(celery_worker, name, seconds)

    def end():
        ended_at.append(time.monotonic())
        worker._ending.set()

    monkeypatch.setattr(celery_worker, "end_process_group", end)
    queue = open_celery_queue(redis.url(8), sends_messages=False)

    def hangs(_spec, context):
        end = time.monotonic() + 10
        while not ended_at and time.monotonic() < end:
            time.sleep(0.01)
        raise Cancelled

    worker = Worker(tmp_path, hangs, queue=redis.url(8))
    key = queue.submit(JobSpec("toy", what), 2).key
    watch = threading.Thread(target=celery_worker._watch, args=(worker, queue), daemon=True)
    watch.start()
    if what == "a job that does not end":
        worker.run_next()
    watch.join(10)
    assert len(ended_at) == 1
    job = queue.get(key)
    assert job.state == "queued"
    assert job.tries == (1 if what == "a job that does not end" else 0)
    worker._queue.close()
    queue.cancel(key)
