"""Where a queue may lie, and what is said of where it may not."""

import pytest

from lurk.config.queue_address import check_queue, without_password
from lurk.errors import LurkError


@pytest.mark.parametrize(
    "where",
    [
        "local",
        "redis://127.0.0.1:6379/0",
        "redis://127.8.0.1",
        "redis://localhost/3",
        "redis://[::1]:7000/1",
        "redis://:secret@10.0.0.7:6379/0",
        "rediss://lurk:secret@redis.lab:6379",
    ],
)
def test_a_redis_on_this_machine_or_with_a_password_is_taken(where):
    check_queue(where)


@pytest.mark.parametrize(
    "where",
    [
        "redis://10.0.0.7:6379/0",
        "redis://redis.lab",
        "redis://lurk@redis.lab",
        "redis://:@redis.lab",
        "rediss://192.168.1.1/0",
        "redis://0.0.0.0/0",
        "redis://localhost.evil.org/0",
        "redis://[fe80::1]/0",
    ],
)
def test_a_redis_without_a_password_anywhere_else_is_refused_in_one_line(where):
    with pytest.raises(LurkError, match="without a password") as error:
        check_queue(where)
    assert "\n" not in str(error.value)
    assert "LURK_QUEUE" in str(error.value)


@pytest.mark.parametrize(
    "where", ["", "locl", "http://127.0.0.1", "redis://", "redis:///0", "redis://h:port/0", "redis://127.0.0.1/x"]
)
def test_what_is_no_queue_is_refused_with_an_example(where):
    with pytest.raises(LurkError, match=r"--queue must be local or an address such as redis://"):
        check_queue(where)


def test_no_message_shows_a_password():
    for where in ("redis://:hush@redis.lab:port/0", "http://me:hush@h/0", "redis://a:hu@sh@h/zero"):
        with pytest.raises(LurkError) as error:
            check_queue(where)
        assert "hush" not in str(error.value)
        assert "hu@sh" not in str(error.value)
    assert without_password("rediss://me:hush@redis.lab:1/0") == "rediss://redis.lab:1/0"
    assert without_password("redis://127.0.0.1") == "redis://127.0.0.1"
