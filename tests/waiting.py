"""Waiting for what other processes do."""

import time


def wait_for(found, timeout_s=20.0):
    """What `found` gives once it is true; an AssertionError after a while."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("it did not come to be")
