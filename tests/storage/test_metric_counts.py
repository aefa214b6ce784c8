import subprocess
import sys

import pytest

from lurk.errors import CacheError, QueueError
from lurk.jobs.redis_counts import RedisCounts
from lurk.storage.metric_counts import Counts, DiskCounts

OTHER = """
import sys
from pathlib import Path
from lurk.storage.metric_counts import COUNTS
from lurk.jobs.open_queue import share_counts
share_counts(sys.argv[2], Path(sys.argv[1]))
COUNTS.add("lurk_renders", 2, found="yes")
COUNTS.flush()
"""


@pytest.fixture(params=["local", "redis"])
def place(request):
    """Where the numbers come together: `local`, or a Redis."""
    return "local" if request.param == "local" else request.getfixturevalue("redis_url")


def shared(folder, place="local"):
    counts = Counts()
    counts.share(DiskCounts(folder) if place == "local" else RedisCounts(place))
    return counts


def test_a_process_that_shares_nothing_shows_its_own():
    counts = Counts()
    counts.add("a", 2, kind="x")
    counts.add("a", 0.5, kind="x")
    counts.add("a", 1, kind="y")
    assert counts.read() == {("a", (("kind", "x"),)): 2.5, ("a", (("kind", "y"),)): 1}


def test_the_numbers_of_all_processes_come_together(tmp_path, place):
    counts = shared(tmp_path, place)
    counts.add("lurk_renders", 3, found="yes")
    subprocess.run([sys.executable, "-c", OTHER, str(tmp_path), place], check=True, timeout=60)
    assert counts.read()[("lurk_renders", (("found", "yes"),))] == 5
    assert shared(tmp_path, place).read()[("lurk_renders", (("found", "yes"),))] == 5


def test_what_cannot_be_added_is_added_later(tmp_path, place, monkeypatch):
    counts = shared(tmp_path, place)
    counts.add("a")

    def full(_amounts):
        raise CacheError("cannot use counts: database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(counts._shared, "add", full)
        counts.flush()
        counts.add("a")
    assert counts.read()[("a", ())] == 2
    assert shared(tmp_path, place).read()[("a", ())] == 2


def test_a_damaged_store_and_a_redis_that_is_gone_are_no_numbers(tmp_path):
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts" / "cache.db").write_bytes(b"no database" * 1000)
    with pytest.raises(CacheError):
        DiskCounts(tmp_path)
    gone = RedisCounts("redis://:secret@127.0.0.1:1/0")
    with pytest.raises(QueueError) as caught:
        gone.read()
    assert "secret" not in str(caught.value)


def test_on_a_file_system_that_others_have_too_each_machine_counts_for_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("lurk.storage.cache_dir.is_shared", lambda _cache: True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    DiskCounts(tmp_path / "cache").add({"a": 1})
    assert DiskCounts(tmp_path / "cache").read() == {"a": 1}
    assert not (tmp_path / "cache").exists()


def test_a_time_falls_into_the_first_bucket_that_holds_it():
    counts = Counts()
    for seconds in (0.005, 0.0051, 4000.0):
        counts.time("t", seconds, kind="map")
    found = counts.read()
    assert found[("t_bucket", (("kind", "map"), ("le", "0.005")))] == 1
    assert found[("t_bucket", (("kind", "map"), ("le", "0.01")))] == 1
    assert found[("t_bucket", (("kind", "map"), ("le", "+Inf")))] == 1
