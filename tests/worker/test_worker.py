"""The worker: jobs run inline; every way that a job can end is told to the queue."""

import json
import threading
import time

import pytest

from lurk.errors import Cancelled, ModelError
from lurk.jobs.open_queue import open_local_queue
from lurk.records import JobSpec
from lurk.worker.worker import BEAT_S, Worker
from tests.toy_tasks import run as toys


@pytest.fixture
def queue(tmp_path):
    return open_local_queue(tmp_path)


def spec(name="a", **parameters):
    return JobSpec("toy", name, tuple(parameters.items()))


def run_one(queue, cache, task, **given):
    job = queue.submit(spec(**given), 2)
    assert Worker(cache, task).run_next()
    return queue.get(job.key)


def test_nothing_to_do_is_said(tmp_path):
    assert not Worker(tmp_path, toys).run_next()


def test_a_job_gets_its_spec_and_the_cache_and_its_result_is_kept(tmp_path, queue):
    def task(asked, context):
        context.report(3, 4, "nearly", 2.0)
        return {"n": asked.get("n"), "cache": str(context.cache)}

    job = run_one(queue, tmp_path, task, n=7)
    assert (job.state, job.result) == ("done", {"n": 7, "cache": str(tmp_path)})


def test_a_users_mistake_is_kept_without_a_traceback(tmp_path, queue):
    def task(asked, context):
        raise ModelError("no model is called x; name another with --model")

    job = run_one(queue, tmp_path, task)
    assert (job.state, job.traceback) == ("failed", None)
    assert job.error == ("ModelError", "no model is called x; name another with --model")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("where"), "where"),
        (MemoryError(), "--batch-size"),
        (RecursionError("deep"), "deep"),
        (OSError(), "no"),
    ],
)
def test_any_other_error_is_kept_with_its_traceback_and_the_next_job_runs(tmp_path, queue, error, words):
    def task(asked, context):
        raise error

    job = run_one(queue, tmp_path, task)
    assert job.error[0] == type(error).__name__
    assert words in job.error[1]
    assert "in task" in job.traceback
    assert run_one(queue, tmp_path, lambda asked, context: None, n=2).state == "done"


@pytest.mark.parametrize("result", [{"x": object()}, {"x": float("nan")}, {1: {2}}])
def test_a_result_that_is_no_json_is_an_error_of_the_task(tmp_path, queue, result):
    job = run_one(queue, tmp_path, lambda asked, context: result)
    assert job.state == "failed"


def test_an_interrupt_passes_and_the_job_stays_with_the_lost_worker(tmp_path, queue):
    for kind in (KeyboardInterrupt, SystemExit):

        def task(asked, context, kind=kind):
            raise kind

        queue.submit(spec(kind.__name__), 2)
        with pytest.raises(kind):
            Worker(tmp_path, task).run_next()
        assert queue.get(spec(kind.__name__).key).state == "running"


def test_a_task_hears_of_a_stop_when_it_reports(tmp_path, queue):
    steps = []

    def task(asked, context):
        for step in range(1000):
            steps.append(step)
            context.report(step, 1000)
            if step == 2:
                queue.cancel(asked.key)
                worker.beat()
        return {}

    worker = Worker(tmp_path, task)
    job = queue.submit(spec(), 2)
    worker.run_next()
    assert queue.get(job.key).state == "cancelled"
    assert steps == [0, 1, 2, 3]


def test_a_task_that_lost_its_job_stops_and_changes_nothing(tmp_path, queue):
    def task(asked, context):
        queue.lost(worker.name, "seemed dead")
        queue.claim("other/1")
        worker.beat()
        with pytest.raises(Cancelled):
            context.report(1, 2)
        context.report(1, 2)

    worker = Worker(tmp_path, task)
    job = queue.submit(spec(), 2)
    worker.run_next()
    assert (queue.get(job.key).state, queue.get(job.key).owner) == ("running", "other/1")


def test_a_sweep_lets_better_lanes_through_and_no_deeper(tmp_path, queue):
    order = []

    def task(asked, context):
        order.append(f"begin {asked.study}")
        if asked.study == "sweep":
            for name, lane in (("other sweep", 2), ("near", 1), ("click", 0)):
                queue.submit(spec(name), lane)
        if asked.study == "near":
            queue.submit(spec("late click"), 0)
        context.give_way()
        order.append(f"end {asked.study}")

    worker = Worker(tmp_path, task)
    queue.submit(spec("sweep"), 2)
    assert worker.run_next()
    assert order == [
        "begin sweep",
        *("begin click", "end click"),
        *("begin near", "end near"),
        *("begin late click", "end late click"),
        "end sweep",
    ]
    assert queue.get(spec("other sweep").key).state == "queued"
    assert {job.state for job in queue.jobs() if job.spec != spec("other sweep")} == {"done"}


def test_a_failing_job_that_was_let_through_leaves_the_sweep_alone(tmp_path, queue):
    def task(asked, context):
        if asked.study == "click":
            raise ValueError("bad")
        queue.submit(spec("click"), 0)
        context.give_way()
        return {"whole": True}

    queue.submit(spec("sweep"), 2)
    Worker(tmp_path, task).run_next()
    assert queue.get(spec("click").key).state == "failed"
    assert queue.get(spec("sweep").key).result == {"whole": True}


def test_cancelling_the_one_let_through_does_not_stop_the_sweep(tmp_path, queue):
    def task(asked, context):
        if asked.study == "click":
            queue.cancel(asked.key)
            worker.beat()
            context.report(0, 0)
        queue.submit(spec("click"), 0)
        context.give_way()

    worker = Worker(tmp_path, task)
    queue.submit(spec("sweep"), 2)
    worker.run_next()
    assert queue.get(spec("click").key).state == "cancelled"
    assert queue.get(spec("sweep").key).state == "done"


