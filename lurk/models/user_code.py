"""Runs the Python file that a user names, as the program that it belongs to would run it.

The modules of one repository are in `sys.modules` while that repository is the active one, and those of another are
not: two repositories may both have a module `blocks`. Only this module changes how Python finds modules.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

SEED = 0
OWN_NAME = "lurk_user_"
RELATIVE = re.compile(rb"^\s*from\s+(\.+)", re.MULTILINE)
TOP_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt")
MOST_LEVELS = 4
PROTECTED = ("lurk", "numpy", "PIL", "torch", "torchvision")


@dataclass(eq=False)
class Repository:
    """The folders in which a file looks for modules, and the modules that it found there.

    Args:
        name: Name by which the file is imported.
        folder: Name of the folder of its package; empty for a file that is run by itself.
        near: The folders that come before all others: that of the file, and that of its package.
        far: The folders that come after all others, up to the top of the repository.
        tops: First parts of the names of its modules.
        files: The files that were imported while the file was run.
        modules: Its modules by name, as long as it is not the active one.
        hidden: Modules of others that have the names of its own, as long as it is the active one.
    """

    name: str
    folder: str
    near: tuple[Path, ...]
    far: tuple[Path, ...]
    tops: set[str] = field(default_factory=set)
    files: tuple[Path, ...] = ()
    modules: dict[str, ModuleType] = field(default_factory=dict)
    hidden: dict[str, ModuleType] = field(default_factory=dict)

    def loaded(self) -> dict[str, ModuleType]:
        """Its modules that are in `sys.modules`."""
        return {name: found for name, found in sys.modules.items() if name.partition(".")[0] in self.tops}

    def shadows(self, name: str) -> bool:
        """Whether a loaded module of others has the name of one in the near folders."""
        if name in PROTECTED or name in sys.stdlib_module_names:
            return False
        spec = self.find(name, self.near)
        return spec is not None and spec.origin != getattr(sys.modules[name], "__file__", None)

    def find(self, name: str, folders: Sequence[Path]) -> ModuleSpec | None:
        """Where a module is; a mere folder is one only if it is the file's package, or if nobody else has the name."""
        spec = PathFinder.find_spec(name, [str(folder) for folder in folders])
        is_folder = spec is not None and spec.loader is None and folders is self.near
        return None if is_folder and name != self.name.partition(".")[0] else spec


