import signal
import subprocess
import sys
import threading
import time

from lurk.worker.stop_event import StopEvent

AT_EVERY_LINE = """
import signal, sys, threading
from lurk.worker.stop_event import StopEvent

stop = StopEvent()
stop.set_on_signals()


def interrupt(frame, _event, _argument):
    if frame.f_code.co_filename in (sys.modules[StopEvent.__module__].__file__, threading.__file__):
        signal.raise_signal(signal.SIGTERM)
        return interrupt


sys.settrace(interrupt)
stop.wait(0.01)
stop.set()
stop.wait(0.01)
sys.settrace(None)
sys.exit(not stop.is_set())
"""


def test_a_signal_at_any_line_of_waiting_and_setting_is_taken():
    assert subprocess.run([sys.executable, "-c", AT_EVERY_LINE], timeout=20, check=False).returncode == 0


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
