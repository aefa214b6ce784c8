"""Several studies on a real server: added, changed and removed by editing the file, without a restart."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.acceptance.server import ROOT, RealServer, real_server
from tests.commands.conftest import NETWORK


class Lab:
    """A folder with a network, images, weights, and the file of a server."""

    def __init__(self, folder: Path, images: int = 12) -> None:
        self.folder, self.file = folder, folder / "lurk.toml"
        (folder / "net.py").write_text(NETWORK)
        slow = NETWORK.replace("    return torch", "    time.sleep(0.05)\n    return torch")
        (folder / "slow.py").write_text("import time\n" + slow)
        generator = np.random.default_rng(0)
        for number in range(images):
            place = folder / "images" / f"class{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(place / f"{number}.png")

    def write(self, **studies: str) -> None:
        self.file.write_text(
            "".join(
                f'[[study]]\nname = "{name}"\nmodel = "net.py:make"\ndata = "images"\n{more}\n'
                for name, more in studies.items()
            )
        )

    def reload(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lurk", "reload", "--config", str(self.file)]
        command += ["--cache", str(self.folder / "cache")]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def names(server: RealServer) -> list[str]:
    return [study["name"] for study in server.json("studies")]


def is_done(status: dict) -> bool:
    return status["state"] == "done" and not status["stale"]


def test_studies_come_go_and_change_without_a_restart(tmp_path):
    lab = Lab(tmp_path)
    lab.write(a="", b="top = 3")
    with real_server(tmp_path, "--config", str(lab.file)) as server:
        assert names(server) == ["a", "b"]
        done = [server.wait(name, is_done) for name in ("a", "b")]
        assert [(one["images_indexed"], one["layers"], one["units"]) for one in done] == [(12, 2, 6)] * 2
        assert server.fetch("/s/a")[0] == 200

        lab.write(b="top = 3", c="top = 4")
        ran = lab.reload()
        assert (ran.returncode, ran.stdout.splitlines()[:2]) == (0, ["added   c", "removed a"])
        assert names(server) == ["b", "c"]
        assert server.fetch("/s/a")[0] == server.fetch("/api/v1/studies/a")[0] == 404
        assert (tmp_path / "cache" / "studies" / "a.json").is_file()
        server.wait("c", is_done)

        lab.file.write_text(lab.file.read_text() + "top = [\n")
        ran = lab.reload()
        assert ran.returncode == 2
        assert f"{lab.file}:" in ran.stderr
        assert len(ran.stderr.splitlines()) == 1
        assert names(server) == ["b", "c"]

        torch.save({"odd": torch.zeros(1)}, tmp_path / "odd.pth")
        lab.write(b="top = 3", c='top = 4\nweights = "odd.pth"')
        assert lab.reload().stdout.startswith("changed c")
        failed = server.wait("c", lambda now: now["state"] == "failed")
        assert failed["ready"]
        assert failed["stale"] == "other weights"
        assert "odd.pth" in failed["message"]
        assert server.wait("b", is_done)["stale"] == ""
        assert server.process.poll() is None


def test_the_sweep_of_a_removed_study_stops_and_its_results_stay(tmp_path):
    lab = Lab(tmp_path, images=160)
    long = '[[study]]\nname = "long"\nmodel = "slow.py:make"\ndata = "images"\nbatch_size = 4\nworkers = 1\n'
    lab.file.write_text(long)
    with real_server(tmp_path, "--config", str(lab.file)) as server:
        before = server.wait("long", lambda now: now["state"] == "running" and now["serial"] > 0)
        lab.write(toy="")
        assert lab.reload().returncode == 0
        server.wait("toy", is_done)
        job = server.json(f"jobs/{before['job']}")
        assert job["state"] == "cancelled"
        lab.file.write_text(long)
        assert lab.reload().returncode == 0
        again = server.wait("long", lambda now: now["state"] == "running" and now["done"] > 0)
        assert again["images_indexed"] >= before["images_indexed"] > 0


def test_a_server_ends_with_a_line_where_its_file_is_wrong(tmp_path):
    lab = Lab(tmp_path)
    lab.write(a="tops = 3")
    ran = subprocess.run(
        [sys.executable, "app.py", "--config", str(lab.file), "--no-browser", "--port", "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert f"{lab.file}:5: a [[study]] has no option 'tops'; did you mean top?" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
