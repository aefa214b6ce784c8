"""What every queue promises, shown of the local one and of the one in a Redis; then what only the local one has."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from lurk.errors import QueueError
from lurk.jobs import open_queue as factories
from lurk.jobs.job_record import Entry
from lurk.jobs.job_store import KEPT, LISTS
from lurk.jobs.open_queue import open_local_queue
from lurk.jobs.queue import Queue
from lurk.jobs.record_queue import KILLS, LEASE_S
from lurk.records import JobSpec, canonical


def spec(name="a", **parameters):
    return JobSpec("toy", name, tuple(parameters.items()))


def claim_all(queue, owner="w"):
    found = []
    while job := queue.claim(f"{owner}/{len(found)}"):
        found.append(job.spec.study)
    return found


def invariants(queue):
    """Each record's state agrees with the lists that it is in, and with no other."""
    lists = {name: json.loads(text) for name, text in queue._texts.items().items() if name in LISTS}
    entries = [Entry.read(text) for name, text in queue._texts.items().items() if name.startswith("job:")]
    for entry in entries:
        job = entry.job
        state = job.state if job.state in ("queued", "running") else "ended"
        expected = f"waiting:{job.lane}" if state == "queued" else state
        for name, rows in lists.items():
            assert [row for row in rows if row[1] == job.key] == [entry.row[1]] * (name == expected), (job, name)
    assert all(rows == sorted(rows) for rows in lists.values())
    assert sum(map(len, lists.values())) == len(entries) == len(queue.jobs())


def test_it_promises_what_a_queue_does(queue):
    promised: Queue = queue
    names = [name for name in vars(Queue) if not name.startswith("_")]
    assert all(callable(getattr(promised, name)) for name in names)


def test_better_lane_first_and_in_a_lane_first_come_first_served(queue):
    for name, lane in (("s1", 2), ("n1", 1), ("s2", 2), ("now1", 0), ("n2", 1), ("now2", 0)):
        queue.submit(spec(name), lane)
    assert claim_all(queue) == ["now1", "now2", "n1", "n2", "s1", "s2"]


def test_below_takes_only_better_lanes(queue):
    queue.submit(spec("sweep"), 2)
    queue.submit(spec("near"), 1)
    assert queue.claim("w/1", below=1) is None
    assert queue.claim("w/1", below=2).spec == spec("near")
    assert queue.claim("w/2", below=2) is None
    assert queue.claim("w/2", below=0) is None


def test_there_is_no_lane_3(queue):
    with pytest.raises(ValueError, match="not 3"):
        queue.submit(spec(), 3)


def test_equal_specs_are_one_job(queue):
    first = queue.submit(spec(x=1, y=2.5), 2)
    assert queue.submit(JobSpec("toy", "a", (("y", 2.5), ("x", 1))), 2).key == first.key
    assert len(queue.jobs()) == 1
    assert claim_all(queue) == ["a"]
    assert queue.submit(spec(x=1, y=2.5), 2).state == "running"


def test_a_waiting_job_moves_to_a_better_lane_and_never_back(queue):
    for name in "abc":
        queue.submit(spec(name), 2)
    assert queue.submit(spec("c"), 0).lane == 0
    assert queue.submit(spec("c"), 2).lane == 0
    invariants(queue)
    assert claim_all(queue) == ["c", "a", "b"]


def test_ahead_counts_who_waits_before_and_who_runs(queue):
    for name, lane in (("s1", 2), ("s2", 2), ("s3", 2), ("now", 0)):
        queue.submit(spec(name), lane)
    assert [queue.ahead(spec(name).key) for name in ("now", "s1", "s2", "s3")] == [0, 1, 2, 3]
    queue.claim("w/1")
    queue.claim("w/2")
    queue.submit(spec("late"), 0)
    assert [queue.ahead(spec(name).key) for name in ("late", "s2", "s3", "now", "nowhere")] == [1, 3, 4, 0, 0]


def test_done_stays_done_until_asked_again(queue):
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    queue.finish(job.key, "w/1", {"n": 1})
    done = queue.submit(spec(), 2)
    assert (done.state, done.result, done.owner) == ("done", {"n": 1}, None)
    assert queue.submit(spec(), 2, again=True).state == "queued"
    assert queue.get(job.key).result is None
    invariants(queue)


