"""Processes that run modules of this package: started, started again, and ended with all that they have started."""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lurk.config.queue_address import LOCAL, QUEUE_VARIABLE

QUICK_S = 5.0
LONGEST_PAUSE_S = 3.0
GRACE_S = 5.0
KILLED = 9


def start(
    module: str, *arguments: str, files: Sequence[int] = (), variables: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a module of this package in a process and process group of its own.

    Args:
        module: Dotted name.
        *arguments: Its command line.
        files: Numbers of open files that it inherits.
        variables: Environment variables in addition to those of this process.

    Returns:
        The process; the end of its standard input tells it to end.
    """
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, **(variables or {})}
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", module, *arguments]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env=environment,
        pass_fds=files,
        process_group=0 if os.name == "posix" else None,
    )


def stop(process: subprocess.Popen[bytes], grace_s: float = GRACE_S) -> None:
    """Ask a process of `start` to end, kill it after `grace_s`, and kill what it has started."""
    if process.stdin:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if os.name == "posix":
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)


class RestartingProcess:
    """A process that is started again when it ends; the pause before that grows while it keeps crashing soon."""

    def __init__(
        self,
        grace_s: float = GRACE_S,
        files: Sequence[int] = (),
        *,
        queue: str = LOCAL,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._grace_s, self._files, self._variables = grace_s, files, {QUEUE_VARIABLE: queue, **(variables or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._began = self._due = 0.0
        self._quick = 0

    def ensure(self, module: str, *arguments: str) -> int | None:
        """Start the process if it does not run and the pause is over; to be called again and again.

        Args:
            module: Dotted name.
            *arguments: Its command line.

        Returns:
            Its `Popen.returncode` in the first call after it has ended; else None.
        """
        now = time.monotonic()
        code = None if self._process is None else self._process.poll()
        if self._process is not None and code is not None:
            stop(self._process)
            self._process = None
            is_crash = code != -KILLED and now - self._began < QUICK_S
            self._quick = self._quick + 1 if is_crash else 0
            self._due = now + min(LONGEST_PAUSE_S, 0.1 * 2**self._quick)
        elif self._process is None and now >= self._due:
            self._began = now
            try:
                self._process = start(module, *arguments, files=self._files, variables=self._variables)
            except OSError:  # no memory or no process number is left now
                self._due = now + LONGEST_PAUSE_S
        return code

    def kill(self) -> None:
        """End the process at once; the next `ensure` returns how it ended."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            stop(self._process, self._grace_s)
            self._process = None


def end_process_group() -> None:
    """End this process at once, and what it has started, if it leads a process group of its own."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def how_it_ended(code: int) -> str:
    """Say in words how a process ended, from its `Popen.returncode`."""
    if code >= 0:
        return f"ended with exit status {code}"
    if code == -KILLED:
        return "was killed (SIGKILL), as happens when memory runs out; a smaller --batch-size needs less"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}, a crash outside Python"
