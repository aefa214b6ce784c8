"""The forward pass of some images as far as a target needs it. It is kept, so that the next method need not run it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from torch import Tensor

from lurk.graph.hooks import altered
from lurk.graph.partial_forward import Activations, partial_forward
from lurk.graph.plan import Plan
from lurk.graph.recorder import tensors_in
from lurk.methods.attribution.rectifier_search import nodes_behind, open_upper_bound
from lurk.methods.attribution.target import Target


@dataclass(frozen=True)
class ForwardPass:
    """What a forward pass computed, with the graph of its gradients.

    Args:
        batch: float (n, c, h, w), the images; it requires its gradient.
        reached: The activations, and the model's output if the target is a class.
        layers: Names of the layers whose activations it has.
        bytes: Memory that the graph takes; 0 if it is not kept.
    """

    batch: Tensor
    reached: Activations
    layers: frozenset[str]
    bytes: int = 0


class Passes:
    """The forward pass of the same images for the same target, kept for the next method unless it is too large.

    Args:
        limit_bytes: Memory that its graph may take.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._kept: ForwardPass | None = None

    @property
    def bytes(self) -> int:
        """Memory that the graph of the pass takes."""
        return self._kept.bytes if self._kept else 0

    def get(self, layers: Iterable[str], *, to_the_end: bool = False) -> ForwardPass | None:
        """Return the pass, if it has the activations of some layers, and the output if it is to go to the end."""
        kept = self._kept
        has_all = kept is not None and kept.layers.issuperset(layers)
        return kept if kept and has_all and (kept.reached.output is not None or not to_the_end) else None

    def keep(self, done: ForwardPass) -> ForwardPass:
        """Keep a pass in place of the last one, unless it is too large; returns it with its size if it is kept."""
        held = held_bytes(*(done.reached[name] for name in done.layers), *tensors_in(done.reached.output))
        self._kept = replace(done, bytes=held) if 0 < held <= self._limit_bytes else None
        return self._kept or done


@contextmanager
def forward_pass(
    plan: Plan, target: Target, images: Tensor, layers: Sequence[str] = (), passes: Passes | None = None
) -> Iterator[ForwardPass]:
    """Run a model on some images as far as a target needs, unless the pass was kept.

    Args:
        plan: The model and its layers.
        target: The target.
        images: float (n, c, h, w), preprocessed.
        layers: Further layers whose activations are wanted.
        passes: Keeps the pass, whose graph is then needed again afterwards.

    Yields:
        The pass. The upper bound of the target's own activation function lets gradients through, as in `forward_to`.
    """
    is_class = target.where == "class"
    wanted = dict.fromkeys([*layers, *([] if is_class else [target.layer])])
    done = passes.get(wanted, to_the_end=is_class) if passes else None
    with partial_forward(plan, wanted, to_the_end=is_class) as reach:
        if done is None:
            batch = images.detach().clone().requires_grad_()
            done = ForwardPass(batch, reach(batch), frozenset(wanted))
            done = passes.keep(done) if passes else done
        with altered({} if is_class else open_upper_bound(done.reached[target.layer])):
            yield done


def held_bytes(*values: Tensor) -> int:
    """Memory that the graph behind some values holds, the network's weights included."""
    held: dict[int, int] = {}
    for node in nodes_behind(*values):
        for name in dir(node):
            if name.startswith("_saved_"):
                for tensor in tensors_in(getattr(node, name)):
                    storage = tensor.untyped_storage()
                    held[storage.data_ptr()] = storage.nbytes()
        for tensor in getattr(node, "saved_tensors", ()):
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return sum(held.values())
