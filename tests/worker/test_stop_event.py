import signal
import subprocess
import sys
import threading
import time

import pytest

from lurk.worker.stop_event import StopEvent

WAITS = """
from lurk.worker.stop_event import StopEvent

stop = StopEvent()
stop.set_on_signals()
print("ready", flush=True)
while not stop.wait(0.001):
    pass
while True:  # signals come in while it is set and asked again and again
    stop.set()
    stop.wait(0.001)
    if input():
        break
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_hail_of_signals_does_not_stop_the_process_for_ever(number):
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        for _ in range(500):
            process.send_signal(number)
            process.stdin.write("\n")
            process.stdin.flush()
        process.stdin.write("end\n")
        process.stdin.flush()
        assert process.wait(20) == 0


def test_a_signal_within_a_signal_is_taken_too():
    stop = StopEvent()
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        stop.set_on_signals()
        assert not stop.is_set()
        assert not stop.wait(0.01)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        assert stop.wait(0)
        assert stop.wait(0)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


def test_every_thread_that_waits_hears_of_it():
    stop, heard = StopEvent(), []
    threads = [threading.Thread(target=lambda: heard.append(stop.wait(20))) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert heard == [True] * 3
