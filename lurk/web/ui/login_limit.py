"""How often somebody may try to log in: ten times a minute; each web process counts for itself."""

import threading
import time
from collections import deque
from collections.abc import Callable

WITHIN_S = 60.0
MOST_OF_NAME, MOST_OF_ADDRESS = 10, 50
MOST_KEPT = 10_000


class LoginLimit:
    """Counts failed log-ins within a minute: at most 10 of an address and name, and 50 of an address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._failed: dict[tuple[str, ...], deque[float]] = {}

    def wait_s(self, address: str, name: str) -> float:
        """Seconds until the next attempt is allowed; 0 for at once."""
        with self._lock:
            waits = [self._wait_s((address,), MOST_OF_ADDRESS), self._wait_s((address, name), MOST_OF_NAME)]
        return max(waits)

    def _wait_s(self, who: tuple[str, ...], most: int) -> float:
        times, now = self._failed.get(who, deque()), self._clock()
        while times and now - times[0] >= WITHIN_S:
            times.popleft()
        if not times:
            self._failed.pop(who, None)
        return 0.0 if len(times) < most else WITHIN_S - (now - times[0])

    def count_failure(self, address: str, name: str) -> None:
        """Count a failed log-in."""
        with self._lock:
            while len(self._failed) > MOST_KEPT:
                self._failed.pop(next(iter(self._failed)))
            for who in ((address,), (address, name)):
                self._failed.setdefault(who, deque(maxlen=MOST_OF_ADDRESS)).append(self._clock())
