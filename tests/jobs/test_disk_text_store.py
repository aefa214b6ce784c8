"""The queue's store on disk: in order, in transactions, nothing evicted, damage reported and left as it is."""

import subprocess
import sys

import pytest

from lurk.errors import QueueError
from lurk.jobs.disk_text_store import open_texts
from tests.storage.damage import DAMAGES, damage, database, spoil


def test_queue_evicts_nothing_and_keeps_text_in_order(tmp_path):
    texts = open_texts(tmp_path)
    with texts.transaction():
        for number in reversed(range(300)):
            texts.put(f"a:{number:04d}", str(number) * 5000)
    assert list(texts.items()) == [f"a:{number:04d}" for number in range(300)]
    assert texts.items()["a:0007"] == "7" * 5000
    texts.drop("a:0000")
    texts.drop("never there")
    assert texts.get("a:0000") is None
    assert [texts.next_number("n"), texts.next_number("n")] == [1, 2]


def test_a_transaction_that_fails_leaves_nothing_and_the_next_works(tmp_path):
    texts = open_texts(tmp_path)

    def change():
        with texts.transaction():
            texts.put("a", "half")
            raise KeyError

    with pytest.raises(KeyError):
        change()
    assert texts.get("a") is None
    with texts.transaction():
        texts.put("a", "whole")
    assert open_texts(tmp_path).get("a") == "whole"


def test_a_connection_left_within_a_transaction_mends_itself(tmp_path):
    texts = open_texts(tmp_path)
    texts._store._sql("BEGIN IMMEDIATE")
    with pytest.raises(QueueError), texts.transaction():
        pass
    with texts.transaction():
        texts.put("a", "whole")
    assert texts.get("a") == "whole"


def test_a_full_disk_is_said_and_reads_go_on(tmp_path):
    texts = open_texts(tmp_path)
    texts.put("a", "kept")
    texts._store._sql("PRAGMA max_page_count = 1")
    with pytest.raises(QueueError, match=r"full.*--cache"), texts.transaction():
        texts.put("b", "x" * 1_000_000)
    assert texts.get("a") == "kept"
    texts.put("b", "room again")


def test_damaged_queue_is_reported_and_not_emptied(tmp_path):
    open_texts(tmp_path).put("a", "text")
    open_texts(tmp_path).close()
    damage(tmp_path / "queue")
    before = database(tmp_path / "queue").read_bytes()
    with pytest.raises(QueueError, match=r"damaged.*move that folder away"):
        open_texts(tmp_path)
    assert database(tmp_path / "queue").read_bytes() == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_of_the_queue_is_reported_and_left_as_it_is(tmp_path, damage):
    texts = open_texts(tmp_path)
    with texts.transaction():
        for number in range(200):
            texts.put(f"a:{number:04d}", "text" * 500)
    texts.close()
    spoil(tmp_path / "queue", damage)
    before = {file.name: file.read_bytes() for file in (tmp_path / "queue").glob("cache.db")}
    for _ in range(2):
        with pytest.raises(QueueError, match=r"damaged.*move that folder away"):
            open_texts(tmp_path)
    assert {file.name: file.read_bytes() for file in (tmp_path / "queue").glob("cache.db")} == before
    (tmp_path / "queue").rename(tmp_path / "away")
    assert open_texts(tmp_path).next_number("n") == 1


def test_many_open_a_new_queue_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from lurk.jobs.disk_text_store import open_texts\n"
        "texts = open_texts(Path(sys.argv[1]))\n"
        "for _ in range(20): texts.next_number('n')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [one.wait() for one in running] == [0, 0, 0, 0]
    assert open_texts(tmp_path).next_number("n") == 81
