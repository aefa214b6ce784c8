"""Shares the work of compiled code among threads: the only place of the kernels that uses any.

PyTorch's threads of OpenMP wait for their next operation at full speed for a while. Threads beside them would not get a
core, so the work is given to these where there are such.
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import torch

LEAST = 1 << 16  # values that are worth a second thread
Work = Callable[[object], None]


def share(run: Callable[[int, int], None], items: int, values: int) -> None:
    """Do some items of work with as many threads as PyTorch has.

    Args:
        run: Does the items from one number to another; it lets go of Python's lock.
        items: How many items there are.
        values: How many values they hold together.
    """
    threads = min(torch.get_num_threads(), items) if values >= LEAST else 1
    if threads <= 1:
        run(0, items)
        return
    edges = [items * number // threads for number in range(threads + 1)]
    parts, errors = iter(list(pairwise(edges))), list[BaseException]()

    def work(_: object) -> None:
        try:
            for first, last in parts:  # whoever comes takes the next, so that all are done even by one thread
                run(first, last)
        except BaseException as error:  # raised below, as nothing of Python is above this in a thread of OpenMP
            errors.append(error)

    _start()(work, threads)
    if errors:
        raise errors[0]


@cache
def _start() -> Callable[[Work, int], None]:
    """What runs a function in several threads at once and returns when all are done."""
    try:
        parallel = ctypes.CDLL(None).GOMP_parallel  # of the library that PyTorch has loaded
    except (AttributeError, OSError, TypeError):  # another system, or a PyTorch without OpenMP
        return _in_pool
    called = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

    def in_team(work: Work, threads: int) -> None:
        parallel(called(work), None, ctypes.c_uint(threads), ctypes.c_uint(0))

    return in_team


def _in_pool(work: Work, threads: int) -> None:
    others = [_pool().submit(work, None) for _ in range(threads - 1)]
    work(None)
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "kernel")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a process that is forked has none of its threads
