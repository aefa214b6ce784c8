"""A sweep whose worker is killed again and again ends with the index of an undisturbed one.

`LURK_KILLS=20` runs the long form.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

import lurk
from lurk.storage.index import Index
from lurk.storage.manifest import study_index
from tests.acceptance.server import command_line, descendants, real_server
from tests.acceptance.toy_study import toy_study
from tests.index_equality import assert_identical

KILLS = int(os.environ.get("LURK_KILLS", "8"))


def workers_of(pid: int) -> list[int]:
    return [child for child in descendants(pid) if "lurk.worker.worker" in command_line(child)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [2, pytest.param(KILLS, marks=pytest.mark.slow)])
def test_kills_of_the_worker_leave_the_index_of_an_undisturbed_sweep(tmp_path: Path, kills: int):
    arguments = toy_study(tmp_path, images=20 * (kills + 4), pause_s=0.05)
    chance, killed = random.Random(0), 0
    with real_server(tmp_path, *arguments) as server:
        study = server.json("studies")[0]["name"]
        seen = 0
        while killed < kills:
            status = server.wait(study, lambda now: now["state"] in ("running", "done") and now["done"] > 0)
            if status["state"] == "done":
                break
            assert status["images_indexed"] >= seen
            seen = status["images_indexed"]
            time.sleep(chance.random())
            for pid in workers_of(server.process.pid):
                os.kill(pid, signal.SIGKILL)
                killed += 1
            server.wait(study, lambda now: now["state"] != "running" or now["done"] == 0 or not_alive(server))
        server.wait(study, lambda now: now["state"] == "done", timeout_s=240)
    assert killed >= kills
    folder = study_index(tmp_path / "cache", study)
    images = lurk.load_images(tmp_path / "images")
    model = lurk.load_model(f"{tmp_path / 'net.py'}:make")
    undisturbed = lurk.sweep(model, images, cache=tmp_path / "undisturbed", batch_size=4)
    assert folder.name == undisturbed.key
    assert_identical(Index(folder).open_all(), undisturbed)
    views = [sorted(file.name for file in (place / "views").glob("*/*")) for place in (folder, undisturbed.folder)]
    assert views[0] == views[1]


def not_alive(server) -> bool:
    """Whether no worker is there, so that the next wait sees the next one."""
    return not workers_of(server.process.pid)
