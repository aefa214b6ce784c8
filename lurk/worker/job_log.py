"""Logs when a job begins and ends, and adds its time to the metrics."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from lurk.config.logs import JOB, event, seconds_since, within
from lurk.errors import Cancelled, LurkError, Paused
from lurk.records import JobSpec
from lurk.storage.metric_counts import COUNTS

Given = TypeVar("Given")
Result = dict[str, object] | None


def logged(task: Callable[[JobSpec, Given], Result]) -> Callable[[JobSpec, Given], Result]:
    """Log a task's jobs.

    Args:
        task: Runs a job.

    Returns:
        A task that does the same, and logs it.
    """

    def run(spec: JobSpec, given: Given) -> Result:
        began, state = time.monotonic(), "done"
        with within(JOB, spec.key):
            event("job begins", kind=spec.kind, study=spec.study)
            try:
                return task(spec, given)
            except (Cancelled, Paused) as request:
                state = type(request).__name__.lower()
                raise
            except LurkError as error:
                state = "failed"
                event("job failed", kind=spec.kind, error=str(error))
                raise
            except Exception as error:
                state = "failed"
                event("job failed", level=logging.ERROR, failed=error, kind=spec.kind, error=str(error))
                raise
            except BaseException:
                state = "given back"
                raise
            finally:
                seconds = seconds_since(began)
                COUNTS.time("lurk_job_seconds", seconds, kind=spec.kind, state=state)
                event("job ends", kind=spec.kind, state=state, seconds=seconds)

    return run
