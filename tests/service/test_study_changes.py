"""A changed `lurk.toml`: a new list of studies, and the sweeps that begin and end with it."""

import os

import pytest

from lurk.config.lurk_toml import read
from lurk.config.options import Settings
from lurk.config.study_list import list_file, studies_of
from lurk.jobs.open_queue import open_local_queue
from lurk.service.study_changes import Change, apply_config

ALIVE = os.getpid()


class Bench:
    """A cache, its queue, and a file that is written anew with other studies."""

    def __init__(self, folder) -> None:
        self.cache, self.file = folder / "cache", folder / "lurk.toml"
        self.cache.mkdir()
        self.queue = open_local_queue(self.cache)

    def write(self, *studies: str, server: str = "") -> None:
        tables = [f'[[study]]\nname = "{name}"\nmodel = "{name}net"\n' for name in studies]
        self.file.write_text(server + "".join(tables))

    def take(self, process: int | None = None) -> Change:
        return apply_config(self.cache, read(self.file), self.queue, process=process)

    def live(self):
        return studies_of(Settings(config=str(self.file)), self.cache)

    def states(self) -> dict[str, str]:
        return {job.spec.study: job.state for job in self.queue.jobs()}


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_the_start_asks_for_every_sweep(bench):
    bench.write("a", "b")
    assert bench.take(ALIVE) == Change(added=("a", "b"))
    assert bench.states() == {"a": "queued", "b": "queued"}
    assert list(bench.live()()) == ["a", "b"]
    assert bench.live()()["a"].model == "anet"


def test_a_change_is_seen_by_every_process_and_sweeps_follow(bench):
    bench.write("a", "b")
    bench.take(ALIVE)
    one, other = bench.live(), bench.live()
    assert list(one()) == list(other()) == ["a", "b"]
    bench.write("b", "c")
    assert list(one()) == ["a", "b"]
    assert bench.take() == Change(added=("c",), removed=("a",))
    assert list(one()) == list(other()) == ["b", "c"]
    assert bench.states() == {"a": "cancelled", "b": "queued", "c": "queued"}


def test_other_options_change_a_study_and_start_its_sweep_anew(bench):
    bench.write("a")
    bench.take(ALIVE)
    bench.file.write_text('[[study]]\nname = "a"\nmodel = "anet"\ntop = 3\n')
    assert bench.take() == Change(changed=("a",))
    assert bench.live()()["a"].top == 3
    assert sorted(job.state for job in bench.queue.jobs()) == ["cancelled", "queued"]


def test_nothing_changed_asks_for_nothing_anew(bench):
    bench.write("a")
    bench.take(ALIVE)
    key = bench.queue.jobs()[0].key
    bench.queue.cancel(key)
    assert bench.take() == Change()
    assert bench.states() == {"a": "cancelled"}


def test_the_next_start_goes_on_with_stopped_sweeps_and_stops_those_of_studies_that_are_gone(bench):
    bench.write("a", "b")
    bench.take(ALIVE)
    bench.queue.cancel(read(bench.file).by_name()["a"].sweep_spec().key)
    bench.write("a")
    bench.take(ALIVE)
    assert bench.states() == {"a": "queued", "b": "cancelled"}


def test_options_of_the_server_take_a_restart(bench):
    bench.write("a", server="[server]\nport = 1\n")
    bench.take(ALIVE)
    bench.write("a", server='[server]\nport = 2\nallowed_host = "x"\n')
    assert bench.take().restart == ("allowed_host", "port")
    assert bench.take().restart == ("allowed_host", "port")
    assert bench.take(ALIVE).restart == ("allowed_host", "port")
    assert bench.take().restart == ()


def test_what_the_server_is_told_is_not_written_down(bench):
    bench.write("a", server='[server]\nallowed_host = "secret"\n')
    bench.take(ALIVE)
    file = list_file(bench.cache, bench.file)
    assert "secret" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
