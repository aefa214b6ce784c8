"""The service and persons: whose jobs one sees, cancels and waits for."""

import pytest

from lurk.config.options import Settings
from lurk.errors import NotAllowedError, QueueFullError
from lurk.jobs.open_queue import open_local_queue
from lurk.jobs.queue import Limits
from lurk.service.person import Person
from lurk.service.service import Service
from lurk.storage.index_writer import show_in_study
from lurk.storage.render_store import open_renders

SETTINGS = Settings(model="toy", data="toy images")
STUDY, KEY = SETTINGS.study, SETTINGS.sweep_spec().key
ANN, BOB, BOSS = Person("ann", "member"), Person("bob", "member"), Person("boss", "admin")


@pytest.fixture
def service(toy_index, tmp_path):
    show_in_study(tmp_path, STUDY, toy_index.folder)
    queue = open_local_queue(tmp_path)
    return Service({STUDY: SETTINGS}, tmp_path, queue, open_renders(tmp_path), limits=Limits(3, 2))


def units(jobs):
    return sorted(job["spec"]["unit"] for job in jobs)


def test_one_sees_ones_own_jobs_and_an_admin_all(service):
    service.start()
    service.verify(STUDY, "conv", 0, ANN)
    service.verify(STUDY, "conv", 1, ANN)
    service.verify(STUDY, "conv", 1, BOB)
    assert units(service.jobs(ANN)) == [0, 1]
    assert units(service.jobs(BOB)) == [1]
    assert len(service.jobs(BOSS)) == len(service.jobs()) == 3
    shared = next(job for job in service.jobs(BOB))
    assert (shared["person"], shared["people"]) == ("ann", 2)
    assert "others" not in shared


def test_places_in_the_list_are_those_of_the_queue(service):
    keys = [service.verify(STUDY, "conv", 0, ANN), service.verify(STUDY, "conv", 1, ANN)]
    keys.append(service.verify(STUDY, "conv", 2, BOB))
    shown = {job["key"]: job["ahead"] for job in service.jobs()}
    assert [shown[key] for key in keys] == [service.job(key)["ahead"] for key in keys] == [0, 2, 1]


def test_a_job_of_two_ends_for_who_leaves_and_goes_on_for_the_other(service):
    key = service.verify(STUDY, "conv", 1, ANN)
    service.verify(STUDY, "conv", 1, BOB)
    assert service.cancel_job(key, ANN)["state"] == "cancelled"
    assert service.job(key)["state"] == "queued"
    assert units(service.jobs(ANN)) == []
    assert service.cancel_job(key, BOB)["state"] == "cancelled"
    assert service.job(key)["state"] == "cancelled"


def test_nobody_cancels_anothers_job_but_an_admin(service):
    key = service.verify(STUDY, "conv", 1, ANN)
    with pytest.raises(NotAllowedError, match="only who asked"):
        service.cancel_job(key, BOB)
    assert service.cancel_job("0" * 32, BOB) is None
    assert service.cancel_job(key, BOSS)["state"] == "cancelled"


def test_the_servers_sweep_is_an_admins_to_cancel(service):
    service.start()
    with pytest.raises(NotAllowedError):
        service.cancel(STUDY, ANN)
    assert service.job(KEY)["state"] == "queued"
    service.cancel(STUDY, BOSS)
    assert service.job(KEY)["state"] == "cancelled"
    service.resume(STUDY, ANN)
    service.cancel(STUDY, ANN)
    assert service.job(KEY)["state"] == "cancelled"


def test_a_full_queue_refuses_a_person_then_everyone_but_no_sweep(service):
    service.verify(STUDY, "conv", 0, ANN)
    service.verify(STUDY, "conv", 1, ANN)
    with pytest.raises(QueueFullError, match="2 of your jobs"):
        service.verify(STUDY, "conv", 2, ANN)
    service.verify(STUDY, "conv", 2, BOB)
    with pytest.raises(QueueFullError, match="queue full, 3 ahead"):
        service.verify(STUDY, "fc", 0, BOB)
    service.verify(STUDY, "conv", 0, BOB)
    service.start()
    assert service.job(KEY)["state"] == "queued"


def test_the_same_request_of_20_people_is_computed_once_and_answers_all(service, tmp_path):
    from lurk.worker.worker import Worker

    keys = {service.verify(STUDY, "conv", 1, Person(f"p{number}", "member")) for number in range(20)}
    ran = []
    worker = Worker(tmp_path, lambda spec, _context: ran.append(spec.kind) or {"checked": 1, "agree": 1, "wrong": []})
    while worker.run_next():
        pass
    (key,) = keys
    assert ran == ["verify"]
    assert service.job(key)["result"] == {"checked": 1, "agree": 1, "wrong": []}
    assert all(service.jobs(Person(f"p{number}", "member"))[0]["state"] == "done" for number in range(20))


def test_a_damaged_store_of_images_is_told_in_the_studys_notice(service):
    service._renders.notice = "the store was damaged; it was set aside"
    assert service.status(STUDY)["notice"] == service.study(STUDY).notice == "the store was damaged; it was set aside"
