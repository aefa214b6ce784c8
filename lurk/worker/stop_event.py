"""The event by which signals end a process."""

import queue
import signal


class StopEvent:
    """An event that a signal handler may set.

    A `threading.Event` may not: if a signal comes while `set` or `wait` holds the event's lock in the same thread, the
    process waits for itself for ever. The `put` of a `queue.SimpleQueue` may be interrupted by another `put`.

    >>> stop = StopEvent()
    >>> stop.wait(0.01)
    False
    >>> stop.set()
    >>> stop.wait(0.01), stop.is_set()
    (True, True)
    """

    def __init__(self) -> None:
        self._marks: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """Set the event, for good."""
        self._marks.put(None)

    def is_set(self) -> bool:
        """Whether the event is set."""
        return not self._marks.empty()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the event is set or the time is over; returns whether it is set."""
        try:
            self._marks.get(timeout=timeout_s)
        except queue.Empty:
            return False
        self._marks.put(None)
        return True

    def set_on_signals(self) -> None:
        """Let SIGINT and SIGTERM set the event; for the main thread only."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: self.set())
