"""Shares the work of compiled code among threads: the only place of the kernels that starts any."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

LEAST = 1 << 16  # values that are worth a second thread


def share(run: Callable[[int, int], None], items: int, values: int) -> None:
    """Do some items of work with as many threads as PyTorch has.

    Args:
        run: Does the items from one number to another; it lets go of Python's lock.
        items: How many items there are.
        values: How many values they hold together.
    """
    threads = min(torch.get_num_threads(), items) if values >= LEAST else 1
    edges = [items * number // threads for number in range(threads + 1)]
    others = [_pool().submit(run, *edges[number : number + 2]) for number in range(1, threads)]
    run(*edges[:2])
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "kernel")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a process that is forked has none of its threads
