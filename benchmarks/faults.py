"""Crowds, restarts and kills on a real server of this machine: prints lost and doubled jobs, and times.

python -m benchmarks.faults [--people 20] [--waiting 1000] [--kills 100] [--sample 2]

It starts `python app.py` on the demo images, kills its processes one after the other at random moments, starts it again
as an init system would, and ends by itself. An option of 0 leaves that part out.
"""

import argparse
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.load import Person, Seen, family, study_of
from lurk.jobs.open_queue import open_local_queue
from lurk.jobs.queue import Queue

LOOK_S = 0.3  # how often the page polls a running job
WHICH = ("server", "web", "web worker", "supervisor", "worker")
MOST_KILLS, LONGEST_S = 1000, 60.0


class Lab:
    """A server that can be killed and started again on the same cache and port."""

    def __init__(self, folder: Path, study: Sequence[str]) -> None:
        self.cache, self._log = folder / "cache", folder / "log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        limits = ("--queue-limit", "5000", "--queue-limit-person", "5000")
        self._command = [sys.executable, "app.py", "--no-browser", "--port", str(self.port), "--cache", str(self.cache)]
        self._command += [*study, "--web-workers", "2", *limits]
        self.start()

    def start(self) -> None:
        with self._log.open("a") as out:
            self.process = subprocess.Popen(self._command, stdout=out, stderr=out)

    def members(self) -> dict[str, list[int]]:
        """Process numbers, by the kind of process."""
        found: dict[str, list[int]] = {which: [] for which in WHICH}
        found["server"].append(self.process.pid)
        for pid in family(self.process.pid)[1:]:
            with suppress(OSError, ValueError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                module = words[words.index(b"-m") + 1].decode()
                parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                web = "web" if parent == self.process.pid else "web worker"
                which = {
                    "lurk.web.server.gunicorn_app": web,
                    "lurk.worker.supervisor": "supervisor",
                    "lurk.worker.worker_process": "worker",
                }.get(module)
                if which:
                    found[which].append(pid)
        return found

    def kill(self, which: str, chance: random.Random) -> bool:
        """Kill a process of a kind, if there is one. A server is restarted at once, as by an init system."""
        victims = self.members()[which]
        if not victims:
            return False
        os.kill(chance.choice(victims), signal.SIGKILL)
        if which == "server":
            self.process.wait()
            self.start()
        return True

    def keep(self) -> None:
        """Start the server again if it has ended, for example because its port was not free yet."""
        if self.process.poll() is not None:
            self.start()

    def answers(self) -> bool:
        seen = Seen()
        person = Person(self.url, seen, 0)
        person.ask("api", "/healthz")
        person.leave()
        return not seen.errors

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


@contextmanager
def lab(study: Sequence[str]) -> Iterator[tuple[Lab, str, list[dict]]]:
    """A server whose sweep is done, the name of its study, and its layers; the options of the study are given."""
    with tempfile.TemporaryDirectory(prefix="lurk-faults-") as folder:
        running = Lab(Path(folder), study)
        try:
            wait_for(lambda: running.answers() and study_of(running.url, "done"), 600)
            person = Person(running.url, Seen(), 0)
            name = study_of(running.url)
            layers = person.json(f"/studies/{name}/layers")
            person.leave()
            yield running, name, layers
        finally:
            running.stop()


def wait_for(found: Callable[[], object], timeout_s: float, pause_s: float = 0.05) -> object:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(pause_s)
    raise SystemExit("it did not come to be")


def picture(study: str, layer: str, unit: int, steps: int) -> dict:
    return {"kind": "picture", "study": study, "layer": layer, "unit": unit, "options": {"steps": steps, "size": 64}}


def crowd(running: Lab, body: dict, people: int) -> dict:
    """Many people request the same job at once, and poll as often as the page does.

    Args:
        running: The server.
        body: The request.
        people: How many people.

    Returns:
        `jobs`, `tries` and `answers` as numbers; `late_s`, seconds from the job's end to each answer; `errors`.
    """
    seen, ends, keys = Seen(), [], []

    def ask(number: int) -> None:
        person = Person(running.url, seen, number)
        job = person_asks(person, body)
        keys.append(job["key"])
        while job["state"] in ("queued", "running"):
            time.sleep(LOOK_S)
            job = person.json(f"/jobs/{job['key']}")
        ends.append((time.time(), job))
        person.leave()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = open_local_queue(running.cache).get(keys[0])
    late_s = [at - record.ended for at, _ in ends]
    return {"jobs": len({*keys}), "tries": record.tries, "answers": len(ends), "late_s": late_s, "errors": seen.errors}


def person_asks(person: Person, body: dict) -> dict:
    """Request a job; returns it."""
    return json.loads(person.ask("api", "/api/v1/jobs", body) or "{}")


def restart(running: Lab, bodies: list[dict]) -> dict:
    """Kill everything while jobs wait, and start it again.

    Args:
        running: The server.
        bodies: The jobs.

    Returns:
        `waiting` and `lost` as numbers; seconds from the start to the first answer, to the list of jobs, and to the
        next step of one: `answered_s`, `listed_s`, `moved_s`; `errors`.
    """
    seen = Seen()
    person = Person(running.url, seen, 0)
    keys = {person_asks(person, body)["key"] for body in bodies}
    person.leave()
    queue = open_local_queue(running.cache)
    over = {job.key for job in queue.jobs() if job.state not in ("queued", "running")}
    waiting = keys - over
    for pids in running.members().values():
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    running.process.wait()
    before, began = progress(queue), time.monotonic()
    running.start()
    wait_for(running.answers, 60, 0.02)
    answered = time.monotonic() - began
    person = Person(running.url, seen, 0)
    known = {job["key"]: job["state"] for job in person.json("/jobs")}
    listed = time.monotonic() - began
    person.leave()
    wait_for(lambda: progress(queue) > before, 60)
    moved = time.monotonic() - began
    for key in waiting:
        queue.cancel(key)
    wait_for(lambda: not any(job.state in ("queued", "running") for job in queue.jobs()), 60)
    return {
        "waiting": len(waiting),
        "lost": len(waiting - set(known)),
        "answered_s": answered,
        "listed_s": listed,
        "moved_s": moved,
        "errors": seen.errors,
    }


def progress(queue: Queue) -> int:
    return sum(10_000 if job.state == "done" else job.done for job in queue.jobs())


def kills(running: Lab, bodies: list[dict], count: int, seed: int) -> dict:
    """Kill one process after the other at random moments, while jobs run.

    Args:
        running: The server.
        bodies: The jobs.
        count: How many kills.
        seed: Seed of the random moments and victims.

    Returns:
        `states`, the number of jobs in each state; `times`, for each kind of process the (seconds to an answer, seconds
        to a job's step) of each kill; `results`, the number on disk; `left`, the number of unfinished ones on disk.
    """
    seen, chance, queue = Seen(), random.Random(seed), open_local_queue(running.cache)
    person = Person(running.url, seen, 0)
    keys = [person_asks(person, body)["key"] for body in bodies]
    person.leave()
    found: dict[str, list[tuple[float, float]]] = {which: [] for which in WHICH}
    while sum(map(len, found.values())) < count and unfinished(queue, keys):
        time.sleep(chance.random() * 1.5)
        which, before = chance.choice(WHICH), progress(queue)
        if running.kill(which, chance):
            found[which].append(recovery(running, queue, keys, before))
    wait_for(lambda: not unfinished(queue, keys), 1800, 0.5)
    return {
        "states": Counter(queue.get(key).state for key in keys),
        "times": found,
        "results": len(list(running.cache.glob("index/*/results/*/*/result.json"))),
        "left": len(list(running.cache.glob("index/*/results/*/.new-*"))),
    }


def recovery(running: Lab, queue: Queue, keys: list[str], before: int) -> tuple[float, float]:
    """Seconds from a kill to the next answer, and to the next step of a job; at most a minute."""
    began, answered, moved = time.monotonic(), LONGEST_S, LONGEST_S
    while LONGEST_S in (answered, moved) and time.monotonic() - began < LONGEST_S:
        running.keep()
        now = progress(queue)
        if moved == LONGEST_S and (now > before or not unfinished(queue, keys)):
            moved = time.monotonic() - began
        before = min(before, now)
        if answered == LONGEST_S and running.answers():
            answered = time.monotonic() - began
        time.sleep(0.05)
    return answered, moved


def unfinished(queue: Queue, keys: list[str]) -> bool:
    states = {job.key: job.state for job in queue.jobs()}
    return any(states.get(key) in ("queued", "running") for key in keys)


def show_crowd(people: int, found: dict) -> None:
    late = found["late_s"]
    print(
        f"{people} people ask for the same picture: {found['jobs']} job, begun {found['tries']} time, "
        f"{found['answers']} answers, the last {max(late):.2f} s after its end "
        f"(median {statistics.median(late):.2f} s); errors: {len(found['errors'])}"
    )


def show_restart(found: dict) -> None:
    print(
        f"restart with {found['waiting']:,} jobs that wait: answers after {found['answered_s']:.1f} s, lists "
        f"them after {found['listed_s']:.1f} s, has the next step of one after {found['moved_s']:.1f} s; "
        f"lost: {found['lost']}; errors: {len(found['errors'])}"
    )


def show_kills(found: dict) -> None:
    killed = {which: len(times) for which, times in found["times"].items()}
    print(f"{sum(killed.values())} kills (-9), {killed}; jobs: {dict(found['states'])}")
    for which, times in found["times"].items():
        for what, seconds in zip(("an answer", "a job's step"), zip(*times, strict=True), strict=False):
            print(f"  {which:12} {what:14} after {statistics.median(seconds):5.1f} s, at most {max(seconds):5.1f} s")
    print(f"  results on disk: {found['results']}; begun and left: {found['left']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--waiting", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--sample", type=int, default=2, help="demo images a class")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if not (0 <= given.people <= 500 and 0 <= given.waiting <= 4000 and 0 <= given.kills <= MOST_KILLS):
        raise SystemExit(f"at most 500 people, 4000 waiting jobs, {MOST_KILLS} kills")
    with lab(("--sample", str(given.sample))) as (running, study, layers):
        units = [(layer["name"], unit) for layer in layers for unit in range(min(layer["units"], 40))]
        if given.people:
            show_crowd(given.people, crowd(running, picture(study, *units.pop(), steps=64), given.people))
        if given.waiting:
            show_restart(restart(running, [picture(study, *units[at], steps=64) for at in range(given.waiting)]))
            del units[: given.waiting]
        if given.kills:
            bodies = [picture(study, *units[at], steps=96) for at in range(2 * given.kills)]
            show_kills(kills(running, bodies, given.kills, given.seed))
    print(f"load average of the machine: {Path('/proc/loadavg').read_text().strip()}")


if __name__ == "__main__":
    main()
