"""Persons take turns: the order, the place, the limits, and jobs that several asked for."""

import pytest

from lurk.errors import QueueFullError
from lurk.jobs.open_queue import open_local_queue
from lurk.jobs.queue import MOST_PEOPLE, Limits
from lurk.jobs.turns import REMEMBERED, Waiting, after_turn, in_turn
from lurk.records import JobSpec

LIMITS = Limits(total=5, person=3)


@pytest.fixture
def queue(tmp_path):
    return open_local_queue(tmp_path)


def spec(name):
    return JobSpec("toy", name)


def ask(queue, names, person, lane=0, **more):
    return [queue.submit(spec(name), lane, person=person, **more) for name in names]


def run_all(queue):
    found = []
    while job := queue.claim(f"w/{len(found)}"):
        queue.finish(job.key, f"w/{len(found)}", None)
        found.append(job.spec.study)
    return found


def test_a_persons_jobs_run_first_come_first_served_and_persons_take_turns(queue):
    ask(queue, ["a1", "a2", "a3", "a4"], "ann")
    ask(queue, ["b1", "b2"], "bob")
    ask(queue, ["c1"], "cid")
    assert run_all(queue) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_nobodys_thousand_jobs_delay_anothers_one(queue):
    jobs = [Waiting(0, number, f"a{number}", ("ann",)) for number in range(1000)]
    jobs.append(Waiting(0, 1000, "b", ("bob",)))
    order = [job.key for job, _ in in_turn(jobs, {"ann": 7})]
    assert order[0] == "b"
    assert order[1:] == [f"a{number}" for number in range(1000)]
    assert [job.key for job, _ in in_turn(jobs, {})].index("b") == 1


def test_who_asks_for_one_job_after_the_other_waits_for_one_of_anothers_at_most(queue):
    ask(queue, [f"a{number}" for number in range(12)], "ann")
    seen = []
    for number in range(5):
        ask(queue, [f"b{number}"], "bob")
        while not seen or seen[-1] != f"b{number}":
            job = queue.claim(f"w/{len(seen)}")
            queue.finish(job.key, job.owner, None)
            seen.append(job.spec.study)
    assert seen == ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3", "a4", "b4"]


def test_a_job_taken_out_gives_its_place_to_the_persons_next(queue):
    ask(queue, ["a1", "a2", "a3"], "ann")
    ask(queue, ["b1", "b2", "b3"], "bob")
    queue.cancel(spec("a1").key)
    queue.cancel(spec("a2").key)
    assert run_all(queue) == ["a3", "b1", "b2", "b3"]


def test_lanes_come_before_turns(queue):
    ask(queue, ["s1"], "bob", lane=2)
    ask(queue, ["n1"], "ann", lane=1)
    ask(queue, ["a1", "a2"], "ann")
    assert run_all(queue) == ["a1", "a2", "n1", "s1"]


def test_ahead_tells_the_true_place(queue):
    ask(queue, ["a1", "a2", "a3"], "ann")
    ask(queue, ["b1", "b2"], "bob")
    ask(queue, ["n1"], "ann", lane=1)
    places = queue.places()
    order = sorted(places, key=places.__getitem__)
    assert [queue.get(key).spec.study for key in order] == ["a1", "b1", "a2", "b2", "a3", "n1"]
    assert [queue.ahead(key) for key in order] == [0, 1, 2, 3, 4, 5]
    queue.claim("w/1")
    assert [queue.ahead(spec(name).key) for name in ("b1", "a2", "b2", "a3")] == [1, 2, 3, 4]
    assert run_all(queue) == ["b1", "a2", "b2", "a3", "n1"]


def test_a_job_of_two_runs_at_the_first_turn_of_either(queue):
    ask(queue, ["a1", "a2", "a3", "shared"], "ann")
    ask(queue, ["shared", "b1"], "bob")
    assert queue.get(spec("shared").key).people == ("ann", "bob")
    assert len(queue.jobs()) == 5
    assert run_all(queue) == ["a1", "shared", "a2", "b1", "a3"]


