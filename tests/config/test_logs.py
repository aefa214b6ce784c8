import json
import logging

import pytest

from lurk.config.logs import JOB, REQUEST, configure, event, within
from lurk.errors import LurkError
from lurk.records import JobSpec
from lurk.worker.job_log import logged


@pytest.fixture
def lines(capsys):
    written = []
    root, ours = logging.getLogger(), logging.getLogger("lurk")
    before = (root.handlers[:], root.level, ours.level)

    def read():
        written.extend(capsys.readouterr().err.splitlines())
        return written

    yield read
    root.handlers[:], root.level = before[0], before[1]
    ours.setLevel(before[2])


def test_a_line_of_json_names_process_request_and_job(lines):
    configure("web", "json")
    with within(REQUEST, "r1"), within(JOB, "j1"):
        event("request", status=200, path='/a"b\n')
    line = json.loads(lines()[0])
    assert line | {"time": 0, "pid": 0} == {
        "time": 0,
        "level": "info",
        "process": "web",
        "pid": 0,
        "event": "request",
        "request": "r1",
        "job": "j1",
        "status": 200,
        "path": '/a"b\n',
    }
    assert line["time"].endswith("Z")


def test_a_line_of_text_is_one_line_whatever_was_sent(lines):
    configure("web", "text")
    event("request", path="/a\nlevel=error b", status=200)
    assert len(lines()) == 1
    assert r'path="/a\nlevel=error b" status=200' in lines()[0]


def test_quiet_tells_of_warnings_alone(lines):
    configure("worker", "quiet")
    event("job begins")
    event("worker ended", level=logging.WARNING, how="was killed")
    assert len(lines()) == 1
    assert 'event="worker ended" how="was killed"' in lines()[0]


def test_configuring_twice_writes_once(lines):
    configure("web", "text")
    configure("web", "text")
    event("once")
    assert len(lines()) == 1


def ended(lines):
    return next(json.loads(line) for line in lines() if json.loads(line)["event"] == "job ends")


def test_a_job_tells_of_its_begin_and_its_end(lines):
    configure("worker", "json")
    spec = JobSpec("map", "study", ())
    assert logged(lambda _spec, _given: {"a": 1})(spec, None) == {"a": 1}
    assert [json.loads(line)["event"] for line in lines()] == ["job begins", "job ends"]
    assert ended(lines)["job"] == spec.key
    assert ended(lines)["state"] == "done"


def test_a_failed_job_is_told_with_its_traceback_and_a_users_mistake_without(lines):
    configure("worker", "json")

    def fail(_spec, given):
        raise given

    with pytest.raises(ZeroDivisionError):
        logged(fail)(JobSpec("map", "study", ()), ZeroDivisionError("no"))
    failed = json.loads(lines()[1])
    assert failed["event"] == "job failed"
    assert failed["level"] == "error"
    assert "ZeroDivisionError" in failed["traceback"]
    with pytest.raises(LurkError):
        logged(fail)(JobSpec("map", "study", ()), LurkError("the folder is gone"))
    mistake = json.loads(lines()[-2])
    assert mistake["level"] == "info"
    assert "traceback" not in mistake
    assert mistake["error"] == "the folder is gone"
