"""Workers on a Redis, started as a user starts them: sweeps in shards, kills of workers and of the Redis itself.

`LURK_LONG=1` makes the kills ten.
"""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import pytest

import lurk
from lurk.config.options import Settings
from lurk.jobs.celery_queue import open_celery_queue
from lurk.storage.index import Index
from lurk.storage.manifest import index_folder
from tests.acceptance.server import ROOT, command_line, descendants, is_alive
from tests.acceptance.toy_study import toy_study
from tests.index_equality import assert_same_but_for_rounding
from tests.real_redis import real_redis

IMAGES = 41
KILLS = 10 if os.environ.get("LURK_LONG") else 1

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    # of a connection that a killed Redis has cut off, left to the garbage collector by the client
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


class Lab:
    """A Redis, two worker commands on it, and one cache directory."""

    def __init__(self, folder, redis):
        self.redis, self.cache, self.url = redis, folder / "cache", redis.url()
        self.queue = open_celery_queue(self.url)
        self.study = toy_study(folder, images=IMAGES - 1, pause_s=0.08)
        self.machines = []

    def command(self, *arguments):
        environment = {**os.environ, "LURK_QUEUE": self.url}
        command = [sys.executable, "-m", "lurk", *arguments, "--cache", str(self.cache)]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)

    def spec(self, top, shards):
        """The job of a sweep."""
        where = {"model": self.study[1], "data": self.study[3], "cache": str(self.cache)}
        return Settings(**where, batch_size=4, workers=1, top=top, shards=shards).sweep_spec()

    def workers(self):
        return [pid for machine in self.machines for pid in descendants(machine.pid) if is_worker(pid)]

    def wait(self, found, timeout_s=120):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            with suppress(lurk.LurkError):
                if value := found():
                    return value
            time.sleep(0.05)
        raise AssertionError([(job.spec.kind, job.state, job.done, job.note) for job in self.queue.jobs()])

    def end_of(self, spec):
        """The job of a sweep, once it has ended."""
        return self.wait(lambda: (job := self.queue.get(spec.key)).state in ("done", "failed") and job)


def is_worker(pid):
    return "lurk.worker.worker" in command_line(pid) and is_alive(pid)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    (folder / "redis").mkdir()
    with ExitStack() as stack:
        lab = Lab(folder, stack.enter_context(real_redis(folder / "redis")))
        (folder / "images" / "class0" / "bad.png").write_bytes(b"no picture")
        for _ in range(2):
            lab.machines.append(stack.enter_context(lab.command("worker")))
        try:
            lab.wait(lambda: lab.queue.workers_alive() == 2)
            yield lab
        finally:
            family = [pid for machine in lab.machines for pid in descendants(machine.pid)]
            for machine in lab.machines:
                machine.send_signal(signal.SIGTERM)
            errors = [machine.communicate(timeout=30)[1] for machine in lab.machines]
            assert not [pid for pid in family if is_alive(pid)], errors


def assert_as_of_one_worker(lab, job, top, folder):
    """The index that a job made is that of an undisturbed sweep in one process but for the rounding of sums."""
    model, images = lurk.load_model(lab.study[1]), lurk.load_images(lab.study[3])
    one = lurk.sweep(model, images, top=top, cache=folder / "one", batch_size=4, workers=2)
    index = Index(index_folder(lab.cache, str(job.result["index"])))
    assert index.key == one.key
    assert index.manifest.skipped == one.manifest.skipped
    assert_same_but_for_rounding(index, one)
    views = [sorted(file.name for file in (found.folder / "views").glob("*/*")) for found in (index, one)]
    assert views[0] == views[1]
    assert not (index.folder / "shards").exists()


def shards(lab):
    return [job for job in lab.queue.jobs() if job.spec.kind == "shard"]


def test_two_workers_share_a_sweep_and_its_index_is_that_of_one(lab, tmp_path):
    spec = lab.spec(3, 4)
    with lab.command("sweep", *lab.study, "--top", "3", "--shards", "4") as sweep:
        errors = sweep.communicate(timeout=200)[1]
    assert (sweep.returncode, "skipped class0/bad.png" in errors) == (0, True), errors
    job = lab.queue.get(spec.key)
    assert (job.state, job.done, job.total, job.tries) == ("done", IMAGES, IMAGES, 1)
    assert [one.state for one in shards(lab)].count("failed") == 0
    assert any(one.done for one in shards(lab))
    assert_as_of_one_worker(lab, job, 3, tmp_path)


def test_workers_killed_in_mid_sweep_cost_no_more_than_their_shard(lab, tmp_path):
    chance = random.Random(0)
    spec = lab.spec(4, 4)
    lab.queue.submit(spec, 2)
    for _ in range(KILLS):
        lab.wait(lambda: lab.queue.get(spec.key).state != "running" or lab.queue.get(spec.key).done > 4)
        victims = lab.workers()
        if victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
        time.sleep(chance.random())
    job = lab.end_of(spec)
    assert job.state == "done"
    assert_as_of_one_worker(lab, job, 4, tmp_path)


def test_the_redis_killed_and_started_again_in_mid_sweep_loses_nothing(lab, tmp_path):
    spec = lab.spec(5, 3)
    lab.queue.submit(spec, 2)
    for _ in range(KILLS):
        lab.wait(lambda: lab.queue.get(spec.key).done > 4)
        before = {job.key for job in lab.queue.jobs()}
        lab.redis.kill()
        time.sleep(1)
        lab.redis.start()
        assert before <= {job.key for job in lab.queue.jobs()}
    job = lab.end_of(spec)
    assert (job.state, job.done, job.tries) == ("done", IMAGES, 1)
    assert_as_of_one_worker(lab, job, 5, tmp_path)


def test_a_server_shows_what_the_workers_of_another_process_do(lab):
    from tests.acceptance.server import real_server

    environment = (("LURK_QUEUE", lab.url),)
    with real_server(lab.cache.parent, *lab.study, "--top", "3", environment=environment) as server:
        (study,) = server.json("studies")
        status = server.wait(study["name"], lambda now: now["state"] == "done")
        assert status["workers"] == 2
        assert status["images_indexed"] == IMAGES
        assert not [pid for pid in descendants(server.process.pid) if is_worker(pid)]
