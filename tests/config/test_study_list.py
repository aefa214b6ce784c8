"""The list of studies that all web processes of a server show."""

import json
import os
import threading
import time

import pytest

from lurk.config.lurk_toml import read
from lurk.config.options import Settings
from lurk.config.study_list import StudyList, list_file, lock_list, read_lists, studies_of
from lurk.errors import CacheError

ALIVE = os.getpid()


class Bench:
    """A cache, and a file that is written anew with other studies."""

    def __init__(self, folder) -> None:
        self.cache, self.file = folder / "cache", folder / "lurk.toml"
        self.cache.mkdir()

    def write(self, *studies: str) -> None:
        self.file.write_text("".join(f'[[study]]\nname = "{name}"\nmodel = "{name}net"\n' for name in studies))

    def take(self, *processes: int) -> None:
        file = list_file(self.cache, self.file)
        with lock_list(file):
            StudyList(self.file, processes, {}, read(self.file).by_name()).write(file)

    def live(self):
        return studies_of(Settings(config=str(self.file)), self.cache)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_without_a_file_a_server_shows_its_one_study(tmp_path):
    settings = Settings(model="resnet18")
    assert studies_of(settings, tmp_path)() == {"resnet18-demo": settings}


def test_a_damaged_list_leaves_the_studies_as_they_are(bench):
    bench.write("a")
    bench.take(ALIVE)
    live, file = bench.live(), list_file(bench.cache, bench.file)
    good = file.read_text()
    assert list(live()) == ["a"]
    for damage in ("", "{", "[]", '{"format": 9}', json.dumps(json.loads(good) | {"studies": [{"name": "../x"}]})):
        file.write_text(damage)
        assert list(live()) == ["a"], damage
    file.unlink()
    assert list(live()) == ["a"]
    bench.write("b")
    bench.take()
    assert list(live()) == ["b"]


def test_a_list_that_cannot_be_written_is_a_line(bench):
    bench.write("a")
    (bench.cache / "served").write_text("")
    with pytest.raises(CacheError, match="cannot write"):
        bench.take(ALIVE)


def test_a_server_is_known_while_its_process_lives(bench):
    bench.write("a")
    bench.take(2**22 + 1)
    assert [one.running for one in read_lists(bench.cache)] == [()]
    bench.take(ALIVE)
    (found,) = read_lists(bench.cache)
    assert found.running == (ALIVE,)
    assert found.processes == (ALIVE,)
    assert found.config == bench.file


def test_readers_see_whole_lists_while_they_change(bench):
    whole = [("a",), ("a", "b"), ("b", "c", "d")]
    bench.write(*whole[0])
    bench.take(ALIVE)
    over, seen = threading.Event(), set()
    live = bench.live()

    def watch() -> None:
        while not over.is_set():
            seen.add(tuple(live()))

    readers = [threading.Thread(target=watch) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(20):
        bench.write(*whole[turn % 3])
        bench.take()
        time.sleep(0.005)
    over.set()
    for reader in readers:
        reader.join()
    assert seen
    assert seen <= set(whole)
