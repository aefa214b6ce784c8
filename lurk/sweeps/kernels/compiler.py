"""Compiles functions with numba, once for all processes: the only place that says how and where the code is kept."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from numba import config, njit

Function = TypeVar("Function", bound=Callable[..., object])
FOLDERS = "UserProvidedCacheLocator,UserWideCacheLocator"


def compiled(*, reordered_sums: bool = False) -> Callable[[Function], Function]:
    """Compile a function on its first call, so that it runs without Python's lock.

    The code is kept in the folder that the environment variable NUMBA_CACHE_DIR names, else in the user's own cache
    folder, and not beside the source, which may be read only. Where nothing can be kept, each process compiles anew.

    Args:
        reordered_sums: Whether the function's own additions may be done in another order, several at a time. It
            concerns no other operation, and no function that is called.

    Returns:
        The decorator.
    """
    fastmath: set[str] | bool = {"reassoc"} if reordered_sums else False

    def compile_later(function: Function) -> Function:
        compile_kept = partial(njit, nogil=True, error_model="numpy", fastmath=fastmath)
        before, config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES, FOLDERS  # type: ignore[attr-defined] # made when numba is imported
        try:
            return cast(Function, compile_kept(cache=True)(function))
        except RuntimeError:  # no folder can be written
            return cast(Function, compile_kept()(function))
        finally:
            config.CACHE_LOCATOR_CLASSES = before  # type: ignore[attr-defined] # as above

    return compile_later
