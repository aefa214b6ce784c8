"""The log, which each process writes to standard error: warnings, and with `--log text` or `json` every event.

Every line names the process, and the request and the job to which it belongs, if there are any.
"""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

MODES = ("quiet", "text", "json")
VARIABLE = "LURK_LOG"
REQUEST: ContextVar[str] = ContextVar("request", default="")
JOB: ContextVar[str] = ContextVar("job", default="")
LONGEST_VALUE = 2000
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:,+%@?&~")


def configure(process: str, mode: str | None = None) -> None:
    """Send the log of this process to standard error.

    Args:
        process: Name of the process in the lines, such as `web`.
        mode: `quiet` for warnings only, `text` or `json` for events as well; by default the value of `LURK_LOG`.
    """
    mode = mode or os.environ.get(VARIABLE) or MODES[0]
    handler = _Lines()
    handler.setFormatter(JsonLines(process) if mode == "json" else TextLines(process))
    root = logging.getLogger()
    for other in [one for one in root.handlers if isinstance(one, _Lines)]:
        root.removeHandler(other)
    root.addHandler(handler)
    logging.getLogger("lurk").setLevel(logging.WARNING if mode == "quiet" else logging.INFO)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    threading.excepthook = _thread_failed


def event(name: str, *, level: int = logging.INFO, failed: BaseException | None = None, **details: object) -> None:
    """Write a line about something that happened.

    Args:
        name: What happened, in a few words, the same ones each time.
        level: Its level, one of `logging`'s.
        failed: The exception that caused it; its traceback is written as well.
        **details: Further fields of the line.
    """
    logging.getLogger("lurk").log(level, name, extra={"details": details}, exc_info=failed)


@contextmanager
def within(variable: ContextVar[str], value: str) -> Iterator[None]:
    """Let all lines that are written inside name a request or a job."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def fields_of(record: logging.LogRecord, process: str) -> dict[str, Any]:
    """The fields of a line that are not empty, in their order."""
    at = datetime.fromtimestamp(record.created, UTC)
    found = {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "process": process,
        "pid": record.process,
        "event": record.getMessage(),
        "logger": "" if record.name.partition(".")[0] == "lurk" else record.name,
        "request": REQUEST.get(),
        "job": JOB.get(),
        **getattr(record, "details", {}),
    }
    if record.exc_info and record.exc_info[0]:
        found["traceback"] = logging.Formatter().formatException(record.exc_info)
    return {name: value for name, value in found.items() if value not in ("", None)}


class _Lines(logging.Handler):
    """Writes each line in one call to `sys.stderr` as it is then, which tests replace."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; does nothing if standard error is closed."""
        with suppress(OSError, ValueError):
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return json.dumps(fields_of(record, self._process), ensure_ascii=True, default=str)


class TextLines(JsonLines):
    """`name=value` pairs, with quotes around values that need them; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        found = fields_of(record, self._process)
        trace = found.pop("traceback", "")
        line = " ".join(f"{name}={_quoted(value)}" for name, value in found.items())
        return f"{line}\n{trace}" if trace else line


def _quoted(value: object) -> str:
    text = str(value)[:LONGEST_VALUE]
    return text if text and _PLAIN.issuperset(text) else json.dumps(text)


def _thread_failed(given: threading.ExceptHookArgs) -> None:
    name = given.thread.name if given.thread else ""
    event("thread failed", level=logging.ERROR, failed=given.exc_value, thread=name)


def seconds_since(began: float) -> float:
    """Seconds since a time of `time.monotonic`, to the tenth of a millisecond."""
    return round(time.monotonic() - began, 4)