def test_failed_is_run_again_when_asked_for(queue):
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    queue.fail(job.key, "w/1", ("ModelError", "no such model"), "Traceback")
    failed = queue.get(job.key)
    assert (failed.state, failed.error, failed.traceback) == ("failed", ("ModelError", "no such model"), "Traceback")
    assert failed.ended is not None
    again = queue.submit(spec(), 1)
    assert (again.state, again.error, again.tries, again.lane) == ("queued", None, 0, 1)
    invariants(queue)


def test_only_the_owner_ends_a_job(queue):
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    queue.finish(job.key, "w/2", {})
    queue.fail(job.key, "x/1", ("E", "m"), None)
    queue.release(job.key, "")
    assert not queue.beat(job.key, "w/2", 1, 2)
    assert queue.get(job.key).state == "running"
    queue.finish(job.key, "w/1", None)
    queue.fail(job.key, "w/1", ("E", "m"), None)
    assert queue.get(job.key).state == "done"


def test_progress_is_kept(queue):
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    assert queue.beat(job.key, "w/1", 3, 9, "looking", 1.5)
    now = queue.get(job.key)
    assert (now.done, now.total, now.note, now.rate) == (3, 9, "looking", 1.5)
    assert queue.beat(job.key, "w/1", 3, 9, "x" * 9999, float("inf"))
    assert queue.get(job.key).rate is None
    assert len(queue.get(job.key).note) < 1000


def test_a_waiting_job_is_cancelled_at_once(queue):
    job = queue.submit(spec(), 2)
    assert queue.cancel(job.key).state == "cancelled"
    assert queue.claim("w/1") is None
    assert queue.cancel(job.key).state == "cancelled"
    assert queue.cancel("nowhere") is None
    invariants(queue)


def test_a_running_job_is_told_to_stop_at_its_next_beat(queue):
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    assert queue.beat(job.key, "w/1", 1, 2)
    assert queue.cancel(job.key).stopping
    assert not queue.beat(job.key, "w/1", 1, 2)
    queue.stopped(job.key, "w/1")
    now = queue.get(job.key)
    assert (now.state, now.stopping) == ("cancelled", False)
    invariants(queue)


def test_a_stop_taken_back_before_it_was_heard_changes_nothing(queue):
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    queue.cancel(job.key)
    assert queue.submit(spec(), 2).state == "running"
    assert queue.beat(job.key, "w/1", 1, 2)


def test_a_job_asked_for_while_it_stops_waits_again(queue):
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    queue.cancel(job.key)
    assert not queue.beat(job.key, "w/1", 1, 2)
    queue.submit(spec(), 2)
    queue.stopped(job.key, "w/1")
    assert queue.get(job.key).state == "queued"
    assert claim_all(queue) == ["a"]


def test_a_lease_lasts_while_it_is_renewed(queue, clock):
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    for _ in range(10):
        clock.now += LEASE_S / 3
        assert queue.beat(job.key, "w/1", 0, 0)
        assert queue.sweep_leases() == 0
    assert queue.get(job.key).state == "running"


def after_lease(queue, clock):
    for _ in range(3):
        clock.now += LEASE_S / 2.5
        taken = queue.sweep_leases()
    return taken


def test_a_job_whose_lease_ran_out_waits_again_and_its_old_owner_is_told(queue, clock):
    queue.submit(spec(), 2)
    queue.claim("w/1")
    assert after_lease(queue, clock) == 1
    job = queue.claim("x/1")
    assert (job.tries, job.spec) == (2, spec())
    assert not queue.beat(job.key, "w/1", 5, 9)
    queue.finish(job.key, "w/1", {"by": "the old one"})
    assert queue.get(job.key).state == "running"
    invariants(queue)


def test_a_sweeper_that_slept_gives_the_workers_time_to_beat(queue, clock):
    queue.submit(spec(), 2)
    job = queue.claim("w/1")
    queue.sweep_leases()
    clock.now += 3600
    assert queue.sweep_leases() == 0
    queue.beat(job.key, "w/1", 1, 2)
    clock.now += 1
    assert queue.sweep_leases() == 0
    assert queue.get(job.key).state == "running"


