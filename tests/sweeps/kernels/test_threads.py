import pytest
import torch

from lurk.sweeps.kernels import threads


@pytest.fixture(params=["threads of OpenMP", "a pool"])
def way(request, monkeypatch):
    """PyTorch with three threads, which it may have or not."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    if request.param == "a pool":
        monkeypatch.setattr(threads, "_start", lambda: threads._in_pool)


@pytest.mark.parametrize("items", [1, 2, 3, 10])
@pytest.mark.usefixtures("way")
def test_each_item_is_done_once(items):
    done = []
    threads.share(lambda first, last: done.extend(range(first, last)), items, threads.LEAST)
    assert sorted(done) == list(range(items))


@pytest.mark.usefixtures("way")
def test_an_error_in_any_thread_is_raised():
    def run(first: int, last: int) -> None:
        raise ValueError(f"from {first} to {last}")

    with pytest.raises(ValueError, match="from"):
        threads.share(run, 10, threads.LEAST)


def test_little_work_is_done_in_one_go(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    parts = []
    threads.share(lambda first, last: parts.append((first, last)), 10, threads.LEAST - 1)
    assert parts == [(0, 10)]
