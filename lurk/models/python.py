"""Networks that a user's own code makes: `package.module:factory`, `path/file.py:factory`, or the object itself."""

import ast
import copy
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import CodeType, ModuleType

import torch
from torch import nn

from lurk.errors import LurkError, ModelError, WeightsError
from lurk.models import SOURCES, Model, Network
from lurk.models.checkpoint import fill, is_file_name

SEED = 0


class Python:
    """Factories by name."""

    def accepts(self, source: str) -> bool:
        """Whether `--model` names a factory or a Python file."""
        return ":" in source or source.endswith(".py")

    def names(self) -> Iterable[str]:
        """None: they are the user's."""
        return ()

    def build(self, source: str, weights: str | None) -> Network:
        """Run a factory.

        Args:
            source: `package.module:factory` or `path/file.py:factory`.
            weights: None for what the factory gives, or a weights file.

        Returns:
            The network.

        Raises:
            ModelError: There is no such file, module or factory, or it fails, or gives no network.
        """
        place, _, factory = source.rpartition(":") if ":" in source else (source, "", "")
        if place.endswith(".py") or source.endswith(".py"):
            file = Path(place or source).expanduser()
            load, found, name = (lambda: _run_file(file)), _functions(file, source), file.stem
            folder = file.resolve().parent
        else:
            load, found, name = (lambda: _import(place, source)), None, place.rpartition(".")[2]
            folder = Path.cwd()
        if not factory:
            known = f": {place or source}:{found[0]}" if found else ""
            raise ModelError(f"--model {source!r} names no factory; say which{known}")
        with _importing(folder):
            module = _guarded(load, source, "cannot be imported")
            made = _attribute(module, factory, source)
            if not isinstance(made, (nn.Module, Model, tuple)):
                made = _call(made, source)
        return with_weights(_network(made, source, f"{name}:{factory}"), weights)


def from_object(made: object, weights: str | None) -> Network:
    """Take a network, or a function that makes one.

    Args:
        made: The network or the function.
        weights: None for those that it has, or a weights file.

    Returns:
        The network.

    Raises:
        ModelError: It is neither, or the function fails.
    """
    name = type(made).__name__
    if not isinstance(made, (nn.Module, Model, tuple)):
        name = getattr(made, "__name__", name)
        if not callable(made):
            raise ModelError(f"a model is a name, a torch module or a function that makes one, not {name}")
        made = _call(made, name)
    return with_weights(_network(made, name, name), weights)


def with_weights(network: Network, weights: str | None) -> Network:
    """A network with the weights of a file; the one that was given keeps its own.

    Args:
        network: The network.
        weights: None for the network as it is, or a weights file.

    Returns:
        The network.

    Raises:
        WeightsError: It is no file, cannot be read, or does not fit.
    """
    if weights is None:
        return network
    if not is_file_name(weights):
        raise WeightsError(
            f"--weights {weights!r} is no file; a network of your own takes its weights from a file only"
        )
    module = copy.deepcopy(network.module)
    filled = fill(module, weights)
    return replace(network, module=module, weights=filled.name, weight_hash=filled.sha256, notice=filled.note)


@contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """Let imports find the files of a folder."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _functions(file: Path, source: str) -> list[str]:
    """Names of the functions and classes that a file defines, without running it."""
    if not file.is_file():
        raise ModelError(f"--model {source!r}: there is no file {str(file)!r}")
    try:
        body = ast.parse(file.read_bytes()).body
    except SyntaxError as error:
        raise ModelError(f"--model {source!r}: {file.name} line {error.lineno}: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"--model {source!r}: {file.name} cannot be read: {error}") from error
    return [item.name for item in body if isinstance(item, (ast.FunctionDef, ast.ClassDef))]


def _run_file(file: Path) -> ModuleType:
    path = file.resolve()
    name = f"lurk_user_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(place: str, source: str) -> ModuleType:
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", place):
        raise ModelError(f"--model {source!r}: {place!r} is neither a module's name nor a file that ends in .py")
    return importlib.import_module(place)


def _guarded(action: Callable[[], ModuleType], source: str, what: str) -> ModuleType:
    try:
        return action()
    except LurkError:
        raise
    except (Exception, SystemExit) as error:  # the user's own code: it may raise anything
        raise ModelError(f"--model {source!r} {what}: {_told(error)}") from error


def _call(factory: object, source: str) -> object:
    if not callable(factory):
        raise ModelError(f"--model {source!r} is {type(factory).__name__}, not a function that makes a network")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return factory()
    except LurkError:
        raise
    except (Exception, SystemExit) as error:  # the user's own code: it may raise anything
        raise ModelError(f"--model {source!r} fails: {_told(error)}") from error


def _told(error: BaseException) -> str:
    """An error of the user's code in one line, with the line that raised it."""
    message = (str(error).strip().splitlines() or ["no message"])[0]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    mine = [frame for frame in frames if "site-packages" not in frame.filename and "importlib" not in frame.filename]
    where = f" ({Path(mine[-1].filename).name} line {mine[-1].lineno})" if mine else ""
    return f"{type(error).__name__}: {message}{where}"


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


