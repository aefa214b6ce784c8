"""What only the queue in a Redis has: bells, a lock that runs out, one clock, and errors that name the Redis."""

import base64
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from lurk.errors import LurkError, QueueError
from lurk.jobs import celery_queue as module
from lurk.jobs import redis_text_store
from lurk.jobs.celery_queue import GRACE_S, MESSAGES, TIME_LIMIT_S, VISIBILITY_S, celery_app, open_celery_queue
from lurk.jobs.open_queue import open_queue
from lurk.jobs.record_queue import LEASE_S
from lurk.jobs.redis_text_store import LOCK, RedisTexts
from lurk.records import JobSpec
from tests.jobs.conftest import Clock
from tests.jobs.test_record_queue import HAMMER, invariants, spec

REDIS_HAMMER = HAMMER.replace(
    "from lurk.jobs.open_queue import open_local_queue", "from lurk.jobs.celery_queue import open_celery_queue"
)
REDIS_HAMMER = REDIS_HAMMER.replace(
    "open_local_queue(Path(sys.argv[1]))", "open_celery_queue(sys.argv[1], sends_messages=False)"
)


@pytest.fixture
def ringing(redis_url):
    return open_celery_queue(redis_url, now=Clock())


def bells(redis_server):
    """What the messages that wait say, the first one first."""
    bodies = [json.loads(message)["body"] for message in redis_server.client().lrange(MESSAGES, 0, -1)]
    return [json.loads(base64.b64decode(body)) for body in bodies][::-1]


def test_a_message_holds_a_key_and_nothing_else(ringing, redis_server):
    job = ringing.submit(spec(secret="of the spec"), 2)
    ((arguments, options, embedded),) = bells(redis_server)
    assert (arguments, options) == ([job.key], {})
    assert not any(embedded.values())
    (message,) = redis_server.client().lrange(MESSAGES, 0, -1)
    assert json.loads(message)["content-type"] == "application/json"


def test_each_time_that_a_job_begins_to_wait_a_bell_is_rung(ringing, redis_server):
    key = ringing.submit(spec(), 2).key
    ringing.submit(spec(), 2)
    assert len(bells(redis_server)) == 1
    ringing.claim("w/1")
    ringing.release(key, "w/1")
    ringing.claim("w/2")
    ringing.lost("w", "ended")
    assert [arguments for arguments, *_ in bells(redis_server)] == [[key]] * 3


def test_a_bell_that_was_lost_is_rung_again_and_no_more_than_needed(ringing, redis_server):
    keys = [ringing.submit(spec(str(number)), 2).key for number in range(3)]
    for _ in range(3):
        ringing.sweep_leases()
    assert len(bells(redis_server)) == 3
    redis_server.client().delete(MESSAGES)
    ringing.claim("w/1")
    for _ in range(3):
        ringing.sweep_leases()
    assert [arguments for arguments, *_ in bells(redis_server)] == [[key] for key in keys[1:]]


def test_celery_is_set_as_is_safe():
    conf = celery_app("redis://127.0.0.1").conf
    assert list(conf.accept_content) == ["json"]
    assert conf.task_serializer == conf.result_serializer == conf.event_serializer == "json"
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == conf.worker_concurrency == 1
    assert conf.worker_pool == "solo"
    assert conf.task_ignore_result
    assert conf.result_backend is None
    assert conf.broker_transport_options["visibility_timeout"] == VISIBILITY_S
    assert TIME_LIMIT_S + GRACE_S < VISIBILITY_S
    assert conf.task_time_limit == TIME_LIMIT_S + GRACE_S


def test_a_change_that_was_held_up_for_longer_than_its_lock_is_not_made(redis_url, monkeypatch):
    monkeypatch.setattr(redis_text_store, "LOCK_S", 0.05)
    slow, other = RedisTexts(redis_url), RedisTexts(redis_url)

    def hold_up():
        with slow.transaction():
            slow.put("a", "old")
            time.sleep(0.2)
            other.put("a", "new")

    with pytest.raises(QueueError, match="took too long"):
        hold_up()
    assert other.get("a") == "new"


def test_a_lock_left_by_a_killed_process_runs_out(redis_url, redis_server, monkeypatch):
    redis_server.client().set(LOCK, "of the dead", px=200)
    texts = RedisTexts(redis_url)
    texts.put("a", "b")
    assert texts.get("a") == "b"
    monkeypatch.setattr(redis_text_store, "PATIENCE_S", 0.1)
    redis_server.client().set(LOCK, "of the living")
    with pytest.raises(QueueError, match="held for too long"):
        texts.put("a", "c")


