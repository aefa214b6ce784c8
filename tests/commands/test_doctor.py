import pytest

from lurk.commands import doctor
from lurk.commands.doctor import deployment
from lurk.config.options import Settings
from lurk.jobs.open_queue import open_local_queue, open_queue
from lurk.records import JobSpec
from lurk.storage.cache_dir import prepare_cache
from lurk.web.server.in_process import start
from lurk.web.server.listen import listen
from tests.web.ui.fake import FakeService


def wrong(settings, cache):
    return {name: problem for name, _, problem in deployment(settings, cache) if problem}


@pytest.fixture
def cache(tmp_path):
    return prepare_cache(tmp_path / "cache")


def free_port():
    with listen(Settings(port=0)) as made:
        return made.getsockname()[1]


def test_nothing_is_wrong_with_an_empty_cache(cache):
    assert wrong(Settings(port=free_port()), cache) == {}


def test_jobs_without_a_worker_are_reported_with_the_command_that_mends_it(cache):
    queue = open_local_queue(cache)
    queue.submit(JobSpec("map", "study", ()))
    assert f"python -m lurk worker --cache {cache}" in wrong(Settings(port=free_port()), cache)["queue"]
    queue.present("worker")
    assert "queue" not in wrong(Settings(port=free_port()), cache)


def test_a_redis_is_asked_for_its_jobs_and_for_what_may_lose_them(cache, redis_url, redis_server):
    settings = Settings(port=free_port(), queue=redis_url)
    assert wrong(settings, cache) == {}
    open_queue(redis_url, cache).submit(JobSpec("map", "study", ()))
    redis = redis_server.client()
    try:
        redis.config_set("appendonly", "no")
        redis.config_set("maxmemory", "100mb")
        redis.config_set("maxmemory-policy", "allkeys-lru")
        found = wrong(settings, cache)
    finally:
        redis.config_set("maxmemory", "0")
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("appendonly", "yes")
    assert "1 jobs wait" in found["queue"]
    assert "--appendonly yes" in found["redis"]
    assert "noeviction" in found["redis"]
    assert not any(redis_server.client().connection_pool.connection_kwargs["password"] in why for why in found.values())


def test_a_redis_that_is_not_there_is_reported(cache):
    found = wrong(Settings(port=free_port(), queue="redis://:secret@127.0.0.1:1/0"), cache)
    assert "127.0.0.1:1" in found["queue"]
    assert "secret" not in found["queue"]


def test_a_damaged_queue_is_reported(cache):
    open_local_queue(cache)
    (cache / "queue" / "cache.db").write_bytes(b"no database" * 1000)
    assert str(cache / "queue") in wrong(Settings(port=free_port()), cache)["queue"]


def test_a_port_that_somebody_else_has_is_reported(cache):
    with listen(Settings(port=0)) as other:
        port = other.getsockname()[1]
        other.settimeout(0.1)
        assert f"port {port}" in wrong(Settings(port=port), cache)["address"]


@pytest.mark.parametrize("is_ready", [True, False])
def test_a_server_of_ours_is_asked_how_it_is(cache, is_ready):
    with start(FakeService(is_ready=is_ready), Settings(port=0)) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        found = {name: (value, problem) for name, value, problem in deployment(Settings(port=port), cache)}
    value, problem = found["address"]
    assert "a server answers" in value
    assert bool(problem) is not is_ready


def test_an_open_address_is_reported(cache):
    assert "--host" in wrong(Settings(host="0.0.0.0"), cache)["address"]


def test_little_memory_and_few_files_are_reported(cache, monkeypatch):
    import resource

    monkeypatch.setattr(doctor, "_memory", lambda: 10**9)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (256, 256))
    found = wrong(Settings(port=free_port()), cache)
    assert "1.0 GB" in found["memory"]
    assert "ulimit -n" in found["open files"]