def _network(made: object, source: str, name: str) -> Network:
    """What a factory gave, as a network: a module, (module, preprocess), (module, preprocess, classes), or a model."""
    if isinstance(made, Model):
        again = Network(made.module, made.source, made.name, made.preprocess, made.classes, made.weights)
        return replace(again, weight_hash=made.file_hash, notice=made.notice, input_shape=made.input_shape)
    module, preprocess, classes = (*made, None, None, None)[:3] if isinstance(made, tuple) else (made, None, None)
    if not isinstance(module, nn.Module) or (isinstance(made, tuple) and len(made) > 3):
        raise ModelError(
            f"--model {source!r} gives {type(module).__name__}; it is to give a torch module, (module, preprocess) or "
            "(module, preprocess, classes)"
        )
    module = _bare(module)
    preprocess = preprocess if preprocess is not None else _own(module, "preprocess")
    classes = classes if classes is not None else _own(module, "classes")
    shape = _own(module, "input_shape")
    if classes is not None and (isinstance(classes, str) or not isinstance(classes, Iterable)):
        raise ModelError(f"--model {source!r}: classes is to be a list of names, not {type(classes).__name__}")
    return Network(
        module,
        f"{Path(source).name}#{_architecture(module)}",
        name,
        preprocess,  # type: ignore[arg-type]  # what is no function is refused where it is tried
        None if classes is None else tuple(str(item) for item in classes),
        input_shape=tuple(shape) if isinstance(shape, (tuple, list)) else None,
    )


def _own(module: nn.Module, name: str) -> object:
    """An attribute that a module carries besides its weights and methods."""
    value = getattr(module, name, None)
    return None if name in dict(module.named_children()) and not callable(value) else value


def _bare(module: nn.Module) -> nn.Module:
    """The network inside a parallel or compiled wrapper."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _architecture(module: nn.Module) -> str:
    """Hash of what a network is beside its weights: its parts, their plain attributes, and code that is not torch's."""
    total = hashlib.sha256(re.sub(r"0x[0-9a-fA-F]+", "", repr(module)).encode())
    for kind in sorted({type(part) for part in module.modules()}, key=lambda kind: kind.__qualname__):
        if not kind.__module__.startswith("torch."):
            total.update(_code(kind))
    for name, part in module.named_modules():
        total.update(repr([name, *sorted(_plain_attributes(part))]).encode())
    return total.hexdigest()[:8]


def _code(kind: type) -> bytes:
    """The file in which a class is written, helpers and all; the code of its methods where there is no file."""
    try:
        return Path(inspect.getfile(kind)).read_bytes()
    except (OSError, TypeError):
        codes = [getattr(member, "__code__", None) for member in vars(kind).values()]
        return b"".join(_compiled(code) for code in codes if isinstance(code, CodeType))


def _compiled(code: CodeType) -> bytes:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    plain = [constant for constant in code.co_consts if not isinstance(constant, CodeType)]
    return code.co_code + repr((code.co_names, plain)).encode() + b"".join(_compiled(part) for part in inner)


def _plain_attributes(part: nn.Module) -> Iterator[tuple[str, str]]:
    for name, value in vars(part).items():
        if name.startswith("_") or name == "training":
            continue
        if isinstance(value, (bool, int, float, str, tuple)):
            yield name, repr(value)
        elif isinstance(getattr(value, "__code__", None), CodeType):
            yield name, hashlib.sha256(_compiled(value.__code__)).hexdigest()
        elif callable(value):
            yield name, getattr(value, "__qualname__", type(value).__qualname__)


SOURCES.register("python")(Python())