def test_steps_of_the_wall_clock_do_no_harm(queue, clock, monkeypatch):
    queue.submit(spec(), 2)
    queue.claim("w/1")
    for step in (86_400, -86_400):
        monkeypatch.setattr(time, "time", lambda step=step: 1.7e9 + step)
        clock.now += 1
        assert queue.sweep_leases() == 0
    assert queue.get(spec().key).state == "running"


@pytest.mark.local
def test_a_lease_from_before_a_restart_of_the_machine_has_run_out(tmp_path, queue, clock, monkeypatch):
    queue.submit(spec(), 2)
    queue.claim("w/1")
    queue.present("w")
    monkeypatch.setattr(factories, "boot_id", lambda: "another")
    again = open_local_queue(tmp_path, now=clock)
    assert again.workers_alive() == 0
    assert again.sweep_leases() == 1
    assert again.get(spec().key).state == "queued"


def test_a_monotonic_clock_that_began_anew_ends_leases_too(queue, clock):
    queue.submit(spec(), 2)
    queue.claim("w/1")
    clock.now = 5.0
    assert queue.sweep_leases() == 1


def test_poison_fails_after_three_tries_and_lets_others_by(queue):
    queue.submit(spec("bad"), 2)
    queue.submit(spec("good"), 2)
    order = []
    for number in range(4):
        job = queue.claim(f"w{number}/1")
        order.append(job.spec.study)
        if job.spec == spec("good"):
            queue.finish(job.key, f"w{number}/1", None)
        else:
            assert queue.lost(f"w{number}", "was ended by SIGSEGV") == 1
    assert order == ["bad", "good", "bad", "bad"]
    job = queue.get(spec("bad").key)
    assert (job.state, job.tries) == ("failed", 3)
    assert job.error == ("WorkerLost", "this job ended its worker 3 times; the last time it was ended by SIGSEGV")
    assert queue.claim("w/9") is None
    invariants(queue)


def lose(queue, number, done=0, killed=False):
    job = queue.claim(f"w{number}/1")
    queue.beat(job.key, f"w{number}/1", done, 100)
    queue.lost(f"w{number}", "ended", killed=killed)
    return queue.get(job.key).state


def test_a_job_that_gets_further_each_time_is_never_given_up(queue):
    queue.submit(spec(), 2)
    assert [lose(queue, number, done=number + 1) for number in range(12)] == ["queued"] * 12


def test_a_job_that_ends_its_worker_at_the_same_place_is_given_up(queue):
    queue.submit(spec(), 2)
    assert [lose(queue, number, done=7) for number in range(3)] == ["queued", "queued", "failed"]
    assert "3 times without getting further" in queue.get(spec().key).error[1]


def test_kills_by_somebody_else_are_not_the_jobs_fault_within_reason(queue):
    queue.submit(spec("first"), 2)
    queue.submit(spec("second"), 2)
    states = [lose(queue, number, killed=True) for number in range(KILLS)]
    assert states == ["queued"] * KILLS
    assert queue.get(spec("first").key).tries == 0
    assert queue.ahead(spec("second").key) == 1
    for number in range(KILLS, 2 * (KILLS + 3)):
        lose(queue, number, killed=True)
    assert [job.state for job in queue.jobs()] == ["failed", "failed"]
    assert queue.claim("w/1") is None


def test_a_job_that_made_way_is_not_blamed(queue):
    queue.submit(spec("sweep"), 2)
    queue.claim("w/1")
    queue.submit(spec("click"), 0)
    queue.claim("w/2", below=2)
    assert queue.lost("w", "ended") == 2
    assert queue.get(spec("sweep").key).tries == 0
    assert queue.get(spec("click").key).tries == 1


def test_only_the_lost_workers_jobs_are_taken_back(queue):
    for name in "ab":
        queue.submit(spec(name), 2)
    queue.claim("one/1")
    queue.claim("onemore/1")
    assert queue.lost("one", "ended") == 1
    assert queue.get(spec("b").key).state == "running"


def test_a_job_lost_while_it_stops_is_cancelled(queue):
    queue.submit(spec(), 2)
    queue.claim("w/1")
    queue.cancel(spec().key)
    queue.lost("w", "ended")
    assert queue.get(spec().key).state == "cancelled"


