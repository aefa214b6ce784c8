"""Real processes and what can befall them: kills at random moments, jobs that hang, two servers on one cache.

`LURK_KILLS=100` runs the long form of the kills.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lurk.jobs.local import LocalQueue
from lurk.records import JobSpec
from lurk.supervisor import Supervisor
from tests.acceptance.server import command_line, descendants, is_alive

KILLS = int(os.environ.get("LURK_KILLS", "6"))
LONGEST_S = 15.0
TASKS = "tests.toy_tasks:run"
ROOT = Path(__file__).resolve().parents[2]
WEB = """
import sys
from pathlib import Path
from werkzeug.serving import make_server
from lurk.jobs.local import LocalQueue
from lurk.service import Service
from lurk.stores import open_renders, prepare_cache
from lurk.supervisor import Supervisor
from lurk.ui import create_app
cache = prepare_cache(sys.argv[1])
service = Service({}, cache, LocalQueue(cache), open_renders(cache))
server = make_server("127.0.0.1", int(sys.argv[2]), create_app(service).server, threaded=True)
with Supervisor(cache, tasks="tests.toy_tasks:run"):
    server.serve_forever()
"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")]


def wait_for(found: Callable[[], object], timeout_s: float = 60.0) -> object:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("it did not come to be")


def spec(name: str, kind: str = "count", **parameters) -> JobSpec:
    return JobSpec(kind, name, tuple(parameters.items()))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Web:
    """A web process with its supervisor and worker, started again when it was killed."""

    def __init__(self, cache: Path) -> None:
        self._cache, self._port = cache, free_port()
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", WEB, str(self._cache), str(self._port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def family(self, which: str) -> list[int]:
        """Process numbers of the web, the supervisor or the worker."""
        found = [self._process.pid, *descendants(self._process.pid)]
        return found[:1] if which == "web" else [pid for pid in found if f"-m lurk.{which} " in command_line(pid)]

    def kill(self, which: str) -> bool:
        """Kill one of them; whether it was there. A web process is started again once its family has ended."""
        family = descendants(self._process.pid)
        victims = self.family(which)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        if which == "web":
            self._process.wait()
            wait_for(lambda: not any(is_alive(pid) for pid in family), 20)
            self.start()
        return bool(victims)

    def jobs(self) -> list[dict]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/jobs", timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> None:
        family = descendants(self._process.pid)
        self._process.kill()
        self._process.wait()
        wait_for(lambda: not any(is_alive(pid) for pid in family), 20)


@contextmanager
def web(cache: Path) -> Iterator[Web]:
    running = Web(cache)
    try:
        yield running
    finally:
        running.stop()


@pytest.mark.timeout(60 + 20 * KILLS)
def test_kills_at_random_moments_lose_nothing_double_nothing_and_hold_nothing_up(tmp_path):
    queue, chance = LocalQueue(tmp_path), random.Random(KILLS)
    specs = [spec(f"job-{number}", steps=8) for number in range(4 * KILLS)]
    for number, one in enumerate(specs):
        queue.submit(one, number % 3, person=f"p{number % 5}")
    killed = {"worker": 0, "supervisor": 0, "web": 0}
    longest_s = dict.fromkeys(killed, 0.0)
    with web(tmp_path) as running:
        while sum(killed.values()) < KILLS:
            time.sleep(chance.random() * 1.5)
            which = chance.choice([*killed])
            killed[which] += running.kill(which)
            began, before = time.monotonic(), progress(tmp_path)
            wait_for(lambda before=before: progress(tmp_path) > before or all_over(queue, specs))
            longest_s[which] = max(longest_s[which], time.monotonic() - began)
        wait_for(lambda: all_over(queue, specs), 30 + 2 * KILLS)
        shown = wait_for(lambda: quietly(running.jobs), 30)
    sys.stdout.write(f"kills: {killed}; longest time without a step in seconds: {longest_s}\n")
    assert [(job.state, job.result) for job in queue.jobs()] == [("done", {"steps": 8})] * len(specs)
    assert sorted(job["spec"]["study"] for job in shown) == sorted(one.study for one in specs)
    if "LURK_KILLS" in os.environ:  # the suite's machine may be busy with other things
        assert max(longest_s.values()) < LONGEST_S


def quietly(call: Callable[[], object]) -> object:
    try:
        return call()
    except OSError:
        return None


def progress(cache: Path) -> int:
    """Steps taken by all jobs; it only grows."""
    kept = [file.read_text() for file in cache.glob("steps-*") if file.suffix != ".new"]
    return sum(int(text or 0) for text in kept)


def all_over(queue: LocalQueue, specs: list[JobSpec]) -> bool:
    return all(queue.get(one.key).state == "done" for one in specs)


def test_a_job_that_never_ends_is_failed_with_its_reason_and_the_next_one_runs(tmp_path):
    queue = LocalQueue(tmp_path)
    stuck, following = spec("stuck", "sleep", seconds=600), spec("next", steps=3)
    queue.submit(stuck, 0)
    queue.submit(following, 1)
    with Supervisor(tmp_path, tasks=TASKS, stuck_s=1.5):
        job = wait_for(lambda: queue.get(stuck.key).state == "failed" and queue.get(stuck.key))
        assert "made no progress for 1.5 s" in job.error[1]
        assert job.tries == 3
        assert wait_for(lambda: queue.get(following.key).state == "done")


def test_a_job_that_moves_slowly_but_moves_is_left_alone(tmp_path):
    queue, slow = LocalQueue(tmp_path), spec("slow", steps=60)
    queue.submit(slow, 0)
    with Supervisor(tmp_path, tasks=TASKS, stuck_s=1.5):
        job = wait_for(lambda: queue.get(slow.key).state == "done" and queue.get(slow.key))
    assert job.tries == 1


def test_two_servers_on_one_cache_share_the_work(tmp_path):
    queue, specs = LocalQueue(tmp_path), [spec(f"job-{number}", steps=6) for number in range(12)]
    for one in specs:
        queue.submit(one, 1)
    with Supervisor(tmp_path, tasks=TASKS), Supervisor(tmp_path, tasks=TASKS):
        wait_for(lambda: queue.workers_alive() == 2)
        wait_for(lambda: all_over(queue, specs))
    ends = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("end")]
    assert sorted(ends) == sorted(f"end {one.study}" for one in specs)


def test_no_worker_alive_is_known_soon(tmp_path):
    queue = LocalQueue(tmp_path)
    with Supervisor(tmp_path, tasks=TASKS):
        wait_for(lambda: queue.workers_alive() == 1)
    began = time.monotonic()
    wait_for(lambda: queue.workers_alive() == 0, LONGEST_S)
    assert time.monotonic() - began < LONGEST_S
