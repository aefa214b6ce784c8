"""Real processes and what can befall them: kills at random moments, jobs that hang, two servers on one cache."""

import sys
import time

import pytest

from benchmarks.faults import crowd, kills, lab, picture, restart
from lurk.jobs.open_queue import open_local_queue
from lurk.records import JobSpec
from lurk.worker.supervisor import Supervisor
from tests.acceptance.toy_study import toy_study
from tests.waiting import wait_for

LONGEST_S = 15.0
TASKS = "tests.toy_tasks:run"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def spec(name: str, kind: str = "count", **parameters) -> JobSpec:
    return JobSpec(kind, name, tuple(parameters.items()))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("jobs", "waiting", "count"), [(3, 10, 2), pytest.param(10, 40, 5, marks=pytest.mark.slow)])
def test_crowds_restarts_and_kills_of_a_real_server_lose_nothing_and_double_nothing(tmp_path, jobs, waiting, count):
    """In short what `python -m benchmarks.faults` does at length; docs/load.md has its figures."""
    with lab(toy_study(tmp_path)) as (running, study, layers):
        units = [(layer["name"], unit) for layer in layers for unit in range(layer["units"])]
        asked = crowd(running, picture(study, *units.pop(), steps=16), 10)
        assert (asked["jobs"], asked["tries"], asked["answers"], asked["errors"]) == (1, 1, 10, [])

        started = restart(running, [picture(study, *units.pop(), steps=16) for _ in range(waiting)])
        assert started["waiting"] > 0
        assert (started["lost"], started["errors"]) == (0, [])

        before = len(list(running.cache.glob("index/*/results/*/*/result.json")))
        ended = kills(running, [picture(study, *units.pop(0), steps=48) for _ in range(jobs)], count, seed=1)
    assert ended["states"] == {"done": jobs}
    assert (ended["results"] - before, ended["left"]) == (jobs, 0)


def test_a_job_that_never_ends_is_failed_with_its_reason_and_the_next_one_runs(tmp_path):
    queue = open_local_queue(tmp_path)
    stuck, following = spec("stuck", "sleep", seconds=600), spec("next", steps=3)
    queue.submit(stuck, 0)
    queue.submit(following, 1)
    with Supervisor(tmp_path, tasks=TASKS, stuck_s=1.5):
        job = wait_for(lambda: queue.get(stuck.key).state == "failed" and queue.get(stuck.key), 60)
        assert "made no progress for 1.5 s" in job.error[1]
        assert job.tries == 3
        assert wait_for(lambda: queue.get(following.key).state == "done", 60)


def test_a_job_that_moves_slowly_but_moves_is_left_alone(tmp_path):
    queue, slow = open_local_queue(tmp_path), spec("slow", steps=60)
    queue.submit(slow, 0)
    with Supervisor(tmp_path, tasks=TASKS, stuck_s=1.5):
        job = wait_for(lambda: queue.get(slow.key).state == "done" and queue.get(slow.key), 60)
    assert job.tries == 1


def test_two_servers_on_one_cache_share_the_work(tmp_path):
    queue, specs = open_local_queue(tmp_path), [spec(f"job-{number}", steps=6) for number in range(12)]
    for one in specs:
        queue.submit(one, 1)
    with Supervisor(tmp_path, tasks=TASKS), Supervisor(tmp_path, tasks=TASKS):
        wait_for(lambda: queue.workers_alive() == 2, 60)
        wait_for(lambda: all(queue.get(one.key).state == "done" for one in specs), 60)
    ends = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("end")]
    assert sorted(ends) == sorted(f"end {one.study}" for one in specs)


def test_no_worker_alive_is_known_soon(tmp_path):
    queue = open_local_queue(tmp_path)
    with Supervisor(tmp_path, tasks=TASKS):
        wait_for(lambda: queue.workers_alive() == 1, 60)
    began = time.monotonic()
    wait_for(lambda: queue.workers_alive() == 0, LONGEST_S)
    assert time.monotonic() - began < LONGEST_S
