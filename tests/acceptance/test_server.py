"""The real server: first page, first patches, the JSON API, kills, one line for each mistake."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch
from torchvision.models import squeezenet1_1

from lurk.cli import main
from tests.acceptance.server import ROOT, command_line, descendants, is_alive, real_server
from tests.acceptance.toy_study import toy_study


def workers_of(server) -> list[int]:
    return [pid for pid in descendants(server.process.pid) if "lurk.worker.worker" in command_line(pid)]


def supervisor_of(server) -> list[int]:
    return [pid for pid in descendants(server.process.pid) if "lurk.worker.supervisor" in command_line(pid)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that the tests only ask."""
    folder = tmp_path_factory.mktemp("server")
    with real_server(folder, *toy_study(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def sweeping(tmp_path_factory):
    """A server in the midst of a long sweep."""
    folder = tmp_path_factory.mktemp("sweeping")
    with real_server(folder, *toy_study(folder, images=400, pause_s=0.2)) as running:
        yield running


def study_of(server) -> str:
    return server.json("studies")[0]["name"]


def test_the_page_opens_before_the_model_is_loaded_and_units_follow(tmp_path):
    with real_server(tmp_path, "--sample", "1") as server:
        status, _, headers = server.fetch("/")
        assert status == 200
        study = study_of(server)
        server.wait(study, lambda now: now["serial"] > 0)
        grid = server.json(f"studies/{study}/layers/_conv_stem/units")
        status, _, headers = server.fetch(grid["sprites"][0])
        assert status == 200
        assert headers["Content-Type"] == "image/jpeg"
        assert "immutable" in headers["Cache-Control"]


def test_the_web_process_never_loads_torch(server):
    server.fetch("/")
    assert "libtorch" not in Path(f"/proc/{server.process.pid}/maps").read_text()


def test_json_has_the_names_of_the_records(server):
    study = study_of(server)
    server.wait(study, lambda now: now["state"] == "done", timeout_s=60)
    layers = server.json(f"studies/{study}/layers")
    assert {"name", "kind", "units", "shape", "receptive_field", "jump", "tap"} <= set(layers[0])
    layer = layers[0]
    units = server.json(f"studies/{study}/layers/{layer['name']}/units?sort=max&limit=5&offset=1")
    assert len(units["order"]) == 5
    assert units["score"] == sorted(units["score"], reverse=True)
    unit = server.json(f"studies/{study}/layers/{layer['name']}/units/{units['order'][0]}")
    assert {
        "hits_max",
        "hits_mean",
        "class_count",
        "class_max",
        "mean",
        "std",
        "fraction_positive",
        "quantiles",
        "state",
    } <= set(unit)
    hit = unit["hits_max"][0]
    assert {"image", "path", "label", "score", "row", "col", "box"} <= set(hit)
    for url in (hit["view_url"], hit["patch_url"]):
        assert server.fetch(url)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/s/nope",
        "/api/v1/studies/nope",
        "/api/v1/jobs/nope",
        "/media/../app.py",
        "/media/x/view/1",
        "/api/v1/studies/{study}/layers/nope/units",
        "/api/v1/studies/{study}/layers/0/units/99999",
        "/api/v1/studies/{study}/layers/0/units?limit=many",
        "/api/v1/studies/{study}/layers/0/units?sort=colour",
    ],
)
def test_what_is_not_there_is_said_without_a_traceback(server, path):
    study = study_of(server)
    server.wait(study, lambda now: now["ready"])
    status, body, _ = server.fetch(path.format(study=study))
    assert status in ((200, 404) if path.startswith("/s/") else (400, 404))
    assert b"Traceback" not in body


def test_health_and_metrics(server):
    study = study_of(server)
    server.wait(study, lambda now: now["ready"])
    assert server.fetch("/healthz")[0] == 200
    assert server.fetch("/readyz")[0] == 200
    assert b"lurk_workers 1" in server.fetch("/metrics")[1]


def test_a_second_start_shows_the_finished_study_at_once(tmp_path):
    options = toy_study(tmp_path)
    with real_server(tmp_path, *options) as server:
        study = study_of(server)
        server.wait(study, lambda now: now["state"] == "done")
        before = server.json(f"studies/{study}/layers/2/units/7")
    with real_server(tmp_path, *options) as server:
        assert server.json(f"studies/{study}/layers/2/units/7") == before


def test_web_process_killed_takes_all_with_it_and_the_next_start_goes_on(tmp_path):
    options = toy_study(tmp_path, images=60, pause_s=0.05)
    with real_server(tmp_path, *options) as server:
        study = study_of(server)
        server.wait(study, lambda now: now["serial"] > 0)
        family = descendants(server.process.pid)
        assert len(family) >= 2
        os.kill(server.process.pid, signal.SIGKILL)
        end = time.monotonic() + 15
        while any(is_alive(pid) for pid in family) and time.monotonic() < end:
            time.sleep(0.1)
        assert not [command_line(pid) for pid in family if is_alive(pid)]
    with real_server(tmp_path, *options) as server:
        assert 0 < server.json(f"studies/{study}")["images_indexed"] < 60
        status = server.wait(study, lambda now: now["state"] == "done")
        assert status["done"] == status["total"] == 60


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_supervisor_and_worker_killed_the_sweep_still_ends(tmp_path, kills):
    with real_server(tmp_path, *toy_study(tmp_path, images=50 * kills, pause_s=0.05)) as server:
        study = study_of(server)
        chance = random.Random(1)
        for victims in (workers_of, supervisor_of, workers_of, supervisor_of, workers_of)[:kills]:
            server.wait(study, lambda now: now["state"] == "running" and now["serial"] > 0)
            time.sleep(chance.random())
            for pid in victims(server):
                os.kill(pid, signal.SIGKILL)
            time.sleep(1)
        server.wait(study, lambda now: now["state"] == "done")


