"""Networks in a file: TorchScript of `torch.jit.save`, and exported programs of `torch.export.save`."""

from collections.abc import Iterable
from pathlib import Path

from lurk.config.model_name import is_network_file
from lurk.errors import ModelError, WeightsError
from lurk.models.programs.program_file import read_program
from lurk.models.sources import SOURCES, Network
from lurk.models.weights.weights_file import hash_file


class Program:
    """Files that hold a network and its weights."""

    def accepts(self, source: str) -> bool:
        """Whether `--model` names a file that is not Python's."""
        return is_network_file(source)

    def names(self) -> Iterable[str]:
        """None: the files are the user's."""
        return ()

    def build(self, source: str, weights: str | None) -> Network:
        """Read the network of a file, with the weights in it."""
        file = Path(source).expanduser()
        if not file.is_file():
            raise ModelError(f"--model {source!r}: there is no file {str(file)!r}")
        if weights is not None:
            raise WeightsError(f"--weights {weights!r}: {file.name} holds its own weights; leave --weights out")
        try:
            module = read_program(file)
        except ModelError as error:
            raise ModelError(f"--model {source!r}: {error}") from error
        sha256 = hash_file(file)
        shape = getattr(module, "input_shape", None)
        return Network(
            module, f"{file.name}#{sha256[:8]}", file.stem, weights=file.name, weight_hash=sha256, input_shape=shape
        )


SOURCES.register("program")(Program())
