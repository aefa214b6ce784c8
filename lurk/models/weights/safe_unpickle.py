"""Reads a pickle without running anything of it: objects of classes that it does not know become inert records.

Whatever name a pickle contains is looked up in the tables below, and never imported. A name that is not in them stays a
`Name`; what the pickle would make by calling it becomes a `Record` of the arguments. A pickle that calls a function
which no saved value needs is refused.
"""

import pickle
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from lurk.models.weights.saved_tensor import ELEMENTS, SavedTensor, Storage, array, of_form, view

Maker = Callable[..., object]

PLAIN_CALLS = {
    "_codecs": ("encode",),
    "_functools": ("partial", "reduce"),
    "_operator": ("getitem",),
    "argparse": ("Namespace",),
    "array": ("array", "_array_reconstructor"),
    "builtins": ("bytes", "bytearray", "complex", "frozenset", "list", "object", "range", "slice", "tuple", "type"),
    "collections": ("ChainMap", "UserDict", "UserList", "deque"),
    "copyreg": ("_reconstructor",),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "functools": ("partial", "reduce"),
    "logging": ("getLogger",),
    "numpy": ("dtype", "ndarray"),
    "numpy._core.multiarray": ("scalar",),
    "numpy.core.multiarray": ("scalar",),
    "pathlib": ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"),
    "pathlib._local": ("PosixPath", "WindowsPath"),
    "pyarrow.lib": ("py_buffer", "type_for_alias"),
    "random": ("Random",),
    "re": ("_compile",),
    "torch": ("device", "dtype", "finfo", "iinfo"),
    "types": ("GenericAlias", "MappingProxyType", "SimpleNamespace"),
    "uuid": ("UUID",),
    "zoneinfo": ("ZoneInfo",),
    "zoneinfo.ZoneInfo": ("_unpickle",),
}


class Readable(Protocol):
    """A file, or what can be read like one."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""

    def readline(self) -> bytes:
        """The bytes to the end of the line."""


class CallError(pickle.UnpicklingError):
    """A pickle would run the function of that name."""


class Name:
    """A name of a class or a function in a pickle, which stands for itself.

    Args:
        name: The name.
        maker: Makes the known value that it is for; None if a record is made instead.
    """

    def __init__(self, name: str, maker: Maker | None = None) -> None:
        self.name = name
        self.maker = maker

    def __call__(self, *arguments: object) -> object:
        """What the pickle makes by calling it: a known value, or a record."""
        if self.maker is None and not _is_plain_call(self.name):
            raise CallError(self.name)
        return self.make(arguments)

    def make(self, arguments: tuple[Any, ...]) -> object:
        """A known value, or a record."""
        return self.maker(*arguments) if self.maker else Record(self.name, arguments)


class Items(dict[object, object]):
    """A mapping; its attributes, such as `_metadata` of a state dict, are not kept."""

    def __setstate__(self, state: object) -> None:
        """Leave out the attributes."""


class Record:
    """What a pickle says of an object of another class: its parts, and nothing that could run.

    Args:
        name: Name of the class.
        arguments: What it was made of.
    """

    def __init__(self, name: str, arguments: tuple[object, ...] = ()) -> None:
        self.name = name
        self.arguments = arguments
        self.items: dict[object, object] = {}
        self.listed: list[object] = []
        self.state: object = None

    def __setitem__(self, key: object, value: object) -> None:
        """Keep an entry of a kind of dict."""
        self.items[key] = value

    def append(self, value: object) -> None:
        """Keep an entry of a kind of list or set."""
        self.listed.append(value)

    add = append

    def __setstate__(self, state: object) -> None:
        """Keep the attributes."""
        self.state = state


class _Array(Record):
    """A NumPy array, complete once its state is set."""

    def __setstate__(self, state: object) -> None:
        """Keep shape, type, order and bytes."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("an array without its state")
        self.state = array(state[4], _array_type(state[2]), state[1], state[3])


OPCODES: dict[int, Callable[..., None]] = dict(pickle._Unpickler.dispatch)


