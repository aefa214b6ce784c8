"""One forward pass up to the layers whose activations are wanted, and the gradients of those activations."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor, fx
from torch.fx.node import Argument
from torch.overrides import TorchFunctionMode

from lurk.errors import LayerError, ModelError
from lurk.graph.device import dtype_of
from lurk.graph.faster.windowed_prefix import Prefix
from lurk.graph.heads.head_norms import reader
from lurk.graph.hooks import EndOfPass, frozen, nodes_before, order_norm_gradients, watching
from lurk.graph.layout.activation_layout import Layout
from lurk.graph.plan import Plan, Tap, result
from lurk.graph.recorder import tensors_in


class Activations:
    """The activations of some layers in one forward pass, with the graph of their gradients.

    Args:
        values: The raw value of each layer.
        layouts: How to bring the value of each layer into (n, channels, rows, cols).
        images: Number of images in the batch.
        output: The output of the model, or None if the pass was stopped before its end.
        plan: The model's layers, and how its class scores are read from the output.
        before: The raw value that enters the activation function of each layer that has a monotone one.
    """

    def __init__(
        self,
        values: Mapping[str, Tensor],
        layouts: Mapping[str, Layout],
        images: int,
        output: object,
        plan: Plan,
        before: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        self.output = output
        self._values, self._layouts, self._images = values, layouts, images
        self._scores, self._before = plan.scores, before
        layers = zip(plan.layers, plan.taps, strict=True)
        self._thresholds = {layer.name: tap.threshold for layer, tap in layers if layer.rectified}
        self._units = {layer.name: tap.units for layer, tap in zip(plan.layers, plan.taps, strict=True)}
        order_norm_gradients([*values.values(), *before.values(), *tensors_in(output)])

    def __getitem__(self, layer: str) -> Tensor:
        """Return the activation of a layer, float (n, channels, rows, cols)."""
        if layer not in self._values:
            raise ModelError(f"layer {layer} did not run on this image: the model takes another way for it")
        return self._layouts[layer].arranged(self._values[layer], self._images)

    def before(self, layer: str) -> Tensor:
        """Return what enters the monotone activation function of a layer, float (n, channels, rows, cols).

        Args:
            layer: Name of the layer.

        Returns:
            The value, whose gradient does not end at the function's bounds; without such a function the activation.

        Raises:
            ModelError: The layer did not run on this image.
        """
        value = self._before.get(layer)
        return self[layer] if value is None else self._layouts[layer].arranged(value, self._images)

    def raised(self, layer: str) -> Tensor:
        """Return what ascent raises: `before`, but no less than a rectifier's threshold, below which it gives 0.

        A map that is inactive everywhere is `before` throughout. Otherwise the mean of a map would be raised where the
        unit is most negative, and not where it answers.

        Args:
            layer: Name of the layer.

        Returns:
            float (n, channels, rows, cols).
        """
        value = self.before(layer)
        if layer not in self._thresholds:
            return value
        is_active = self[layer] > 0
        least = torch.full_like(value, self._thresholds[layer])
        return torch.where(is_active | ~is_active.any(3, True).any(2, True), value, least)

    def places(self, layer: str, units: tuple[int, ...]) -> tuple[int, ...]:
        """Return where some units of a layer are among the channels of its activation."""
        held = self._units[layer]
        return units if held is None else tuple(held.index(unit) for unit in units)

    def has_before(self, layer: str) -> bool:
        """Whether a layer has a monotone activation function."""
        return layer in self._before

    def gradient(self, number: Tensor, layer: str) -> Tensor:
        """Derivative of a number with respect to the activation of an earlier layer.

        Args:
            number: float (), computed from these activations.
            layer: Name of the layer.

        Returns:
            float (n, channels, rows, cols); zero if the number does not depend on the layer.
        """
        value = self._values[layer]
        (found,) = torch.autograd.grad(number, value, retain_graph=True, allow_unused=True)
        return self._layouts[layer].arranged(torch.zeros_like(value) if found is None else found, self._images)

    def depends(self, number: Tensor, layer: str) -> bool:
        """Whether a number that was computed from these activations depends on that of a layer."""
        value = self._values.get(layer)
        wanted = None if value is None else value.grad_fn
        return wanted is not None and wanted in nodes_before([number.grad_fn])

    @property
    def class_scores(self) -> Tensor:
        """The model's scores of classes, float (n, classes); a `ModelError` if it has none."""
        return self._scores.read(self.output, self._images)

    @property
    def class_probabilities(self) -> Tensor:
        """The probability of each class, float (n, classes); a `ModelError` if the model has no scores of classes."""
        return self._scores.probabilities(self.output, self._images)

    @property
    def class_maps(self) -> Tensor | None:
        """The score of each class at each position, float (n, classes, h, w); None if the scores have no positions."""
        return self._scores.maps(self.output, self._images)


PartialForward = Callable[[Tensor], Activations]


@dataclass(frozen=True)
class Near:
    """What images are known to differ little from.

    Args:
        image: The known image, float (1, c, h, w).
        side: Height and width of the window in which they differ, in pixels.
    """

    image: Tensor
    side: int


