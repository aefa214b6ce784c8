"""Makes sure that reading an exported program runs nothing of it.

`torch.export.load` unpickles tensors of other classes, evaluates expressions of sizes, looks operators up by any dotted
name, imports the classes of inputs and outputs, and writes names into the code of a function. Each of these is checked
here first, and what is not known is refused.
"""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import torch

from lurk.errors import ModelError
from lurk.graph.receptive.rules import words
from lurk.models.weights.misfit import cut

NAME = re.compile(r"[\w.@:+\- ]*")
PATH = re.compile(r"(weight|tensor)_\d+")
OPERATOR = re.compile(
    r"torch\.ops\.(aten|torchvision)\.\w+(\.\w+)?|torch\.ops\.higher_order\.wrap_with_set_grad_enabled|"
    r"_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|getitem)|"
    r"math\.(ceil|floor|trunc|sqrt)|torch\.sym_(int|float|not|max|min|sum|ite)"
)
EXPRESSION = re.compile(r"[\w\s.,+\-*/%()=<>&|~']*")
SYMBOL = re.compile(r"[a-z]{1,3}\d+")
WORDS = words(
    "Symbol Integer Float Rational Mul Add Pow Max Min Mod PythonMod FloorDiv CleanDiv CeilDiv ModularIndexing Where "
    "TruncToInt FloorToInt CeilToInt RoundToInt ToFloat IntTrueDiv FloatTrueDiv PowByNatural Eq Ne Equality Unequality "
    "GreaterThan LessThan StrictGreaterThan StrictLessThan And Or Not true false True False integer positive "
    "nonnegative"
)
CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")
FREE = ("as_string", "as_strings", "metadata", "guards_code", "torch_version")  # never run, or quoted where they are


def check_exported(archive: zipfile.ZipFile, names: Mapping[str, str]) -> None:
    """Refuse an exported program of which reading would run, import or evaluate something.

    Args:
        archive: The file.
        names: The full names of its entries by those without its folder.

    Raises:
        ModelError: There is such a thing in it.
    """
    for name, full in names.items():
        if name.startswith("data/aotinductor/"):
            raise ModelError("it holds compiled code: such a file is refused; give what torch.export.save writes")
        if name.endswith(".pt"):
            _check_pickle(archive.read(full), name)
        elif name.endswith(".json"):
            try:
                _check(json.loads(archive.read(full)), "")
            except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
                raise ModelError(f"it is damaged: {name} is no JSON") from error


def _check_pickle(data: bytes, name: str) -> None:
    """Refuse a pickle that holds more than tensors and plain values."""
    try:
        torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(
            f"it holds Python objects that would run code ({cut(name)}): such a file is refused"
        ) from error


def _check(value: object, key: str) -> None:
    """Check a value of a JSON text, which stands under a key."""
    if isinstance(value, dict):
        if value.get("use_pickle") or any(name.startswith(("as_custom", "as_operator", "as_opaque")) for name in value):
            raise ModelError("it holds Python objects, not tensors alone: such a file is refused")
        for name, item in value.items():
            _check_text(name, "expr_str" if key == "range_constraints" else "")
            if name not in FREE:
                _check(item, name)
    elif isinstance(value, list):
        for item in value:
            _check(item, key)
    elif isinstance(value, str):
        _check_text(value, key)


def _check_text(text: str, key: str) -> None:
    if not CHECKS.get(key, _is_name)(text):
        what = "the operator" if key == "target" else f"an unknown {key or 'name'}"
        raise ModelError(f"it holds {what} {cut(text)!r}, which is not run here: such a file is refused")


def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


def _is_expression(text: str) -> bool:
    """Whether a text is arithmetic of sizes, so that evaluating it calls nothing else."""
    found = re.findall(r"[A-Za-z_]\w*", text)
    known = all(word in WORDS or SYMBOL.fullmatch(word) for word in found)
    return known and EXPRESSION.fullmatch(text) is not None and not re.search(r"\.\s*[A-Za-z_]", text)


def _is_form(text: str) -> bool:
    """Whether a text describes tuples, lists and dicts alone."""
    try:
        version_and_form = json.loads(text)
        return isinstance(version_and_form, list) and all(map(_is_plain, version_and_form[1:]))
    except (ValueError, TypeError, LookupError, AttributeError):
        return False


def _is_plain(form: Any) -> bool:
    context = json.loads(form["context"]) if form["context"] is not None else None
    keys = [] if context is None else context
    is_known = (
        form["type"] in CONTAINERS and isinstance(keys, list) and all(isinstance(key, (str, int)) for key in keys)
    )
    return is_known and all(map(_is_plain, form["children_spec"]))


CHECKS: dict[str, Callable[[str], object]] = {
    "target": OPERATOR.fullmatch,
    "expr_str": _is_expression,
    "path_name": PATH.fullmatch,
    "in_spec": _is_form,
    "out_spec": _is_form,
}
