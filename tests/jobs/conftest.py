"""Both queues, so that what is promised of a queue is shown of each."""

import pytest

from lurk.jobs.open_queue import open_local_queue


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def open_queue(request, tmp_path, clock):
    """Opens the queue once more, as another process does."""
    if getattr(request, "param", "local") == "local":
        return lambda: open_local_queue(tmp_path, now=clock)
    from lurk.jobs.celery_queue import open_celery_queue

    url = request.getfixturevalue("redis_url")
    return lambda: open_celery_queue(url, now=clock, sends_messages=False)


@pytest.fixture
def queue(open_queue):
    return open_queue()


def pytest_generate_tests(metafunc):
    """Run what takes a queue on both of them."""
    if "open_queue" in metafunc.fixturenames and not metafunc.definition.get_closest_marker("local"):
        metafunc.parametrize("open_queue", ["local", "redis"], indirect=True)
