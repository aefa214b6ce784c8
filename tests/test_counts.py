import sqlite3
import subprocess
import sys

from lurk.counts import Counts
from lurk.stores import _open

OTHER = """
import sys
from pathlib import Path
from lurk.counts import COUNTS
from lurk.stores import share_counts
share_counts(Path(sys.argv[1]))
COUNTS.add("lurk_renders", 2, found="yes")
COUNTS.flush()
"""


def shared(folder):
    counts = Counts()
    counts.share(_open(folder / "counts", 2.0, eviction_policy="none", cull_limit=0))
    return counts


def test_a_process_that_shares_nothing_shows_its_own():
    counts = Counts()
    counts.add("a", 2, kind="x")
    counts.add("a", 0.5, kind="x")
    counts.add("a", 1, kind="y")
    assert counts.read() == {("a", (("kind", "x"),)): 2.5, ("a", (("kind", "y"),)): 1}


def test_the_numbers_of_all_processes_come_together(tmp_path):
    counts = shared(tmp_path)
    counts.add("lurk_renders", 3, found="yes")
    subprocess.run([sys.executable, "-c", OTHER, str(tmp_path)], check=True, timeout=60)
    assert counts.read()[("lurk_renders", (("found", "yes"),))] == 5
    assert shared(tmp_path).read()[("lurk_renders", (("found", "yes"),))] == 5


def test_what_cannot_be_added_is_added_later(tmp_path, monkeypatch):
    counts = shared(tmp_path)
    counts.add("a")

    def full(*_given, **_more):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(counts._shared, "incr", full)
        counts.flush()
        counts.add("a")
    assert counts.read()[("a", ())] == 2
    assert shared(tmp_path).read()[("a", ())] == 2


def test_a_time_falls_into_the_first_bucket_that_holds_it():
    counts = Counts()
    for seconds in (0.005, 0.0051, 4000.0):
        counts.time("t", seconds, kind="map")
    found = counts.read()
    assert found[("t_bucket", (("kind", "map"), ("le", "0.005")))] == 1
    assert found[("t_bucket", (("kind", "map"), ("le", "0.01")))] == 1
    assert found[("t_bucket", (("kind", "map"), ("le", "+Inf")))] == 1