class _Finder:
    """Finds modules of the active repository, in its near folders or in all."""

    def __init__(self, is_first: bool) -> None:
        self.is_first = is_first
        self.active: Repository | None = None

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Where a module is; None if it is not in the repository."""
        if self.active is None or path is not None:
            return None
        spec = self.active.find(name, self.active.near if self.is_first else (*self.active.near, *self.active.far))
        if spec is not None:
            self.active.tops.add(name)
        return spec


FIRST, LAST = _Finder(True), _Finder(False)
REPOSITORIES: dict[Path, Repository] = {}


def activate(file: Path) -> None:
    """Let the code of a file find its own modules, and none of another repository."""
    _switch(REPOSITORIES.get(file.resolve()))


def files_of(file: Path) -> list[Path]:
    """A file, and the files of its repository that it imported when it was last run."""
    repository = REPOSITORIES.get(file.resolve())
    return [file, *(repository.files if repository else ())]


@contextlib.contextmanager
def running(file: Path) -> Iterator[ModuleType]:
    """Run a file anew, and what it imports from its repository.

    Args:
        file: The file.

    Yields:
        The module that it makes. The code inside may go on to import, and sees a command line without arguments.
    """
    file = file.resolve()
    importlib.invalidate_caches()
    _switch(None)
    REPOSITORIES[file] = repository = _repository(file)
    _switch(repository)
    sys.meta_path.insert(_before_paths(), FIRST)
    try:
        with undisturbing(str(file)):
            yield _run(file, repository)
        places = {Path(getattr(module, "__file__", None) or file) for module in repository.loaded().values()}
        repository.files = tuple(sorted(places - {file}))
    except BaseException:
        _switch(None)
        del REPOSITORIES[file]
        raise
    finally:
        sys.meta_path.remove(FIRST)


@contextlib.contextmanager
def undisturbing(program: str) -> Iterator[None]:
    """Give code a command line without arguments and a fixed seed, and undo what it changes for the process.

    Args:
        program: What the code is to take for the name of the program.

    Yields:
        Nothing. What the code prints goes to standard error; if it ends the process, the last line goes into the error.
    """
    argv, folder, before = sys.argv, Path.cwd(), [get() for get, _ in SETTINGS]
    said = io.StringIO()
    sys.argv = [program]
    try:
        with contextlib.redirect_stdout(sys.stderr), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            torch.manual_seed(SEED)
            with contextlib.redirect_stderr(said):
                yield
    except SystemExit as error:
        lines = said.getvalue().strip().splitlines()
        said = io.StringIO()
        raise SystemExit(lines[-1] if lines else error.code).with_traceback(error.__traceback__) from error
    finally:
        sys.argv = argv
        os.chdir(folder)
        for (get, put), value in zip(SETTINGS, before, strict=True):
            if get() != value:
                put(value)
        sys.stderr.write(said.getvalue())


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (  # of torch, for the whole process
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, _set_default_device),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
)


def _run(file: Path, repository: Repository) -> ModuleType:
    """Import a file as a module of its package, or run it by itself."""
    top, dot, _ = repository.name.partition(".")
    if dot:
        if top.startswith(OWN_NAME):
            repository.tops.add(top)
            sys.modules[top] = ModuleType(top)
            sys.modules[top].__path__ = [str(repository.near[-1] / repository.folder)]
        return importlib.import_module(repository.name)
    spec = importlib.util.spec_from_file_location(repository.name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    repository.tops.add(repository.name)
    sys.modules[repository.name] = module
    spec.loader.exec_module(module)
    return module


def _switch(repository: Repository | None) -> None:
    """Make a repository the active one: take the modules of the other out, and its own in."""
    old = LAST.active
    if old is repository:
        return
    if old is not None:
        old.modules = old.loaded()
        for name in old.modules:
            del sys.modules[name]
        sys.modules.update(old.hidden)
        old.hidden = {}
    FIRST.active = LAST.active = repository
    if repository is not None:
        tops = {top for top in {name.partition(".")[0] for name in sys.modules} if repository.shadows(top)}
        repository.hidden = {name: found for name, found in sys.modules.items() if name.partition(".")[0] in tops}
        for name in repository.hidden:
            del sys.modules[name]
        sys.modules.update(repository.modules)
    if LAST not in sys.meta_path:
        sys.meta_path.append(LAST)


def _before_paths() -> int:
    """Where in `sys.meta_path` the finder of `sys.path` is: built-in modules come before it."""
    return next((at for at, finder in enumerate(sys.meta_path) if finder is PathFinder), 0)


def _repository(file: Path) -> Repository:
    """The repository of a file.

    A file that imports relatively is a module of its package. The package is as deep as there are `__init__.py` above,
    or as the relative imports in its folder reach. Other files are run by themselves.
    """
    levels = next((n for n in range(MOST_LEVELS) if not (file.parents[n] / "__init__.py").is_file()), MOST_LEVELS)
    is_relative = bool(RELATIVE.search(file.read_bytes()))
    if is_relative:
        texts = [other.read_bytes() for other in file.parent.glob("*.py")]
        levels = max(levels, *(len(dots) for text in texts for dots in RELATIVE.findall(text)))
    folders = list(file.parents)
    levels = min(levels, len(folders) - 1)
    folder, *parts = file.relative_to(folders[levels]).with_suffix("").parts
    own = f"{OWN_NAME}{re.sub(r'[^A-Za-z0-9_]', '_', file.stem)}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    name, folder = own, folder if is_relative else ""
    if is_relative:
        is_taken = folder in (*PROTECTED, *sys.stdlib_module_names) or not folder.isidentifier()
        name = ".".join([own if is_taken else folder, *(parts[:-1] if parts[-1] == "__init__" else parts)])
    marks = [n for n, above in enumerate(folders[:MOST_LEVELS]) if any((above / mark).exists() for mark in TOP_MARKS)]
    far = folders[: max(levels, marks[0] if marks else 1) + 1]
    return Repository(name, folder, tuple(dict.fromkeys((file.parent, folders[levels]))), tuple(far))
