"""The real server in a process of its own, started as a user starts it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RealServer:
    """A running `python app.py`; `url` without the last slash."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    def json(self, path: str) -> Any:
        """Body of an API route."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, body: object = None) -> Any:
        """Answer to a request that changes something, sent as the page sends it."""
        headers = {"Content-Type": "application/json", "Origin": self.url}
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", json.dumps(body or {}).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def fetch(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of any route."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers)

    def wait(self, study: str, is_true: Callable[[dict[str, Any]], bool], timeout_s: float = 120) -> dict[str, Any]:
        """Status of a study once something is true of it."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            status = self.json(f"studies/{study}")
            if is_true(status):
                return status
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended: {self.log.read_text()}")
            time.sleep(0.2)
        raise AssertionError(f"not in {timeout_s} s: {status}")


def descendants(pid: int) -> list[int]:
    """Process numbers of all children and their children, oldest first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            found += [int(child) for child in task.read_text().split() if int(child) not in found]
    return [*found, *(further for child in found for further in descendants(child))]


def command_line(pid: int) -> str:
    """Command line of a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def real_server(folder: Path, *arguments: str, environment: Sequence[tuple[str, str]] = ()) -> Iterator[RealServer]:
    """Start `python app.py` with a cache below a folder, and end it with all its children."""
    log = folder / "server.log"
    command = [sys.executable, str(ROOT / "app.py"), "--no-browser", "--cache", str(folder / "cache"), *arguments]
    if "--port" not in arguments:
        command += ["--port", "0"]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=ROOT, text=True, env={**os.environ, **dict(environment)}
        )
    try:
        yield RealServer(_address(process, log), process, log)
    finally:
        family = descendants(process.pid) if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        end = time.monotonic() + 15
        while any(is_alive(pid) for pid in family) and time.monotonic() < end:
            time.sleep(0.1)
        left = [command_line(pid) for pid in family if is_alive(pid)]
        assert not left, f"still running after the server ended: {left}"


def _address(process: subprocess.Popen[str], log: Path) -> str:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = re.findall(r"http://[0-9.]+:\d+", log.read_text())
        if found:
            return str(found[-1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text()}")
