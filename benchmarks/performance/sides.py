"""Runs a comparison: each side in a process of its own, which waits while the others have their turn."""

import contextlib
import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.performance.comparison import Case, Comparison, Prepare, Turn, Work
from benchmarks.performance.environments import environment

Started = Mapping[str, Connection]


@contextlib.contextmanager
def started(module: str, comparison: Comparison, folder: Path) -> Iterator[Started]:
    """The processes of a comparison's sides, each in the environment of its peer."""
    with contextlib.ExitStack() as stack:
        peers = {side: environment(comparison.peers[side]) for side in comparison.peers}
        yield {side: stack.enter_context(_process(module, side, folder, peers.get(side))) for side in comparison.sides}


def measure(sides: Started, case: Case) -> tuple[list[dict[str, Turn]], int]:
    """Let the sides take turns; return the rounds and the number of torch's threads."""
    threads = 0
    for side, pipe in sides.items():
        pipe.send(case.options)
        threads = max(threads, _received(pipe, side))
    rounds = []
    for number in range(case.rounds + case.warms_up):
        order = list(sides) if number % 2 else list(sides)[::-1]
        rounds.append({side: _turn(sides[side], side) for side in order})
    return rounds[case.warms_up :], threads


@contextlib.contextmanager
def _process(module: str, side: str, folder: Path, peer: Path | None) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, module, side, folder, peer), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(10)
        process.kill()


def _turn(pipe: Connection, side: str) -> Turn:
    pipe.send(None)
    turn = _received(pipe, side)
    assert isinstance(turn, Turn)
    return turn


def _received(pipe: Connection, side: str) -> Any:
    try:
        found = pipe.recv()
    except EOFError:
        found = RuntimeError("its process ended")
    if isinstance(found, Exception):
        raise SystemExit(f"{side}: {type(found).__name__}: {found}")
    return found


def _serve(pipe: Connection, module: str, side: str, folder: Path, peer: Path | None) -> None:
    os.environ["TQDM_DISABLE"] = "1"
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what peers print
    if peer is not None:
        sys.path.insert(0, str(peer))
    with contextlib.suppress(EOFError, KeyboardInterrupt):  # the end of the comparison
        try:
            _answer(pipe, importlib.import_module(module).COMPARISON.prepare, side, folder)
        except (EOFError, KeyboardInterrupt):
            raise
        except Exception as error:
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))
            raise


def _answer(pipe: Connection, prepare: Prepare, side: str, folder: Path) -> None:
    """Prepare for the options that arrive, and take a turn for each None."""
    run: Callable[[], Work] | None = None
    while True:
        options = pipe.recv()
        if options is not None:
            run = None  # frees the memory of the row before
            run = prepare(side, options, folder)
            pipe.send(sys.modules["torch"].get_num_threads() if "torch" in sys.modules else 1)
        elif run is not None:
            began, cpu = time.perf_counter(), time.process_time()
            work = run()
            wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
            pipe.send(Turn(wall_s, cpu_s, work.items, work.more()))
