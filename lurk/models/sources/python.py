"""Networks that a user's factory makes, named by `package.module:factory` or `path/file.py:factory`."""

import ast
import hashlib
import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from lurk.errors import ModelError
from lurk.models.sources import SOURCES, Network
from lurk.models.user_code import files_of, running, undisturbing
from lurk.models.user_network import make_network, naming_errors


class Python:
    """Factories by name."""

    def accepts(self, source: str) -> bool:
        """Whether `--model` names a factory or a Python file."""
        return ":" in source or source.endswith(".py")

    def names(self) -> Iterable[str]:
        """None: the names are the user's."""
        return ()

    def build(self, source: str, weights: str | None) -> Network:
        """Run the factory; a weights file, if there is one, replaces the weights that it gives."""
        code, _, factory = source.rpartition(":") if ":" in source and not source.endswith(".py") else (source, "", "")
        file = Path(code).expanduser() if code.endswith(".py") else None
        functions = _functions(file, source) if file else []
        if not factory:
            known = f": {code}:{functions[0]}" if functions else ""
            raise ModelError(f"--model {source!r} names no factory; say which{known}")
        name = file.stem if file else code.rpartition(".")[2]
        with naming_errors(source, "cannot be imported"), running(file) if file else _importing(code, source) as module:
            network = make_network(_attribute(module, factory, source), source, f"{name}:{factory}", weights)
        return replace(network, source=network.source + _imported(file)) if file else network


def _imported(file: Path) -> str:
    """A hash of the files that a file imports from its repository; empty if there are none."""
    files = files_of(file)[1:]
    total = hashlib.sha256(b"".join(hashlib.sha256(other.read_bytes()).digest() for other in files))
    return f"-{total.hexdigest()[:8]}" if files else ""


@contextmanager
def _importing(name: str, source: str) -> Iterator[ModuleType]:
    """Import a module by its name; the folder in which the user stands counts."""
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
        raise ModelError(f"--model {source!r}: {name!r} is neither a module's name nor a file that ends in .py")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        with undisturbing(name):
            yield importlib.import_module(name)
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _functions(file: Path, source: str) -> list[str]:
    """Names of the functions and classes that a file defines; found without running it."""
    if not file.is_file():
        raise ModelError(f"--model {source!r}: there is no file {str(file)!r}")
    try:
        body = ast.parse(file.read_bytes()).body
    except SyntaxError as error:
        raise ModelError(f"--model {source!r}: {file.name} line {error.lineno}: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"--model {source!r}: {file.name} cannot be read: {error}") from error
    return [item.name for item in body if isinstance(item, (ast.FunctionDef, ast.ClassDef))]


def _attribute(module: ModuleType, name: str, source: str) -> object:
    value: object = module
    for part in name.split("."):
        if not hasattr(value, part):
            own = [
                k for k, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__
            ]
            known = f"; it has {', '.join(own[:8])}" if own else ""
            raise ModelError(f"--model {source!r}: there is no {name!r}{known}")
        value = getattr(value, part)
    return value


SOURCES.register("python")(Python())
