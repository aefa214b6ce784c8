"""The process of a worker: told to end, left by its parent, given tasks that cannot be loaded."""

import os
import signal
import subprocess
import sys

import pytest

from lurk.jobs.open_queue import open_local_queue
from lurk.records import JobSpec
from tests.waiting import wait_for


@pytest.fixture
def queue(tmp_path):
    return open_local_queue(tmp_path)


def process(cache, *more):
    command = [
        sys.executable,
        "-m",
        "lurk.worker.worker_process",
        "--cache",
        str(cache),
        "--tasks",
        "tests.toy_tasks:run",
        *more,
    ]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_terminated_worker_gives_its_job_back_at_once(tmp_path, queue):
    job = queue.submit(JobSpec("count", "a", (("steps", 400),)), 2)
    with process(tmp_path) as worker:
        wait_for(lambda: queue.get(job.key).done > 2)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(5) == 0
    assert (queue.get(job.key).state, queue.workers_alive()) == ("queued", 0)


def test_a_worker_whose_parent_is_gone_ends_in_the_midst_of_a_long_call(tmp_path, queue):
    job = queue.submit(JobSpec("sleep", "a", (("seconds", 60),)), 2)
    with process(tmp_path, "--with-parent") as worker:
        wait_for(lambda: queue.get(job.key).state == "running")
        worker.stdin.close()
        worker.wait(5)
    assert (queue.get(job.key).state, queue.get(job.key).tries) == ("queued", 0)


def test_tasks_that_cannot_be_loaded_fail_the_job_not_the_worker(tmp_path, queue):
    job = queue.submit(JobSpec("count", "a"), 2)
    with process(tmp_path, "--tasks", "tests.no_such_module:run") as worker:
        wait_for(lambda: queue.get(job.key).state == "failed")
        assert worker.poll() is None
        worker.terminate()
    assert "no_such_module" in queue.get(job.key).error[1]


def test_a_damaged_queue_ends_the_worker_with_one_line(tmp_path):
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "cache.db").write_bytes(b"no database" * 1000)
    with process(tmp_path) as worker:
        assert worker.wait(10) == 2
        assert len(worker.stderr.read().splitlines()) == 1


def test_a_worker_is_nicer_than_the_web_process(tmp_path, queue):
    with process(tmp_path) as worker:
        wait_for(queue.workers_alive)
        niceness = os.getpriority(os.PRIO_PROCESS, worker.pid)
        worker.terminate()
    assert niceness == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
