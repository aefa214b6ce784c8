"""Simulated people who click through the pages of a server; prints times, errors, memory and file descriptors.

python -m benchmarks.load [--people 50] [--seconds 60] [--job] [--stalled 20] [--sample 5]

Without --url it starts a server of its own on the demo images, waits for its sweep, and ends it afterwards.
It sends requests to this machine only, and ends by itself.
"""

import argparse
import http.client
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
THINK_S = (1.0, 3.0)
TIMEOUT_S = 30
LONGEST_S = 2 * 3600
MOST_PEOPLE = 500
MEDIA = re.compile(r"/media/[A-Za-z0-9_./-]+")
KINDS = ("page", "callback", "api", "media")
WEB = "lurk.web.server.gunicorn_app"


@dataclass
class Seen:
    """The answers of all people: seconds by kind of request, and errors."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, int, float, float, float, float]]:
        """(kind, requests, p50, p95, p99, worst) in milliseconds."""
        everything = {"all": [value for kind in KINDS for value in self.seconds[kind]], **self.seconds}
        rows = []
        for kind in (*KINDS, "all"):
            values = sorted(everything.get(kind, ()))
            if values:
                at = [values[min(len(values) - 1, int(len(values) * share))] * 1000 for share in (0.5, 0.95, 0.99)]
                rows.append((kind, len(values), *at, values[-1] * 1000))
        return rows

    def p95_ms(self, kind: str = "all") -> float:
        return next(row[3] for row in self.rows() if row[0] == kind)


class Person:
    """A browser's requests, one after the other over one connection; it requests each image once."""

    def __init__(self, url: str, seen: Seen, seed: int) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.origin, self.seen, self.chance = f"http://{parts.netloc}", seen, random.Random(seed)
        self.connection: http.client.HTTPConnection | None = None
        self.had: set[str] = set()
        self.outputs: dict[str, dict] = {}

    def ask(self, kind: str, path: str, body: object = None) -> bytes:
        """Send a request, timed to the last byte of its answer; reopens a connection that was closed while idle."""
        headers = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin", "Origin": self.origin}
        text = None if body is None else json.dumps(body)
        if text is not None:
            headers["Content-Type"] = "application/json"
        began = time.perf_counter()
        for is_last in (self.connection is None, True):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
                self.connection.request("GET" if text is None else "POST", path, text, headers)
                answer = self.connection.getresponse()
                data = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:
                self.leave()
                if is_last or isinstance(error, TimeoutError):
                    self.seen.errors.append(f"{kind} {path[:80]}: {type(error).__name__} {error}")
                    return b""
        self.seen.seconds[kind].append(time.perf_counter() - began)
        if answer.status >= 400:
            self.seen.errors.append(f"{kind} {path[:80]}: status {answer.status}")
            return b""
        if answer.getheader("Content-Encoding") == "gzip":
            import gzip

            data = gzip.decompress(data)
        return data

    def json(self, path: str):
        return json.loads(self.ask("api", "/api/v1" + path) or "null")

    def leave(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def open(self, path: str) -> None:
        """The requests of a browser that opens the page and has the scripts already."""
        self.ask("page", path)
        self.ask("page", "/_dash-layout")
        listed = json.loads(self.ask("page", "/_dash-dependencies") or "[]")
        self.outputs = {one["output"]: one for one in listed if not one.get("clientside_function")}

    def call(self, output: str, *values: object) -> str:
        """Send a callback with the values of its inputs."""
        known = self.outputs.get(output)
        if known is None:
            return ""
        inputs = [
            {"id": one["id"], "property": one["property"], "value": value}
            for one, value in zip(known["inputs"], values, strict=True)
        ]
        name, _, part = output.rpartition(".")
        body = {
            "output": output,
            "outputs": {"id": name, "property": part},
            "inputs": inputs,
            "changedPropIds": [f"{inputs[0]['id']}.{inputs[0]['property']}"],
            "state": [],
        }
        return json.dumps(json.loads(self.ask("callback", "/_dash-update-component", body) or "{}"))

    def images(self, text: str, most: int) -> None:
        for url in list(dict.fromkeys(MEDIA.findall(text)))[:most]:
            if url not in self.had:
                self.had.add(url)
                self.ask("media", url)


class Walk:
    """A person's visit to a study: opens it, looks at layers and units, while the page polls."""

    def __init__(self, person: Person, study: str) -> None:
        self.person, self.study, self.place = person, study, f"/studies/{quote(study)}"
        self.layers: list[dict] = []

    def begin(self) -> None:
        person, study = self.person, self.study
        person.open(f"/s/{quote(study)}")
        person.call("header-title.children", study)
        person.call("layers.data", study, study)
        person.call("layer-choice.options", study, study)
        self.layers = person.json(f"{self.place}/layers") or []

    def act(self) -> None:
        """One click, with all the requests that it causes."""
        person, study = self.person, self.study
        status = person.json(self.place) or {}
        if not self.layers or not person.outputs:
            return self.begin()
        layer = person.chance.choice(self.layers)
        place, serial = {"study": study, "layer": layer["name"]}, status.get("serial", 1)
        doing = person.chance.random()
        if doing < 0.35:
            person.call("layer-facts.children", place, study)
            person.images(person.call("grid-data.data", place, "unit", serial), 8)
        elif doing < 0.8:
            unit = {**place, "unit": person.chance.randrange(layer["units"])}
            person.call("unit-title.children", unit, serial)
            person.images(person.call("unit-body.children", unit, "max", None, serial), 20)
        elif doing < 0.9:
            path = f"{self.place}/layers/{quote(layer['name'], safe='')}/units"
            person.json(f"{path}?sort=max&limit=100")
            person.json(f"{path}/{person.chance.randrange(layer['units'])}")
        elif doing < 0.96:
            person.json("/jobs")
        else:
            self.begin()
        return None


def walk(url: str, study: str, *, people: int, seconds: float, think_s: tuple[float, float] = THINK_S) -> Seen:
    """Let people click for a while; all have left when it returns."""
    if urlsplit(url).hostname not in LOOPBACK:
        raise ValueError(f"only this machine's own addresses are asked, not {url}")
    if not (0 < people <= MOST_PEOPLE and 0 < seconds <= LONGEST_S):
        raise ValueError(f"1 to {MOST_PEOPLE} people for at most {LONGEST_S} s")
    seen, over = Seen(), time.monotonic() + seconds

    def live(number: int) -> None:
        person = Person(url, seen, number)
        walking = Walk(person, study)
        time.sleep(person.chance.uniform(0, min(think_s[1], seconds / 4)))
        while time.monotonic() < over:
            walking.act()
            time.sleep(max(0.0, min(person.chance.uniform(*think_s), over - time.monotonic())))
        person.leave()

    threads = [threading.Thread(target=live, args=(number,), daemon=True) for number in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 3 * TIMEOUT_S)
    return seen


@contextmanager
def stalled(url: str, count: int):
    """Clients that begin a request and then say nothing: half send half a head, half half a body."""
    parts = urlsplit(url)
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    sockets = []
    try:
        for number in range(count):
            one = socket.create_connection((parts.hostname, parts.port), timeout=5)
            one.sendall(head[:40].encode() if number % 2 else (head + "Content-Length: 1000\r\n\r\n{").encode())
            sockets.append(one)
        yield
    finally:
        for one in sockets:
            one.close()


def family(pid: int) -> list[int]:
    """The numbers of a process and of all its descendants."""
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children += [int(child) for child in task.read_text().split()]
    return [pid, *(deeper for child in children for deeper in family(child))]


def measured(pid: int) -> tuple[float, int, int]:
    """(own megabytes, descriptors, processes) of the web processes, without the mapped files of the index."""
    kilobytes = descriptors = processes = 0
    for one in family(pid):
        with suppress(OSError):
            if WEB.encode() in Path(f"/proc/{one}/cmdline").read_bytes():
                kilobytes += int(
                    re.search(r"^Pss_Anon:\s+(\d+)", Path(f"/proc/{one}/smaps_rollup").read_text(), re.M)[1]
                )
                descriptors += len(list(Path(f"/proc/{one}/fd").iterdir()))
                processes += 1
    return kilobytes / 1024, descriptors, processes


@contextmanager
def own_server(sample: int, more: list[str]):
    """A server on the demo images, its sweep done; (process number, address)."""
    with tempfile.TemporaryDirectory(prefix="lurk-load-") as folder:
        log = Path(folder, "log")
        command = [sys.executable, "app.py", "--no-browser", "--port", "0", "--cache", f"{folder}/cache"]
        with log.open("w") as out:
            server = subprocess.Popen([*command, "--sample", str(sample), *more], stdout=out, stderr=out)
        try:
            end = time.monotonic() + 600
            while time.monotonic() < end and server.poll() is None:
                found = re.search(r"http://[0-9.]+:\d+", log.read_text())
                if found and study_of(found[0], "done"):
                    break
                time.sleep(0.5)
            else:
                raise SystemExit(f"the server did not get ready: {log.read_text()}")
            yield server.pid, found[0]
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
            sys.stderr.write("".join(line for line in log.read_text().splitlines(True) if "level=error" in line))


def study_of(url: str, state: str = "") -> str:
    """The first study's name, or an empty text if the study is not in that state."""
    person = Person(url, Seen(), 0)
    first = (person.json("/studies") or [{}])[0]
    person.leave()
    return first.get("name", "") if state in ("", first.get("state")) else ""


@contextmanager
def heavy_job(url: str, study: str):
    """Keep a heavy job running: pictures of many units, requested again when they are finished."""
    over = threading.Event()
    done = []

    def keep() -> None:
        person = Person(url, Seen(), 1)
        layers = [layer for layer in person.json(f"/studies/{quote(study)}/layers") if layer["units"] >= 16]
        for layer in layers * 100:
            body = {"kind": "pictures", "study": study, "layer": layer["name"], "units": list(range(16))}
            job = json.loads(person.ask("api", "/api/v1/jobs", body) or "{}")
            while job.get("state") in ("queued", "running") and not over.wait(1):
                job = person.json(f"/jobs/{job['key']}") or job
            done.append(job.get("state"))
            if over.is_set():
                person.ask("api", f"/api/v1/jobs/{job.get('key')}/cancel", {})
                break
        person.leave()

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join(30)


def show(title: str, seen: Seen) -> None:
    print(f"\n{title}")
    print(f"{'':10}{'requests':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'worst':>9}")
    for kind, count, *times in seen.rows():
        print(f"{kind:10}{count:9,}" + "".join(f"{value:9.0f}" for value in times))
    print(f"errors: {len(seen.errors)}", *sorted(set(seen.errors))[:10], sep="\n  ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a server that runs, such as http://127.0.0.1:8050")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--sample", type=int, default=3, help="demo images a class of the server that is started")
    parser.add_argument("--web-workers", type=int, default=2)
    parser.add_argument("--job", action="store_true", help="with a heavy job under way all the time")
    parser.add_argument("--stalled", type=int, default=0, metavar="N", help="with N clients that fall silent")
    parser.add_argument("--idle", type=float, default=0, metavar="S", help="then one person alone for S seconds")
    given = parser.parse_args()
    if given.url:
        return measure(given, None, given.url.rstrip("/"))
    with own_server(given.sample, ["--web-workers", str(given.web_workers), "--log", "text"]) as (pid, url):
        return measure(given, pid, url)


def measure(given: argparse.Namespace, pid: int | None, url: str) -> None:
    study = study_of(url)
    with stalled(url, given.stalled):
        walk(url, study, people=5, seconds=5)
        before, samples, over = measured(pid) if pid else (0.0, 0, 0), [], threading.Event()
        watching = threading.Thread(target=lambda: watch(pid, samples, over), daemon=True)
        watching.start()
        if given.job:
            with heavy_job(url, study) as done:
                seen = walk(url, study, people=given.people, seconds=given.seconds)
            print(f"heavy jobs: {len(done)}, {dict((state, done.count(state)) for state in set(done))}")
        else:
            seen = walk(url, study, people=given.people, seconds=given.seconds)
        over.set()
    show(f"{given.people} people for {given.seconds:g} s, {given.stalled} stalled, job: {given.job}", seen)
    if given.idle:
        show(
            f"afterwards one person for {given.idle:g} s",
            walk(url, study, people=1, seconds=given.idle, think_s=(0.2, 0.5)),
        )
    if pid:
        time.sleep(3)
        after = measured(pid)
        most = statistics.fmean(sample[0] for sample in samples[-5:]) if samples else 0
        print(
            "memory over time, MB:",
            *(f"{samples[len(samples) * part // 10][0]:.0f}" for part in range(10 if samples else 0)),
        )
        print(
            f"web processes: {after[2]}; memory {before[0]:.0f} MB before, {most:.0f} MB at the end, "
            f"{after[0]:.0f} MB after;"
        )
        print(f"descriptors {before[1]} before, {max((s[1] for s in samples), default=0)} at most, {after[1]} after")
    print(f"load average of the machine: {Path('/proc/loadavg').read_text().strip()}")


def watch(pid: int | None, samples: list, over: threading.Event) -> None:
    while pid and not over.wait(2):
        samples.append(measured(pid))


if __name__ == "__main__":
    main()
