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

from lurk.cli import main
from tests.acceptance.server import ROOT, command_line, descendants, is_alive, real_server


def workers_of(server) -> list[int]:
    return [pid for pid in descendants(server.process.pid) if "lurk.worker.worker" in command_line(pid)]


def supervisor_of(server) -> list[int]:
    return [pid for pid in descendants(server.process.pid) if "lurk.worker.supervisor" in command_line(pid)]


@pytest.fixture
def folder(tmp_path, put_demo_set):
    """A place for a server in whose cache the demo set is already."""
    put_demo_set(tmp_path / "cache")
    return tmp_path


@pytest.fixture(scope="module")
def demo(tmp_path_factory, put_demo_set):
    folder = tmp_path_factory.mktemp("demo")
    put_demo_set(folder / "cache")
    with real_server(folder, "--sample", "4") as server:
        yield server


def study_of(server) -> str:
    return server.json("studies")[0]["name"]


def test_the_page_opens_before_the_model_is_loaded_and_units_follow(tmp_path):
    with real_server(tmp_path, "--sample", "3") as server:
        status, _, headers = server.fetch("/")
        assert status == 200
        study = study_of(server)
        server.wait(study, lambda now: now["serial"] > 0, timeout_s=60)
        grid = server.json(f"studies/{study}/layers/_conv_stem/units")
        status, _, headers = server.fetch(grid["sprites"][0])
        assert status == 200
        assert headers["Content-Type"] == "image/webp"
        assert "immutable" in headers["Cache-Control"]


def test_the_web_process_never_loads_torch(demo):
    demo.fetch("/")
    assert "libtorch" not in Path(f"/proc/{demo.process.pid}/maps").read_text()


def test_json_has_the_names_of_the_records(demo):
    study = study_of(demo)
    demo.wait(study, lambda now: now["state"] == "done", timeout_s=240)
    layers = demo.json(f"studies/{study}/layers")
    assert {"name", "kind", "units", "shape", "receptive_field", "jump", "tap"} <= set(layers[0])
    layer = layers[3]
    units = demo.json(f"studies/{study}/layers/{layer['name']}/units?sort=max&limit=5&offset=1")
    assert len(units["order"]) == 5
    assert units["score"] == sorted(units["score"], reverse=True)
    unit = demo.json(f"studies/{study}/layers/{layer['name']}/units/{units['order'][0]}")
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
        assert demo.fetch(url)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/s/nope",
        "/api/v1/studies/nope",
        "/api/v1/jobs/nope",
        "/media/../app.py",
        "/media/x/view/1",
        "/api/v1/studies/{study}/layers/nope/units",
        "/api/v1/studies/{study}/layers/_conv_stem/units/99999",
        "/api/v1/studies/{study}/layers/_conv_stem/units?limit=many",
        "/api/v1/studies/{study}/layers/_conv_stem/units?sort=colour",
    ],
)
def test_what_is_not_there_is_said_without_a_traceback(demo, path):
    study = study_of(demo)
    demo.wait(study, lambda now: now["ready"])
    status, body, _ = demo.fetch(path.format(study=study))
    assert status in ((200, 404) if path.startswith("/s/") else (400, 404))
    assert b"Traceback" not in body


def test_health_and_metrics(demo):
    study = study_of(demo)
    demo.wait(study, lambda now: now["ready"])
    assert demo.fetch("/healthz")[0] == 200
    assert demo.fetch("/readyz")[0] == 200
    assert b"lurk_workers 1" in demo.fetch("/metrics")[1]


def test_a_second_start_shows_the_finished_study_at_once(folder):
    with real_server(folder, "--sample", "1") as server:
        study = study_of(server)
        server.wait(study, lambda now: now["state"] == "done")
        before = server.json(f"studies/{study}/layers/_fc/units/7")
    with real_server(folder, "--sample", "1") as server:
        assert server.json(f"studies/{study}/layers/_fc/units/7") == before


def test_web_process_killed_takes_all_with_it_and_the_next_start_goes_on(folder):
    with real_server(folder, "--sample", "4") as server:
        study = study_of(server)
        server.wait(study, lambda now: now["serial"] > 0)
        family = descendants(server.process.pid)
        assert len(family) >= 2
        os.kill(server.process.pid, signal.SIGKILL)
        end = time.monotonic() + 15
        while any(is_alive(pid) for pid in family) and time.monotonic() < end:
            time.sleep(0.1)
        assert not [command_line(pid) for pid in family if is_alive(pid)]
    with real_server(folder, "--sample", "4") as server:
        status = server.wait(study, lambda now: now["state"] == "done", timeout_s=240)
        assert status["done"] == status["total"]


