"""Real processes, really killed: nothing is lost, nothing runs twice, nothing is left over."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lurk.jobs.open_queue import open_local_queue
from lurk.records import JobSpec
from lurk.worker import supervisor as supervisor_module
from lurk.worker.subprocesses import how_it_ended
from lurk.worker.supervisor import Supervisor
from tests.acceptance.server import command_line, descendants, is_alive
from tests.waiting import wait_for

TASKS = "tests.toy_tasks:run"
PARENT = """
import sys, time
from pathlib import Path
from lurk.worker.supervisor import Supervisor
with Supervisor(Path(sys.argv[1]), tasks="tests.toy_tasks:run"):
    print("up", flush=True)
    time.sleep(600)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def children(name, pid=None):
    return [one for one in descendants(pid or os.getpid()) if name in command_line(one) and is_alive(one)]


def ended(queue, spec):
    return lambda: queue.get(spec.key).state in ("done", "failed", "cancelled") and queue.get(spec.key)


def log(cache):
    return (cache / "log").read_text().splitlines()


@pytest.fixture
def queue(tmp_path):
    return open_local_queue(tmp_path)


@pytest.fixture
def supervisor(tmp_path):
    with Supervisor(tmp_path, tasks=TASKS) as running:
        yield running
    assert not children("lurk.")


def test_jobs_run_and_the_worker_is_counted(tmp_path, queue, supervisor):
    spec = JobSpec("count", "a", (("steps", 5),))
    queue.submit(spec, 2)
    assert wait_for(ended(queue, spec)).result == {"steps": 5}
    assert queue.workers_alive() == 1
    assert log(tmp_path) == ["begin a", "end a"]


def test_each_worker_has_the_gpu_of_its_number(tmp_path):
    def numbers():
        found = [Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in children("worker_process")]
        return sorted(text.decode() for one in found for text in one if text.startswith(b"LURK_GPU="))

    with Supervisor(tmp_path, tasks=TASKS, workers=2):
        wait_for(lambda: numbers() == ["LURK_GPU=0", "LURK_GPU=1"])


def test_stop_gives_the_job_back_and_forgets_the_worker(tmp_path, queue):
    spec = JobSpec("count", "a", (("steps", 400),))
    queue.submit(spec, 2)
    with Supervisor(tmp_path, tasks=TASKS):
        wait_for(lambda: queue.get(spec.key).done > 2)
    assert queue.get(spec.key).state == "queued"
    assert queue.get(spec.key).tries <= 1
    assert queue.workers_alive() == 0
    assert not children("lurk.")


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_of_the_worker_lose_nothing(tmp_path, queue, supervisor, kills):
    steps = 5 * (kills + 1)
    specs = [JobSpec("count", name, (("steps", steps),)) for name in "abc"]
    for spec in specs:
        queue.submit(spec, 2)
    chance = random.Random(0)
    for _ in range(kills):
        for pid in wait_for(lambda: children("lurk.worker.worker")):
            os.kill(pid, signal.SIGKILL)
        time.sleep(chance.random() * 0.8)
    for spec in specs:
        job = wait_for(ended(queue, spec), 60)
        assert (job.state, job.result) == ("done", {"steps": steps}), job
    assert [line for line in log(tmp_path) if "end" in line] == ["end a", "end b", "end c"]


def test_killed_supervisor_is_replaced_and_its_worker_ends(queue, supervisor):
    spec = JobSpec("count", "a", (("steps", 40),))
    queue.submit(spec, 2)
    wait_for(lambda: queue.get(spec.key).done > 2)
    (before,) = children("lurk.worker.worker")
    (victim,) = children("lurk.worker.supervisor")
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not is_alive(before), 5)
    job = wait_for(ended(queue, spec))
    assert (job.state, job.tries) == ("done", 1)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_whatever_ends_the_parent_leaves_no_orphan_and_the_job_waits(tmp_path, queue, how):
    spec = JobSpec("family", "a")
    queue.submit(spec, 2)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with parent:
        grandchild = tmp_path / "grandchild"
        wait_for(lambda: grandchild.exists() and grandchild.read_text())
        family = [*descendants(parent.pid), int(grandchild.read_text())]
        assert len(family) >= 3
        parent.send_signal(how)
        parent.wait(15)
        wait_for(lambda: not any(is_alive(pid) for pid in family), 10)
    assert queue.get(spec.key).state == "queued"
    assert queue.workers_alive() == 0