def drawing(order, draft=3, total=6):
    """A task like that of a picture: a draft and the rest of it, and it steps aside."""

    def task(asked, context):
        for step in range(context.kept.get("done", 0), total):
            order.append(f"{asked.study} {step}")
            context.kept["done"] = step + 1
            context.report(step + 1, total)
            submit = asked.get(f"at {step}")
            if submit:
                context.queue.submit(spec(submit), int(asked.get("lane") or 0))
            context.step_aside(is_seen=step >= 1, is_draft=step + 1 >= draft)
        return {"steps": total}

    return task


def run_all(worker):
    while worker.run_next():
        pass


def test_a_newer_job_is_drafted_first_and_the_older_one_is_completed_first(tmp_path, queue):
    order = []
    queue.submit(spec("old", **{"at 0": "new"}), 0)
    run_all(Worker(tmp_path, drawing(order)))
    assert order == [
        *("old 0", "old 1"),  # a newer one waits from step 0 on; at step 1 there is something to see
        *("new 0", "new 1", "new 2"),
        *("old 2", "old 3", "old 4", "old 5"),
        *("new 3", "new 4", "new 5"),
    ]
    assert {job.state for job in queue.jobs()} == {"done"}
    assert {job.tries for job in queue.jobs()} == {1}


def test_all_drafts_come_before_any_rest_and_a_better_lane_before_all(tmp_path, queue):
    order = []
    for name in ("one", "two"):
        queue.submit(spec(name, lane=0, **({"at 0": "click"} if name == "two" else {})), 1)
    run_all(Worker(tmp_path, drawing(order)))
    names = [entry.split()[0] for entry in order]
    assert [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name] == [
        "one", "two", "click", "one", "two", "one", "two",
    ]  # fmt: skip
    assert order.index("one 5") < order.index("two 5")


def test_of_jobs_that_wait_no_more_than_some_are_paused(tmp_path, queue, monkeypatch):
    monkeypatch.setattr("lurk.worker.worker.MOST_PAUSED", 1)
    order = []
    queue.submit(spec("a", **{"at 0": "b", "at 1": "c"}), 0)
    run_all(Worker(tmp_path, drawing(order)))
    assert order.index("a 5") < order.index("c 0")
    assert {job.state for job in queue.jobs()} == {"done"}


def test_a_sweep_goes_on_only_after_the_jobs_that_stepped_aside_for_one_another(tmp_path, queue):
    order, draw = [], drawing([])

    def task(asked, context):
        if asked.study != "sweep":
            result = draw(asked, context)
            order.append(f"end {asked.study}")
            return result
        queue.submit(spec("old", **{"at 0": "new"}), 0)
        context.give_way()
        order.append("end sweep")

    queue.submit(spec("sweep"), 2)
    run_all(Worker(tmp_path, task))
    assert order == ["end old", "end new", "end sweep"]


def test_a_paused_job_is_held_cancelled_and_given_back_like_a_running_one(tmp_path, queue):
    def task(asked, context):
        if asked.study == "old":
            context.step_aside(is_seen=True, is_draft=True)
        else:
            worker.beat()
            assert queue.get(old.key).state == "running"
            assert queue.last_begun(worker.name).key == asked.key

    worker = Worker(tmp_path, task)
    old = queue.submit(spec("old"), 0)
    queue.submit(spec("older"), 1)
    queue.submit(spec("new"), 0)
    worker.run_next()
    worker.run_next()
    assert worker.has_paused
    queue.cancel(old.key)
    worker.beat()
    worker.run_next()
    assert queue.get(old.key).state == "cancelled"

    again = queue.submit(spec("old"), 0)
    queue.submit(spec("newer"), 0)
    worker.run_next()
    assert worker.has_paused
    worker.give_back()
    assert (queue.get(again.key).state, queue.get(again.key).tries) == ("queued", 0)


def test_a_job_that_goes_on_is_the_one_to_blame(tmp_path, queue):
    begun = []

    def task(asked, context):
        begun.append(queue.last_begun(worker.name).spec.study)
        if not context.kept:
            context.kept["was here"] = True
            context.step_aside(is_seen=True, is_draft=True)

    worker = Worker(tmp_path, task)
    queue.submit(spec("old"), 0)
    queue.submit(spec("new"), 0)
    run_all(worker)
    assert begun == ["old", "new", "old", "new"]


def test_reports_are_cheap(tmp_path, queue):
    def task(asked, context):
        began = time.perf_counter()
        for step in range(10_000):
            context.report(step, 10_000)
        return {"s": time.perf_counter() - began}

    assert run_one(queue, tmp_path, task).result["s"] < 1


def wait_for(found, timeout_s=15.0):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("it did not come to be")


def test_the_heartbeat_shows_progress_soon_and_holds_a_silent_job(tmp_path, queue):
    go_on, times = threading.Event(), {}

    def task(asked, context):
        times["reported"] = time.monotonic()
        context.report(5, 10, "half")
        go_on.wait(10)

    job = queue.submit(spec(), 2)
    worker = Worker(tmp_path, task)
    worker.start_beating()
    thread = threading.Thread(target=worker.work)
    thread.start()
    wait_for(lambda: queue.get(job.key).done == 5)
    assert time.monotonic() - times["reported"] < BEAT_S
    first = json.loads(queue._texts.get(f"job:{job.key}"))["lease"]
    time.sleep(2.5 * BEAT_S)
    assert json.loads(queue._texts.get(f"job:{job.key}"))["lease"] > first
    assert queue.workers_alive() == 1
    go_on.set()
    wait_for(lambda: queue.get(job.key).state == "done")
    worker.end()
    thread.join()
    assert queue.workers_alive() == 0
