"""The steps of a program: each reads values by name and gives others; a value is forgotten after its last use."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

Values = dict[str, object]
OWN, HOME = "", "the device of the inputs"  # names of the part that runs, and of what its constants are moved to
KINDS = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (
        nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear
    )
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step.

    Args:
        run: Reads values and adds those that it gives.
        reads: Names of what it reads.
        gives: Names of what it gives.
    """

    run: Callable[[Values], None]
    reads: tuple[str, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True)
class Body:
    """The steps of a call.

    Args:
        takes: Names of the inputs.
        steps: The steps, in order; after each, the names of what no later step reads.
        gives: Names of the outputs.
    """

    takes: tuple[str, ...]
    steps: tuple[tuple[Step, tuple[str, ...]], ...]
    gives: tuple[str, ...]

    def run(self, values: Values) -> list[object]:
        """Run the steps on values, the inputs among them, and return the outputs."""
        for step, done in self.steps:
            step.run(values)
            for name in done:
                values.pop(name, None)
        return [values[name] for name in self.gives]


def make_body(takes: Iterable[str], steps: Sequence[Step], gives: Iterable[str]) -> Body:
    """Make a body, in which each value that it makes is forgotten after its last use."""
    takes, gives = tuple(takes), tuple(gives)
    own = {*takes, *(name for step in steps for name in step.gives)} - set(gives)
    last = {name: at for at, step in enumerate(steps) for name in (*step.gives, *step.reads) if name in own}
    done: dict[int, list[str]] = {}
    for name, at in last.items():
        done.setdefault(at, []).append(name)
    return Body(takes, tuple((step, tuple(done.get(at, ()))) for at, step in enumerate(steps)), gives)


def set_convolution(part: nn.Module, groups: int, sizes: Mapping[str, Sequence[int]]) -> None:
    """Give a part that is a convolution the attributes that one has: they describe it, its steps compute it.

    Args:
        part: The part, with its weight.
        groups: Groups of channels.
        sizes: Its `stride` and `dilation`, a number for each axis or one for all; empty if they are not known.
    """
    weight = cast(Tensor, part.weight)
    known: dict[str, object] = {"groups": groups, "in_channels": weight.shape[1] * groups}
    if sizes:
        axes = weight.dim() - 2
        known |= {name: tuple(size) * (axes if len(size) == 1 else 1) for name, size in sizes.items()}
        known["kernel_size"] = tuple(weight.shape[2:])
    for name, value in known.items():
        setattr(part, name, value)


def part_kind(base: type[nn.Module], kind: str) -> type[nn.Module]:
    """The class of a part.

    Args:
        base: What runs it.
        kind: Full name of the class that the original part had, such as `torch.nn.modules.conv.Conv2d`.

    Returns:
        A class of that name; for convolutions and linear layers it is derived from theirs as well.
    """
    name = kind.rpartition(".")[2]
    bases = (base, KINDS[kind]) if kind in KINDS else (base,)
    return type(name if name.isidentifier() else base.__name__, bases, {"__module__": base.__module__})