def test_worker_supervisor_and_parent_killed_at_once_the_next_start_goes_on(tmp_path, queue):
    spec = JobSpec("count", "a", (("steps", 40),))
    queue.submit(spec, 2)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    with parent:
        wait_for(lambda: queue.get(spec.key).done > 2)
        for pid in [*descendants(parent.pid), parent.pid]:
            os.kill(pid, signal.SIGKILL)
    assert queue.get(spec.key).state == "running"
    with Supervisor(tmp_path, tasks=TASKS):
        assert wait_for(ended(queue, spec), 30).state == "done"


@pytest.mark.parametrize(
    ("how", "words"),
    [("kill", "exit status 137"), ("exit", "exit status 3"), ("segv", "SIGSEGV"), ("sys.exit", "exit status 1")],
)
def test_poison_fails_after_three_tries_and_the_next_job_runs(tmp_path, queue, supervisor, how, words):
    bad, good = JobSpec("poison", "bad", (("how", how),)), JobSpec("count", "good", (("steps", 1),))
    queue.submit(bad, 2)
    queue.submit(good, 2)
    job = wait_for(ended(queue, bad))
    assert (job.state, job.tries) == ("failed", 3)
    assert job.error[0] == "WorkerLost"
    assert "3 times" in job.error[1]
    assert words in job.error[1]
    assert wait_for(ended(queue, good)).state == "done"
    assert log(tmp_path).count("begin bad") == 3


def test_poison_in_the_midst_fails_too(queue, supervisor):
    spec = JobSpec("late_poison", "bad")
    queue.submit(spec, 2)
    job = wait_for(ended(queue, spec), 40)
    assert job.state == "failed"
    assert "without getting further" in job.error[1]


def test_an_urgent_job_that_kills_its_worker_is_not_blamed_on_the_sweep(queue, supervisor):
    sweep, bad = JobSpec("count", "sweep", (("steps", 40),)), JobSpec("poison", "bad")
    queue.submit(sweep, 2)
    wait_for(lambda: queue.get(sweep.key).done > 2)
    queue.submit(bad, 0)
    assert wait_for(ended(queue, bad)).state == "failed"
    job = wait_for(ended(queue, sweep))
    assert (job.state, job.tries) == ("done", 1)


def test_two_servers_on_one_cache_run_each_job_once(tmp_path, queue, supervisor):
    specs = [JobSpec("count", str(number), (("steps", 2),)) for number in range(12)]
    with Supervisor(tmp_path, tasks=TASKS, workers=2):
        wait_for(lambda: queue.workers_alive() == 3)
        for spec in specs:
            queue.submit(spec, 2)
        for spec in specs:
            assert wait_for(ended(queue, spec)).state == "done"
    assert sorted(line for line in log(tmp_path) if "begin" in line) == sorted(f"begin {n}" for n in range(12))


def test_running_job_is_cancelled_and_resumed(queue, supervisor):
    spec = JobSpec("count", "a", (("steps", 40),))
    queue.submit(spec, 2)
    wait_for(lambda: queue.get(spec.key).done > 2)
    assert queue.cancel(spec.key).stopping
    assert wait_for(ended(queue, spec)).state == "cancelled"
    queue.submit(spec, 2)
    assert wait_for(ended(queue, spec)).state == "done"


def test_a_worker_that_hangs_is_replaced(tmp_path, queue, monkeypatch):
    monkeypatch.setattr(supervisor_module, "HUNG_S", 4.0)
    spec = JobSpec("count", "a", (("steps", 10),))
    post = supervisor_module._WorkerSlot(queue, ["--cache", str(tmp_path), "--tasks", TASKS])

    def look():
        post.watch()
        post.end_if_hung()
        return queue.workers_alive()

    try:
        wait_for(look)
        (before,) = children("lurk.worker.worker")
        os.kill(before, signal.SIGSTOP)
        queue.submit(spec, 2)
        wait_for(lambda: look() and not is_alive(before))
        wait_for(ended(queue, spec))
    finally:
        post.stop()


def test_neither_supervisor_nor_queue_loads_torch():
    modules = "lurk.worker.supervisor, lurk.jobs.record_queue, lurk.storage.render_store, lurk.worker.worker"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_modules_in_the_working_folder_do_not_stand_in_for_others(tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("raise SystemExit(5)")
    monkeypatch.chdir(tmp_path)
    queue, spec = open_local_queue(tmp_path / "cache"), JobSpec("count", "a", (("steps", 1),))
    queue.submit(spec)
    with Supervisor(tmp_path / "cache", tasks=TASKS):
        assert wait_for(ended(queue, spec)).state == "done"


def test_how_a_worker_ended_is_said_in_words():
    assert how_it_ended(1) == "ended with exit status 1"
    assert "SIGSEGV" in how_it_ended(-signal.SIGSEGV)
    assert "memory" in how_it_ended(-signal.SIGKILL)
    assert "signal 63" in how_it_ended(-63)
