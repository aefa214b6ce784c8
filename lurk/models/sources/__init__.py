"""What a source of models is, and the table of them: each file of this folder enters one source."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from torch import nn

from lurk.errors import ModelError
from lurk.models.checkpoint import Filled
from lurk.models.preprocess import Transform
from lurk.registry import Registry

PRETRAINED, UNTRAINED = "pretrained", "untrained"
AS_MADE, AS_GIVEN = "as the factory made it", "as given"


@dataclass(frozen=True)
class Network:
    """What a source gives: a module and whatever comes with it.

    Args:
        module: The network.
        source: Text that identifies the network in provenance.
        name: Name on the page.
        preprocess: The network's own preprocessing; None if it has none.
        classes: Names of the outputs; None if the source does not know them.
        weights: `pretrained`, `untrained`, `as the factory made it`, `as given`, or the name of the weights file.
        weight_hash: SHA-256 of the weights file; None if the weights do not come from one file.
        notice: A warning that every user must see; empty if there is none.
        input_shape: (c, h, w) of the input; None if the source does not know it.
        notes: What was understood of what the user gave, a sentence each; nothing that is wrong.
        file: A weights file that the module is still to be filled with; None if there is none.
    """

    module: nn.Module
    source: str
    name: str
    preprocess: Transform | None = None
    classes: tuple[str, ...] | None = None
    weights: str = PRETRAINED
    weight_hash: str | None = None
    notice: str = ""
    input_shape: tuple[int, int, int] | None = None
    notes: tuple[str, ...] = ()
    file: str | None = None


def with_file(network: Network, filled: Filled) -> Network:
    """The description of a network whose weights come from a file."""
    notice = "; ".join(text for text in (network.notice, filled.notice) if text)
    notes = (*network.notes, *filled.notes)
    return replace(network, weights=filled.name, weight_hash=filled.sha256, notes=notes, notice=notice, file=None)


class Source(Protocol):
    """What a file of this folder enters into the table."""

    def accepts(self, source: str) -> bool:
        """Whether this source can build what `--model` names."""

    def build(self, source: str, weights: str | None) -> Network:
        """Build the network that `--model` and `--weights` name."""

    def names(self) -> Iterable[str]:
        """Names that it knows, for error messages."""


SOURCES = Registry[Source]("lurk.models.sources", "--model", ModelError)
