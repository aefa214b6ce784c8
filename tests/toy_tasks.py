"""Tasks for tests that run real worker processes; each writes a line to `<cache>/log` when it begins and ends."""

import ctypes
import os
import signal
import subprocess
import sys
import time

from lurk.errors import LurkError


def run(spec, context):
    note(context, f"begin {spec.study}")
    result = TASKS[spec.kind](spec, context)
    note(context, f"end {spec.study}")
    return result


def note(context, line):
    with (context.cache / "log").open("a") as log:
        log.write(f"{line}\n")


def count(spec, context):
    """Steps of 50 ms, kept in a file, so that a further try goes on where the last was."""
    kept = context.cache / f"steps-{spec.study}"
    done = int(kept.read_text()) if kept.exists() and kept.read_text() else 0
    total = int(spec.get("steps") or 20)
    while done < total:
        time.sleep(0.05)
        done += 1
        fresh = kept.with_suffix(".new")
        fresh.write_text(str(done))
        fresh.replace(kept)
        context.report(done, total, "", 20.0)
        context.give_way()
    return {"steps": done}


def poison(spec, context):
    how = spec.get("how")
    if how == "segv":
        ctypes.string_at(0)
    if how == "exit":
        os._exit(3)
    if how == "sys.exit":
        sys.exit("no more")
    os.kill(os.getpid(), signal.SIGKILL)


def late_poison(spec, context):
    """Gets to step 3, where it ends its worker, each time."""
    for step in range(1, 4):
        context.report(step, 10)
    time.sleep(1.2)
    os._exit(4)


def family(spec, context):
    """Starts a process that would outlive it, and waits."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (context.cache / "grandchild").write_text(str(child.pid))
    while True:
        time.sleep(0.05)
        context.report(1, 10)


def mistake(spec, context):
    raise LurkError("there is no such thing; name another with --thing")


def sleep(spec, context):
    """One long call without a report."""
    time.sleep(float(spec.get("seconds")))
    return {}


TASKS = {
    "count": count,
    "poison": poison,
    "late_poison": late_poison,
    "family": family,
    "mistake": mistake,
    "sleep": sleep,
}