class InertUnpickler(pickle._Unpickler):
    """The pickle reader of Python's library with every way out of it closed.

    It is the one written in Python: the other one takes memory for as many values as a damaged file claims to have.
    """

    stack: list[Any]
    append: Callable[[object], None]

    def __init__(self, file: Readable, storage: Callable[[Any], object], makers: Mapping[str, Maker]) -> None:
        super().__init__(file, encoding="latin1")
        self.storage = storage
        self.makers = makers

    def find_class(self, module: str, name: str) -> Any:
        """A name, which is not looked up; one of Python 2 in its newer form."""
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        return Name(f"{module}.{name}", self.makers.get(f"{module}.{name}"))

    def persistent_load(self, pid: Any) -> Any:
        """What stands for the bytes of a tensor."""
        return self.storage(pid)

    def make_object(self) -> None:
        """Make a record of an object that a pickle creates without calling its class."""
        arguments, name = self.stack.pop(), self.stack.pop()
        self.append(name.make(tuple(arguments)))

    def make_object_with_options(self) -> None:
        """The same for an object that takes options."""
        options, arguments, name = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.append(name.make((*arguments, options)))

    def refuse(self) -> None:
        """Refuse a number that stands for a class of another process."""
        raise pickle.UnpicklingError("an extension code")

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **OPCODES,
        pickle.NEWOBJ[0]: make_object,
        pickle.NEWOBJ_EX[0]: make_object_with_options,
        pickle.BYTEARRAY8[0]: OPCODES[pickle.BINBYTES8[0]],
        **dict.fromkeys((pickle.EXT1[0], pickle.EXT2[0], pickle.EXT4[0]), refuse),
    }


def _is_plain_call(name: str) -> bool:
    """Whether a call only makes a value: it is in the list, or of a class or a private function of another package."""
    module, _, last = name.rpartition(".")
    if last in PLAIN_CALLS.get(module, ()) or (module == "builtins" and last[:1].isupper()):  # an exception
        return True
    is_foreign = module.partition(".")[0] not in sys.stdlib_module_names
    return is_foreign and (last[:1].isupper() or last.startswith("_"))


def _get_attribute(owner: object, attribute: object, *_default: object) -> Name:
    return Name(f"{getattr(owner, 'name', type(owner).__name__)}.{attribute}")


def _rebuilt(function: Name, _kind: object, arguments: tuple[object, ...], _state: object = None) -> object:
    return function(*arguments)


def _first(value: object, *_rest: object) -> object:
    return value


def _sparse(_layout: object, parts: tuple[object, ...]) -> SavedTensor:
    """The parts are indices, values and the shape, then flags."""
    return of_form("sparse", next(part for part in reversed(parts) if isinstance(part, tuple)))


def _encoded(text: str, _encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def _array_type(kind: object) -> str:
    """NumPy's code of a type with its byte order, such as `<f4`; `O` for an array of objects."""
    if not isinstance(kind, Record) or kind.name != "numpy.dtype" or not isinstance(kind.state, tuple):
        return "O"
    order = str(kind.state[1])
    return f"{'<' if order in '|=' else order}{kind.arguments[0]}"


def _plain_view(*parts: Any) -> SavedTensor:
    """A view of bytes; one that is negated or conjugated when it is read says so behind its other parts."""
    marks = parts[6] if len(parts) > 6 and isinstance(parts[6], dict) else {}
    mark = next((word for word in ("neg", "conj") if marks.get(word)), "")
    return of_form(f"a view marked {mark!r}", parts[2]) if mark else view(*parts[:4])


def _typed_view(storage: Storage, *parts: Any) -> SavedTensor:
    """The view of bytes whose type stands beside it."""
    return view(storage.of_type(ELEMENTS.get(parts[5].name)), *parts[:3])


KNOWN: dict[str, Maker] = {
    "collections.OrderedDict": lambda pairs=(): Items(pairs),
    "collections.defaultdict": lambda *_: Items(),
    "collections.Counter": Items,
    "builtins.dict": Items,
    "builtins.getattr": _get_attribute,
    "builtins.set": lambda values=(): values,
    "_codecs.encode": _encoded,
    "torch.Size": _first,
    "torch.Tensor": lambda *_: of_form("without values", ()),
    "torch._utils._rebuild_tensor": view,
    "torch._utils._rebuild_tensor_v2": _plain_view,
    "torch._utils._rebuild_tensor_v3": _typed_view,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _rebuilt,
    "torch._tensor._rebuild_from_type": _rebuilt,
    "torch._utils._rebuild_device_tensor_from_numpy": _first,
    "torch._utils._rebuild_wrapper_subclass": lambda kind, _dtype, shape, *_: of_form(kind.name, shape),
    "torch._utils._rebuild_qtensor": lambda _storage, _offset, shape, *_: of_form("quantised", shape),
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._utils._rebuild_meta_tensor_no_storage": lambda _dtype, shape, *_: of_form("without values", shape),
    **dict.fromkeys(
        ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
        lambda *parts: _Array("numpy.ndarray", parts),
    ),
    **dict.fromkeys(
        ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"),
        lambda data, kind, shape, order: array(data, _array_type(kind), shape, order == "F"),
    ),
}