def test_supervisor_and_worker_killed_the_sweep_still_ends(folder):
    with real_server(folder, "--sample", "5") as server:
        study = study_of(server)
        chance = random.Random(1)
        for victims in (workers_of, supervisor_of, workers_of):
            server.wait(study, lambda now: now["state"] in ("running", "done") and now["serial"] > 0, timeout_s=90)
            time.sleep(chance.random())
            for pid in victims(server):
                os.kill(pid, signal.SIGKILL)
            time.sleep(1)
        server.wait(study, lambda now: now["state"] == "done", timeout_s=240)


def test_cancel_and_resume(folder):
    with real_server(folder, "--sample", "20") as server:
        study = study_of(server)
        server.wait(study, lambda now: now["state"] == "running" and now["done"] > 0)
        server.post(f"studies/{study}/cancel")
        stopped = server.wait(study, lambda now: now["state"] == "cancelled", timeout_s=30)
        assert 0 < stopped["images_indexed"] < stopped["total"]
        server.post(f"studies/{study}/resume")
        resumed = server.wait(study, lambda now: now["state"] in ("running", "done") and now["done"] > 0, timeout_s=60)
        assert resumed["done"] >= stopped["images_indexed"]


def test_a_click_is_served_between_two_batches_of_a_sweep(folder):
    with real_server(folder) as server:
        study = study_of(server)
        server.wait(study, lambda now: now["state"] == "running" and now["serial"] > 0)
        key = server.post("jobs", {"kind": "verify", "study": study, "layer": "_conv_stem", "unit": 3})["key"]
        began = time.monotonic()
        while server.json(f"jobs/{key}")["state"] not in ("done", "failed"):
            assert time.monotonic() - began < 30
            time.sleep(0.1)
        job = server.json(f"jobs/{key}")
        assert job["state"] == "done"
        assert job["result"]["checked"] == job["result"]["agree"] > 0
        assert server.json(f"studies/{study}")["state"] == "running"


MISTAKES = {
    "no such folder": (["--data", "no/such/folder"], "no/such/folder"),
    "no such model": (["--model", "resnet9000"], "resnet9000"),
    "no such factory file": (["--model", "nowhere.py:make"], "nowhere.py"),
    "bad layer expression": (["--layers", "("], "--layers"),
    "no layer matches": (["--layers", "zzz", "--sample", "1"], "zzz"),
    "no such weights": (["--model", "resnet18", "--weights", "gone.pth"], "gone.pth"),
    "remote host": (["--host", "0.0.0.0"], "--host"),
    "no such class file": (["--classes", "gone.json", "--sample", "1"], "gone.json"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_line_and_status_2(name, folder):
    arguments, named = MISTAKES[name]
    more = ["--no-browser", "--port", "0", "--cache", str(folder / "cache")]
    run = subprocess.run(
        [sys.executable, "-m", "lurk", "serve", *arguments, *more],
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
def test_a_mistake_gets_one_line_and_status_2_from_a_sweep_too(name, folder, capsys):
    arguments, named = MISTAKES[name]
    assert main(["sweep", *arguments, "--cache", str(folder / "cache")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert named in line


def test_a_taken_port_is_named(tmp_path, demo):
    port = demo.url.rpartition(":")[2]
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


def test_a_checkpoint_of_another_network_is_named(folder):
    import torch
    from torchvision.models import resnet18

    torch.save(resnet18(num_classes=7).state_dict(), folder / "seven.pth")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "lurk",
            "sweep",
            "--model",
            "resnet50",
            "--weights",
            str(folder / "seven.pth"),
            "--sample",
            "1",
            "--cache",
            str(folder / "cache"),
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert "seven.pth" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_the_printed_token_lets_in_and_nothing_else_does(folder):
    with real_server(folder, "--sample", "1", "--auth", "token") as server:
        token = re.search(r"\?token=(\S+)", server.log.read_text())[1]
        assert len(token) * 6 >= 192
        assert server.fetch("/api/v1/studies")[0] == 401
        assert server.fetch("/healthz")[0] == 200
        assert b"Log in" in server.fetch("/")[1]
        request = urllib.request.Request(f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer) == {"name": "script", "role": "member"}