@pytest.mark.parametrize("is_running", [False, True])
def test_a_job_of_two_ends_when_both_leave_it(queue, is_running):
    ask(queue, ["x"], "ann")
    ask(queue, ["x"], "bob")
    ask(queue, ["x"], "bob")
    if is_running:
        queue.claim("w/1")
    state = "running" if is_running else "queued"
    assert queue.cancel(spec("x").key, "ann").state == state
    assert (queue.get(spec("x").key).person, queue.get(spec("x").key).others) == ("bob", ())
    assert queue.cancel(spec("x").key, "bob").state == ("running" if is_running else "cancelled")
    assert queue.get(spec("x").key).stopping is is_running


def test_an_admin_ends_a_job_whoever_wants_it(queue):
    ask(queue, ["x"], "ann")
    ask(queue, ["x"], "bob")
    assert queue.cancel(spec("x").key).state == "cancelled"


def test_who_asks_for_a_job_that_stops_has_it_alone(queue):
    ask(queue, ["x"], "ann")
    queue.claim("w/1")
    queue.cancel(spec("x").key, "ann")
    job = queue.submit(spec("x"), person="bob")
    assert (job.people, job.stopping) == (("bob",), False)


def test_the_list_of_people_stays_short(queue):
    for number in range(MOST_PEOPLE + 5):
        job = queue.submit(spec("x"), person=f"p{number}")
    assert len(job.people) == len(queue.get(job.key).people) == MOST_PEOPLE


def test_the_same_request_of_20_people_is_one_job(queue):
    keys = {queue.submit(spec("x"), person=f"p{number}").key for number in range(20)}
    assert len(keys) == len(queue.jobs()) == 1
    assert run_all(queue) == ["x"]


def test_a_full_queue_says_how_many_are_ahead(queue):
    ask(queue, ["a1", "a2", "a3"], "ann", limits=LIMITS)
    with pytest.raises(QueueFullError, match=r"queue full: 3 of your jobs wait.*3 ahead.*--queue-limit-person"):
        ask(queue, ["a4"], "ann", limits=LIMITS)
    ask(queue, ["b1", "b2"], "bob", limits=LIMITS)
    with pytest.raises(QueueFullError, match=r"queue full, 5 ahead.*--queue-limit"):
        ask(queue, ["c1"], "cid", limits=LIMITS)
    assert len(queue.jobs()) == 5


def test_what_waits_already_and_sweeps_are_let_in_to_a_full_queue(queue):
    ask(queue, ["a1", "a2", "a3"], "ann", limits=LIMITS)
    assert ask(queue, ["a1"], "ann", limits=LIMITS)[0].state == "queued"
    assert ask(queue, ["sweep"], "ann", lane=2, limits=LIMITS)[0].state == "queued"


def test_there_is_room_again_once_a_job_has_begun(queue):
    ask(queue, ["a1", "a2", "a3"], "ann", limits=LIMITS)
    queue.claim("w/1")
    ask(queue, ["a4"], "ann", limits=LIMITS)


def test_without_a_log_in_only_the_total_counts(queue):
    ask(queue, [f"a{number}" for number in range(5)], "", limits=LIMITS)
    with pytest.raises(QueueFullError, match="5 ahead"):
        ask(queue, ["more"], "", limits=LIMITS)


def test_turns_of_the_latest_persons_are_remembered():
    turns: dict[str, int] = {}
    for number in range(REMEMBERED + 10):
        turns = after_turn(turns, f"p{number}", number)
    assert len(turns) == REMEMBERED
    assert "p0" not in turns
    assert after_turn({"a": 1, "b": 2}, "a", 3) == {"b": 2, "a": 3}


def test_damaged_turns_begin_anew(queue):
    ask(queue, ["a1"], "ann")
    ask(queue, ["b1"], "bob")
    queue._texts.put("turns:0", "{")
    assert run_all(queue) == ["a1", "b1"]


def test_a_thousand_waiting_jobs_survive_a_restart(tmp_path):
    before = open_local_queue(tmp_path)
    with before._texts.transaction():
        for number in range(1000):
            before.submit(spec(str(number)), number % 3, person=f"p{number % 7}")
    before._texts.close()
    after = open_local_queue(tmp_path)
    assert len(after.places()) == 1000
    assert {job.state for job in after.jobs()} == {"queued"}
    assert sorted(after.places().values()) == list(range(1000))
