"""A disk that is full: new work is refused, reads go on, deleting works, and room that returns is taken."""

import re

import pytest

from lurk.config.options import Settings
from lurk.errors import CacheError, DiskFullError, QueueError
from lurk.jobs.open_queue import open_local_queue
from lurk.jobs.queue import Limits
from lurk.records import JobSpec
from lurk.service.service import Service
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.disk_space import MEGABYTE, RESERVE, RESERVE_BYTES, Space, free_bytes, give_up_reserve, keep_reserve
from lurk.storage.render_store import open_renders
from lurk.worker.worker import Worker
from tests.small_disk import fill, small_disk

SETTINGS = Settings(model="toy", data="toy images")


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", 32) as folder:
        yield folder


def spec(number):
    return JobSpec("toy", f"job {number}", (("text", "x" * 2000),))


def submit_until_full(queue) -> tuple[int, str]:
    """Put jobs into a queue until one does not fit; returns its number, and what was said."""
    for number in range(1, 5000):
        try:
            queue.submit(spec(number), 2)
        except QueueError as error:
            return number, str(error)
    raise AssertionError("it never was full")


def test_below_the_floor_the_megabytes_are_told(tmp_path):
    free = free_bytes(tmp_path)
    Space(tmp_path, free // 2).check()
    with pytest.raises(DiskFullError, match=r"are free and new work needs \d+; make \d+ MB of room in .*--cache"):
        Space(tmp_path, free + 5_000 * MEGABYTE).check()
    assert Space(tmp_path / "gone", 10**18).notice == ""


def test_the_reserve_is_laid_up_once_and_only_where_there_is_room(tmp_path):
    assert not keep_reserve(tmp_path, free_bytes(tmp_path))
    assert not (tmp_path / RESERVE).exists()
    assert keep_reserve(tmp_path, 0)
    assert (tmp_path / RESERVE).stat().st_size == RESERVE_BYTES
    assert keep_reserve(tmp_path, 10**18)
    assert give_up_reserve(tmp_path)
    assert not give_up_reserve(tmp_path)


def test_a_worker_begins_nothing_below_the_floor_and_goes_on_above_it(tmp_path):
    queue = open_local_queue(tmp_path)
    queue.submit(spec(0), 2)
    ran = []
    assert not Worker(tmp_path, lambda *_: ran.append(1), floor_bytes=10**18).run_next()
    assert queue.get(spec(0).key).state == "queued"
    assert Worker(tmp_path, lambda *_: ran.append(1), floor_bytes=1).run_next()
    assert ran == [1]


def test_on_a_full_disk_reads_go_on_and_the_reserve_lets_jobs_be_deleted(disk):
    cache = prepare_cache(disk / "cache")
    queue = open_local_queue(cache)
    queue.submit(spec(0), 2)
    assert keep_reserve(cache, 0)
    filler = fill(disk)
    number, said = submit_until_full(queue)
    assert re.search(r"full.*make room", said)
    assert not (cache / RESERVE).exists()
    assert queue.get(spec(0).key).state == "queued"
    assert len(queue.jobs()) == number
    assert queue.cancel(spec(0).key).state == "cancelled"
    filler.unlink()
    assert queue.submit(spec(number), 2).state == "queued"
    assert keep_reserve(cache, 0)


def test_a_nearly_full_disk_refuses_new_work_and_takes_it_again_when_room_returns(disk, toy_index, monkeypatch):
    from lurk.storage.index_writer import show_in_study

    cache = toy_index.folder.parent.parent
    show_in_study(cache, SETTINGS.study, toy_index.folder)
    queue, space = open_local_queue(cache), Space(disk, 8 * MEGABYTE)
    service = Service({SETTINGS.study: SETTINGS}, cache, queue, open_renders(cache), limits=Limits(9, 9), space=space)
    assert service.status(SETTINGS.study)["notice"] == ""
    filler = fill(disk)
    with pytest.raises(DiskFullError, match="make 8 MB of room"):
        service.verify(SETTINGS.study, "conv", 1)
    with pytest.raises(DiskFullError):
        service.resume(SETTINGS.study)
    assert "nearly full" in service.status(SETTINGS.study)["notice"]
    assert "nearly full" in service.studies()[0].notice
    assert service.unit(SETTINGS.study, "conv", 1).record.hits_max
    assert queue.jobs() == []
    filler.unlink()
    assert service.job(service.verify(SETTINGS.study, "conv", 1))["state"] == "queued"
    assert service.status(SETTINGS.study)["notice"] == ""


def test_drawn_images_that_find_no_room_are_left_out_and_the_store_lives_on(disk):
    cache = prepare_cache(disk / "cache")
    renders = open_renders(cache)
    renders.put("before", b"kept")
    filler = fill(disk)
    for number in range(50):
        renders.put(str(number), b"x" * 100_000)
    assert renders.get("before") == b"kept"
    assert renders.notice == ""
    filler.unlink()
    renders.put("after", b"kept too")
    assert renders.get("after") == b"kept too"


def test_a_read_only_cache_is_one_line(tmp_path):
    with small_disk(tmp_path / "disk", 4, "ro") as folder, pytest.raises(CacheError) as raised:
        prepare_cache(folder)
    assert "Read-only" in str(raised.value)
    assert "--cache" in str(raised.value)
    assert "\n" not in str(raised.value)
