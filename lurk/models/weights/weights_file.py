"""Opens a file of weights by its content, whatever its name ends with, and gives its tensors by name."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from lurk.errors import WeightsError
from lurk.models.weights.misfit import cut
from lurk.models.weights.saved_tensor import SavedTensor
from lurk.models.weights.torch_file import open_pickled

HEAD_BYTES = 512
OTHERS = {
    rb"\x89HDF": "an HDF5 file, such as Keras writes",
    rb"version https://git-lfs": "a pointer of Git LFS in place of the weights; run: git lfs pull",
    rb"\s*<(!DOCTYPE|html|\?xml)": "a web page, not the weights; download it again",
    rb"\x1f\x8b|BZh|7z\xbc\xaf|\xfd7zXZ|\x28\xb5\x2f\xfd": "a compressed file; unpack it and name the file inside",
    rb"(?s).{257}ustar": "an archive; unpack it and name the file inside",
    rb"GGUF": "a GGUF file, which is not read",
    rb"\x93NUMPY": "a NumPy array; save the network's state_dict() with torch.save",
}


def hash_file(file: Path) -> str:
    """SHA-256 of a file of weights; of an index of several files, that of the index with those of the files."""
    try:
        if not file.exists():
            raise WeightsError(f"--weights: there is no file {str(file)!r}")
        if file.is_dir():
            raise WeightsError(f"--weights: {cut(str(file))!r} is a folder; name a file in it")
        if not file.is_file():
            raise WeightsError(f"--weights: {str(file)!r} is no file")
        with file.open("rb") as opened:
            own = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"--weights: {cut(str(file))!r} cannot be read: {error.strerror}") from error
    if not _is_index(file):
        return own
    return hashlib.sha256("".join([own, *map(hash_file, _parts(file))]).encode()).hexdigest()


def kind_of_other(head: bytes) -> str | None:
    """What a file is whose first bytes are not those of weights; None if it is not known."""
    return next((what for start, what in OTHERS.items() if re.match(start, head)), None)


@contextmanager
def open_weights(file: Path) -> Iterator[object]:
    """Open a file of weights.

    Args:
        file: A file that `torch.save`, `pickle.dump` or safetensors wrote, or the index of several such files.

    Yields:
        What is in it, with a `SavedTensor` for each tensor; their values can be read as long as the file is open.

    Raises:
        WeightsError: The file is none of these, is damaged, or is refused.
    """
    if not file.stat().st_size:
        raise WeightsError(f"--weights: {file.name} is empty")
    if _is_index(file):
        with ExitStack() as stack:
            parts = [stack.enter_context(open_weights(part)) for part in _parts(file)]
            yield {key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()}
        return
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    other = kind_of_other(head)
    if other is not None:
        raise WeightsError(f"--weights: {file.name} is {other}")
    is_tensors = head[8:9] == b"{" or file.suffix.lower() == ".safetensors"
    with _open_safetensors(file) if is_tensors else open_pickled(file) as found:
        yield found


@contextmanager
def _open_safetensors(file: Path) -> Iterator[object]:
    from safetensors import SafetensorError, safe_open

    try:
        opened = safe_open(file, "pt")
        names = list(opened.keys())  # type: ignore[no-untyped-call]  # safetensors has no types
        shapes = [tuple(opened.get_slice(name).get_shape()) for name in names]  # type: ignore[no-untyped-call]  # as above
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"--weights: {file.name} is damaged or no safetensors file") from error
    with opened:
        yield {
            name: SavedTensor(shape, partial(opened.get_tensor, name), (file, name))
            for name, shape in zip(names, shapes, strict=True)
        }


def _is_index(file: Path) -> bool:
    return file.name.lower().endswith(".index.json")


def _parts(index: Path) -> list[Path]:
    """The files that an index names, all beside it."""
    try:
        names = set(json.loads(index.read_text())["weight_map"].values())
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise WeightsError(f"--weights: {index.name} is no index of weights files") from error
    if any(not isinstance(name, str) or Path(name).name != name or not name for name in names):
        raise WeightsError(f"--weights: {index.name} names files that are not beside it")
    if any(_is_index(Path(name)) for name in names):
        raise WeightsError(f"--weights: {index.name} names another index")
    return [index.parent / name for name in sorted(names)]