def test_a_transaction_sees_its_own_changes_and_others_see_none_until_it_ends(redis_url):
    mine, other = RedisTexts(redis_url), RedisTexts(redis_url)
    mine.put("b", "1")
    with mine.transaction():
        mine.put("a", "0")
        mine.put("c", "2")
        mine.drop("b")
        assert mine.items() == {"a": "0", "c": "2"}
        assert (mine.get("a"), mine.get("b")) == ("0", None)
        assert other.items() == {"b": "1"}
        with mine.transaction():
            mine.put("d", "3")
        assert other.get("d") is None
    assert other.items() == {"a": "0", "c": "2", "d": "3"}
    with suppress(KeyError), mine.transaction():
        mine.put("a", "9")
        raise KeyError
    assert other.get("a") == "0"


def test_a_clock_that_is_set_back_ends_no_lease(redis_url):
    clock = Clock()
    queue = open_celery_queue(redis_url, now=clock, sends_messages=False)
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    queue.sweep_leases()
    for step in (-5000, +5000):
        clock.now += step
        assert queue.sweep_leases() == 0
        queue.beat(job.key, "w/1", 1, 2)
        clock.now += LEASE_S / 4
        assert queue.sweep_leases() == 0
    assert queue.get(job.key).state == "running"


def test_kills_at_any_moment_leave_the_queue_whole(redis_url, monkeypatch):
    queue = open_celery_queue(redis_url, sends_messages=False)
    for number in range(2):
        running = [
            subprocess.Popen([sys.executable, "-c", REDIS_HAMMER, redis_url, str(seed)], stdout=subprocess.PIPE)
            for seed in (2 * number, 2 * number + 1)
        ]
        for one in running:
            one.stdout.readline()
        time.sleep(0.1 + number / 10)
        for one in running:
            one.send_signal(signal.SIGKILL)
            with one:
                pass
        for one in (2 * number, 2 * number + 1):
            queue.lost(f"w{one}", "was killed", killed=True)
        invariants(queue)
    assert len(queue.jobs()) > 10


def test_two_processes_never_claim_the_same_job(redis_url):
    queue = open_celery_queue(redis_url, sends_messages=False)
    for number in range(120):
        queue.submit(spec(str(number)), number % 3)
    code = (
        "import sys; from lurk.jobs.celery_queue import open_celery_queue\n"
        "queue = open_celery_queue(sys.argv[1], sends_messages=False); number = 0\n"
        "while job := queue.claim(f'{sys.argv[2]}/{number}'):\n"
        "    print(job.spec.study); number += 1"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, redis_url, name], stdout=subprocess.PIPE, text=True)
        for name in "xy"
    ]
    claimed = [line for one in running for line in one.communicate()[0].split()]
    assert sorted(claimed, key=int) == [str(number) for number in range(120)]


def test_a_redis_that_is_not_there_or_refuses_is_named_in_one_line_without_the_password(redis_server, tmp_path):
    for url, words in (
        (redis_server.url().replace(str(redis_server.port), "1"), "does it run"),
        (redis_server.url().replace("of-the-tests-only", "hush"), "refuses the password"),
        (f"redis://127.0.0.1:{redis_server.port}/0", "refuses the password"),
    ):
        with pytest.raises(QueueError, match=words) as told:
            open_queue(url, tmp_path)
        assert "--queue" in str(told.value)
        assert "hush" not in str(told.value)
        assert "of-the-tests-only" not in str(told.value)


def test_a_redis_without_a_password_on_another_machine_is_never_asked(tmp_path):
    with pytest.raises(LurkError, match="without a password"):
        open_queue("redis://192.0.2.1:6379/0", tmp_path)


def test_the_queue_loads_no_torch():
    code = "import sys, lurk.jobs.celery_queue, lurk.worker.supervisor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_asked_for_while_no_bell_can_be_rung_is_kept(ringing, monkeypatch):
    def fail(*_arguments, **_options):
        raise module.kombu.exceptions.OperationalError("no broker")

    monkeypatch.setattr(ringing._notifier.app, "send_task", fail)
    assert ringing.submit(JobSpec("toy", "a"), 0).state == "queued"
    assert ringing.claim("w/1").spec.study == "a"