def test_a_job_given_back_waits_where_it_was(queue):
    for name in "ab":
        queue.submit(spec(name), 2)
    job = queue.claim("w/1")
    queue.release(job.key, "w/1")
    assert queue.get(job.key).tries == 0
    assert claim_all(queue) == ["a", "b"]


def test_workers_count_while_they_give_signs_of_life(queue, clock):
    assert queue.workers_alive() == 0
    queue.present("a")
    queue.present("b")
    assert queue.workers_alive() == 2
    queue.absent("b")
    clock.now += 4
    queue.present("a")
    clock.now += 4
    assert queue.workers_alive() == 1
    clock.now += 4
    assert queue.workers_alive() == 0
    assert queue.silence_s("a") == 8
    assert queue.silence_s("nobody") == 0


def test_jobs_are_listed_newest_first(queue):
    for name in "abc":
        queue.submit(spec(name), 2)
    queue.submit(spec("a"), 0)
    assert [job.spec.study for job in queue.jobs()] == ["c", "b", "a"]


@pytest.mark.local
@pytest.mark.parametrize("count", [KEPT // 10, pytest.param(KEPT, marks=pytest.mark.slow)])
def test_many_waiting_jobs_are_quick(queue, count):
    began = time.process_time()
    for number in range(count):
        queue.submit(spec(str(number)), 2)
    last = spec(str(count - 1)).key
    for _ in range(100):
        assert queue.ahead(last) == count - 1
    assert len(queue.jobs()) == count
    for number in range(count):
        job = queue.claim(f"w/{number}")
        assert job.spec.study == str(number)
        queue.finish(job.key, f"w/{number}", None)
    assert time.process_time() - began < count / KEPT * 20
    assert len(queue.jobs()) == count


def test_ended_jobs_are_bounded(queue, monkeypatch):
    monkeypatch.setattr("lurk.jobs.job_store.KEPT", 20)
    for number in range(20):
        queue.submit(spec(str(number)), 2)
    for number in range(20):
        queue.finish(queue.claim(f"w/{number}").key, f"w/{number}", None)
    for number in range(3):
        queue.submit(spec(f"more {number}"), 2)
        queue.cancel(spec(f"more {number}").key)
    names = {job.spec.study for job in queue.jobs()}
    assert len(names) == 20
    assert {"more 0", "more 1", "more 2", "3"} <= names
    assert not {"0", "1", "2"} & names
    invariants(queue)


def test_a_damaged_record_is_reported_and_does_not_hold_up_others(queue):
    bad = queue.submit(spec("bad"), 2)
    queue.submit(spec("good"), 2)
    queue._texts.put(f"job:{bad.key}", '{"job": {}}')
    with pytest.raises(QueueError, match="damaged"):
        queue.get(bad.key)
    assert [job.spec.study for job in queue.jobs()] == ["good"]
    assert claim_all(queue) == ["good"]
    assert queue.submit(spec("bad"), 2).state == "queued"


def many_states(queue):
    """Fill a queue with jobs of every state; returns the places of those that wait."""
    for number in range(9):
        queue.submit(spec(str(number)), number % 3, person=f"p{number % 2}")
    queue.submit(spec("8"), 2, person="ann")
    for number in range(4):
        queue.claim(f"w/{number}")
    queue.finish(spec("0").key, "w/0", {"n": 1})
    queue.fail(spec("3").key, "w/1", ("E", "m"))
    queue.present("w")
    return queue.places()


@pytest.mark.parametrize("damage", ["{", "", "7", None])
@pytest.mark.parametrize("name", LISTS)
def test_a_damaged_list_is_made_anew(queue, name, damage):
    places, jobs = many_states(queue), queue.jobs()
    if damage is None:
        queue._texts.drop(name)
    else:
        queue._texts.put(name, damage)
    assert queue.places() == places
    assert queue.jobs() == jobs
    assert queue.submit(spec("new"), 2).state == "queued"
    queue.finish(queue.claim("w/9").key, "w/9", None)
    invariants(queue)


def test_the_queue_of_an_earlier_version_goes_on(queue):
    """That version kept a text for each row, and for some waiting jobs the key alone."""
    places, jobs = many_states(queue), queue.jobs()
    texts = queue._texts
    with texts.transaction():
        for number, job in enumerate(queue._records.waiting()):
            row = canonical([job.key, *job.people]) if number % 2 else job.key
            texts.put(f"wait:{job.lane}:{job.ticket:015d}", row)
        for number, (_, key) in enumerate(json.loads(texts.get("ended"))):
            texts.put(f"over:{number:015d}", key)
        for key, lane in queue._records.running().items():
            texts.put(f"run:{key}", str(lane))
        texts.put("worker:w", canonical(["", 1.0]))
        for name in (*LISTS, "workers"):
            texts.drop(name)
    assert queue.places() == places
    assert queue.jobs() == jobs
    assert not [name for name in texts.items() if name.startswith(("wait:", "over:", "run:", "worker:"))]
    invariants(queue)
    assert queue.lost("w", "ended") == 2
    assert sorted(claim_all(queue)) == ["1", "2", "4", "5", "6", "7", "8"]


def test_workers_that_were_silent_for_long_are_forgotten(queue, clock):
    queue.present("old")
    clock.now += 601
    queue.present("new")
    assert queue.silence_s("old") == 0
    assert list(json.loads(queue._texts.get("workers"))) == ["new"]


def test_texts_of_any_kind_pass(queue):
    queue.submit(spec("snow ☃ \ud800", text='quote " and \0'), 2)
    job = queue.claim("w/1")
    assert job.spec.get("text") == 'quote " and \0'
    queue.fail(job.key, "w/1", ("E", "x" * 10_000), "t" * 100_000 + "the end")
    kept = queue.get(job.key)
    assert len(kept.error[1]) < 5000
    assert len(kept.traceback) < 50_000
    assert kept.traceback.endswith("the end")


HAMMER = """
import random, sys
from pathlib import Path
from lurk.jobs.open_queue import open_local_queue
from lurk.records import JobSpec, canonical
queue, seed = open_local_queue(Path(sys.argv[1])), int(sys.argv[2])
chance = random.Random(seed)
print("up", flush=True)
for number in range(10**9):
    name = f"w{seed}/{number}"
    queue.submit(JobSpec("toy", str(chance.randrange(40))), chance.randrange(3), again=chance.random() < 0.5)
    job = queue.claim(name)
    if job:
        queue.beat(job.key, name, number, 10**9)
        what = chance.randrange(6)
        if what == 0:
            queue.cancel(job.key)
            queue.stopped(job.key, name)
        elif what == 1:
            queue.fail(job.key, name, ("E", "m"), "t")
        elif what == 2:
            queue.release(job.key, name)
        elif what == 3:
            queue.lost(f"w{seed}", "ended", killed=True)
        else:
            queue.finish(job.key, name, {"n": number})
"""


def test_kills_at_any_moment_leave_the_queue_whole(tmp_path):
    chance = random.Random(5)
    for number in range(6):
        running = [
            subprocess.Popen([sys.executable, "-c", HAMMER, str(tmp_path), str(seed)], stdout=subprocess.PIPE)
            for seed in (2 * number, 2 * number + 1)
        ]
        for one in running:
            one.stdout.readline()
        time.sleep(chance.random() * 0.3)
        for one in running:
            one.send_signal(signal.SIGKILL)
            with one:
                pass
        queue = open_local_queue(tmp_path)
        for one in (2 * number, 2 * number + 1):
            queue.lost(f"w{one}", "was killed", killed=True)
        invariants(queue)
    assert len(queue.jobs()) > 10


def test_two_processes_never_claim_the_same_job(tmp_path):
    queue = open_local_queue(tmp_path)
    for number in range(200):
        queue.submit(spec(str(number)), number % 3)
    code = (
        "import sys; from pathlib import Path; from lurk.jobs.open_queue import open_local_queue\n"
        "queue = open_local_queue(Path(sys.argv[1])); number = 0\n"
        "while job := queue.claim(f'{sys.argv[2]}/{number}'):\n"
        "    print(job.spec.study); number += 1"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], stdout=subprocess.PIPE, text=True)
        for name in "xy"
    ]
    claimed = [line for one in running for line in one.communicate()[0].split()]
    assert sorted(claimed, key=int) == [str(number) for number in range(200)]