@contextmanager
def partial_forward(
    plan: Plan, layers: Iterable[str], *, to_the_end: bool = False, near: Near | None = None
) -> Iterator[PartialForward]:
    """Run a model up to some layers; what comes after the last of them is not computed.

    Args:
        plan: The model and its layers.
        layers: Names of the layers whose activations are wanted.
        to_the_end: Whether the model's output is wanted as well.
        near: Says that all images will differ from a known one in a small window only, and that no gradients are
            wanted. On a CPU the first part of the graph is then computed in these windows alone, and values differ
            by rounding.

    Yields:
        The forward pass, which takes float (n, c, h, w). No later operation in place overwrites an activation, and
        gradients pass through it. The weights are frozen meanwhile.

    Raises:
        LayerError: The plan has no such layer.
    """
    known = {layer.name: tap for layer, tap in zip(plan.layers, plan.taps, strict=True)}
    missing = [name for name in layers if name not in known]
    if missing:
        some = ", ".join(list(known)[:8]) + (", …" if len(known) > 8 else "")
        raise LayerError(f"the model has no layer {missing[0]!r}; its layers are {some}")
    taps = {name: known[name] for name in layers}
    with frozen(plan.module):
        yield _raw(plan, taps, to_the_end) if plan.graph is None else _traced(plan, plan.graph, taps, to_the_end, near)


class _Run:
    """Runs a plan's graph node by node. A copy compiled for each map would leave its code in memory for good."""

    def __init__(self, plan: Plan, graph: fx.Graph, wanted: set[str], to_the_end: bool, near: Near | None) -> None:
        self._plan, self._nodes, self._wanted, self._to_the_end = plan, list(graph.nodes), wanted, to_the_end
        if near is not None and near.image.device.type != "cpu":  # whether it pays on a GPU was not measured
            near = None
        self._prefix = None if near is None else Prefix(plan, graph, wanted, self.taken(near.image), near.side)
        self._last: dict[fx.Node, list[fx.Node]] = {}
        for used, last in {used: node for node in self._nodes for used in node.all_input_nodes}.items():
            self._last.setdefault(last, []).append(used)

    def taken(self, batch: Tensor) -> Tensor:
        """Return a copy of a batch as the graph takes it."""
        return batch.to(dtype_of(self._plan.module), copy=True, memory_format=self._plan.memory_format)

    def __call__(self, batch: Tensor) -> tuple[dict[str, Tensor], object]:
        """Return the wanted values, and the model's output or None if the pass was stopped before its end."""
        batch = self.taken(batch)
        kept: dict[str, Tensor] = {}
        values: dict[fx.Node, object] = {} if self._prefix is None else self._prefix(batch)
        for node in self._nodes[0 if self._prefix is None else self._prefix.length :]:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda used: cast(Argument, values[used]))
            if node.op == "output":
                return kept, args[0]
            value = batch if node.op == "placeholder" else result(node, args, kwargs, self._plan.attribute)
            if node.name in self._wanted and isinstance(value, Tensor):
                kept[node.name] = value.clone()
                if not self._to_the_end and len(kept) == len(self._wanted):
                    break
                passed_on = kept[node.name].clone()
                values.update({other: passed_on for other, held in values.items() if held is value})  # changed in place
                value = passed_on
            values[node] = value
            for used in self._last.get(node, ()):
                del values[used]
        return kept, None


def _traced(
    plan: Plan, graph: fx.Graph, taps: Mapping[str, Tap], to_the_end: bool, near: Near | None
) -> PartialForward:
    before = {name: tap.before for name, tap in taps.items() if tap.before is not None}
    run = _Run(plan, graph, {*(tap.node for tap in taps.values()), *before.values()}, to_the_end, near)
    layouts = {name: tap.layout for name, tap in taps.items()}
    read = {name: reader(plan, tap.heads) for name, tap in taps.items()}

    def forward(batch: Tensor) -> Activations:
        kept, output = run(batch)
        values = {name: read[name](kept[tap.node]) for name, tap in taps.items() if tap.node in kept}
        entered = {name: kept[node] for name, node in before.items() if node in kept}
        return Activations(values, layouts, len(batch), output, plan, entered)

    return forward


class GradientsOn(TorchFunctionMode):
    """Keeps gradients on in this thread, whatever the code inside says; what is detached stays so.

    >>> with GradientsOn(), torch.no_grad():
    ...     y = torch.ones(1, requires_grad=True) * 2
    >>> y.requires_grad
    True
    """

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Call a function of torch, unless it turns gradients off."""
        if func is torch._C._set_grad_enabled and not args[0]:
            return None
        if torch.is_inference_mode_enabled():
            with torch.inference_mode(False), torch.enable_grad():
                return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


@contextmanager
def _gradients_on(batch: Tensor) -> Iterator[None]:
    """Keep gradients on for a batch that needs them; the network's own code may turn them off."""
    if not (torch.is_grad_enabled() and batch.requires_grad):
        yield
        return
    try:
        with GradientsOn():
            yield
    except RuntimeError as error:  # the user's own code, such as a way through NumPy
        if "grad" not in str(error):
            raise
        first = (str(error).splitlines() or [""])[0]
        raise ModelError(f"the network does not run with gradients, which this method needs: {first}") from error


def _raw(plan: Plan, taps: Mapping[str, Tap], to_the_end: bool) -> PartialForward:
    wanted = {tap.node for tap in taps.values()}

    def forward(batch: Tensor) -> Activations:
        kept: dict[str, Tensor] = {}

        def see(name: str, output: object) -> object:
            if name not in wanted or not isinstance(output, Tensor):
                return None
            kept[name] = output.clone()
            if not to_the_end and len(kept) == len(wanted):
                raise EndOfPass
            return kept[name].clone()

        output, names = None, {name.partition(":")[0] for name in wanted}
        with suppress(EndOfPass), watching(plan.module, names, see), _gradients_on(batch):
            output = plan.module(batch.to(dtype_of(plan.module), copy=True))
        values = {name: kept[tap.node] for name, tap in taps.items() if tap.node in kept}
        layouts = {name: tap.layout for name, tap in taps.items()}
        return Activations(values, layouts, len(batch), output, plan)

    return forward