def test_a_click_is_served_between_two_batches_of_a_sweep(sweeping):
    study = study_of(sweeping)
    sweeping.wait(study, lambda now: now["state"] == "running" and now["serial"] > 0)
    key = sweeping.post("jobs", {"kind": "verify", "study": study, "layer": "0", "unit": 3})["key"]
    began = time.monotonic()
    while sweeping.json(f"jobs/{key}")["state"] not in ("done", "failed"):
        assert time.monotonic() - began < 30
        time.sleep(0.1)
    job = sweeping.json(f"jobs/{key}")
    assert job["state"] == "done"
    assert job["result"]["checked"] == job["result"]["agree"] > 0
    assert sweeping.json(f"studies/{study}")["state"] == "running"


def test_cancel_and_resume(sweeping):
    study = study_of(sweeping)
    sweeping.wait(study, lambda now: now["state"] == "running" and now["done"] > 0)
    sweeping.post(f"studies/{study}/cancel")
    stopped = sweeping.wait(study, lambda now: now["state"] == "cancelled", timeout_s=30)
    assert 0 < stopped["images_indexed"] < stopped["total"]
    sweeping.post(f"studies/{study}/resume")
    resumed = sweeping.wait(study, lambda now: now["state"] in ("running", "done") and now["done"] > 0, timeout_s=60)
    assert resumed["done"] >= stopped["images_indexed"]


MISTAKES = {
    "no such folder": (["--data", "no/such/folder"], "no/such/folder"),
    "no such model": (["--model", "resnet9000"], "resnet9000"),
    "no such factory file": (["--model", "nowhere.py:make"], "nowhere.py"),
    "bad layer expression": (["--layers", "("], "--layers"),
    "no layer matches": (["--layers", "zzz"], "zzz"),
    "no such weights": (["--model", "resnet18", "--weights", "gone.pth"], "gone.pth"),
    "remote host": (["--host", "0.0.0.0"], "--host"),
    "no such class file": (["--classes", "gone.json"], "gone.json"),
}
SHORT = ("remote host", "no layer matches")


@pytest.mark.parametrize(
    "name", [*SHORT, *(pytest.param(name, marks=pytest.mark.slow) for name in MISTAKES if name not in SHORT)]
)
def test_a_mistake_gets_one_line_and_status_2(name, tmp_path):
    arguments, named = MISTAKES[name]
    more = ["--no-browser", "--port", "0", "--cache", str(tmp_path / "cache")]
    run = subprocess.run(
        [sys.executable, "-m", "lurk", "serve", *toy_study(tmp_path), *arguments, *more],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2, run.stderr
    lines = [line for line in run.stderr.splitlines() if line.strip()]
    assert "Traceback" not in run.stderr
    assert len(lines) == 1, run.stderr
    assert named in lines[0]


@pytest.mark.parametrize("name", [name for name in MISTAKES if name != "remote host"])
def test_a_mistake_gets_one_line_and_status_2_from_a_sweep_too(name, tmp_path, capsys):
    arguments, named = MISTAKES[name]
    assert main(["sweep", *toy_study(tmp_path), *arguments, "--cache", str(tmp_path / "cache")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert named in line


def test_a_taken_port_is_named(tmp_path, server):
    port = server.url.rpartition(":")[2]
    run = subprocess.run(
        [sys.executable, "app.py", "--no-browser", "--port", port, "--cache", str(tmp_path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert f"port {port}" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_an_unwritable_cache_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    for command in ("serve", "sweep"):
        run = subprocess.run(
            [sys.executable, "-m", "lurk", command, "--cache", str(blocked / "cache")],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode == 2
        assert "--cache" in run.stderr
        assert len(run.stderr.strip().splitlines()) == 1


def test_a_checkpoint_of_another_network_is_named(tmp_path, capsys):
    torch.save(squeezenet1_1(num_classes=7).state_dict(), tmp_path / "seven.pth")
    more = ["--model", "resnet18", "--weights", str(tmp_path / "seven.pth"), "--cache", str(tmp_path / "cache")]
    assert main(["sweep", *toy_study(tmp_path), *more]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "seven.pth" in line


def test_the_printed_token_lets_in_and_nothing_else_does(tmp_path):
    with real_server(tmp_path, *toy_study(tmp_path), "--auth", "token") as server:
        token = re.search(r"\?token=(\S+)", server.log.read_text())[1]
        assert len(token) * 6 >= 192
        assert server.fetch("/api/v1/studies")[0] == 401
        assert server.fetch("/healthz")[0] == 200
        assert b"Log in" in server.fetch("/")[1]
        request = urllib.request.Request(f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer) == {"name": "script", "role": "member"}
