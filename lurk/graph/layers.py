"""Finding the layers of a model: where the activation of each is, its shape and its receptive field."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from lurk.errors import LayerError, ModelError
from lurk.graph.activation_taps import Follower
from lurk.graph.batch_check import IMAGES, Checked, Seen, agree, check, check_seen, random_part, three_images, watch
from lurk.graph.device import device_of, dtype_of
from lurk.graph.heads.find_heads import find_heads
from lurk.graph.hooks import tapped, undisturbed
from lurk.graph.layer_activation import LayerActivations, with_class_scores
from lurk.graph.layout.activation_layout import Axes, Layout, arrange, axes_of, grid_of, is_upright, located
from lurk.graph.layout.tokens import Grid, Sequences, is_map, positions_by_coordinates
from lurk.graph.module_words import module_words
from lurk.graph.outputs.class_scores import NO_SCORES, ClassScores, find_class_scores
from lurk.graph.plan import Plan, Tap
from lurk.graph.receptive.coordinates import IMAGES as COORDINATES
from lurk.graph.receptive.coordinates import image_coordinates
from lurk.graph.recorder import CoordinateTensor, Recorder, tensors_in
from lurk.graph.token_names import describe_layers, kinds_of, name_tokens
from lurk.graph.trace import CONVOLUTIONS, Trace, trace_module
from lurk.records import LayerInfo

SHOWN = 5

Returned = TypeVar("Returned")


@dataclass(frozen=True)
class _Found:
    """A layer, the call and the module that it is of, and whether it is shown unless the user chooses."""

    info: LayerInfo
    tap: Tap
    name: str
    path: str
    default: bool


def find_layers(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    expression: str | None = None,
    *,
    classes: int | None = None,
    output: str | int | None = None,
) -> Plan:
    """Find the layers of a module.

    Args:
        module: The model; it is left as it was.
        input_shape: (c, h, w) of one preprocessed image.
        expression: Regular expression that chooses layers: default layers in whose names it is found, and any other
            module whose whole name it matches. All default layers are chosen without one.
        classes: Number of class names; None if they are not known.
        output: Name or number of the output that holds the class scores; None to find it.

    Returns:
        The plan.

    Raises:
        LayerError: The expression is no regular expression, or nothing is left.
        ModelError: The model does not run on that shape, or has no such output.
    """
    _compiled(expression)
    with torch.inference_mode(False), torch.no_grad(), undisturbed(module), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = three_images(_probe(module, input_shape))
        plan, checked = _traced_plan(module, images, expression) or _raw_plan(module, images, expression)
        scores = find_class_scores(checked.alone, checked.together, IMAGES, classes, output)
        return with_class_scores(plan, images[:2], scores if plan.scores is NO_SCORES else plan.scores)


def _traced_plan(module: nn.Module, images: Tensor, expression: str | None) -> tuple[Plan, Checked] | None:
    """The plan by the module's graph; None if it cannot be traced, or if the graph does not give what it gives."""
    coordinates = CoordinateTensor(image_coordinates(images.shape[1:]), images.dtype, images.device)
    with undisturbed(module):  # the module may keep a stand-in for a tensor in a cache of its own
        trace = trace_module(module, coordinates, Recorder())
    if trace is None:
        return None
    own = tensors_in(_run(module, images[:1].clone()))
    plan = _chosen(module, trace, images, expression)
    checked = check(plan, images, own)
    if checked is None or not checked.kept:
        return None
    if trace.counts_images and not _holds(plan, images[:1]):
        return None
    return _without_mixed(plan, checked), checked


def _raw_plan(module: nn.Module, images: Tensor, expression: str | None) -> tuple[Plan, Checked]:
    """The plan by what hooks see of the module's parts."""
    first, last, together = (_run(partial(watch, module), batch) for batch in (images[:1], images[-1:], images))
    plan = _chosen(module, together, images, expression)
    checked = check_seen(plan, (first, last), together, images.dtype)
    lost = [tap.node for at, tap in enumerate(plan.taps) if at not in checked.kept]  # for its shape alone, or not
    is_strange = any(together.rows(node) == IMAGES * first.rows(node) == IMAGES * last.rows(node) for node in lost)
    random = random_part(together, watch(module, images)) if is_strange or checked.mixes_outputs else ""
    return _without_mixed(plan, checked, random), checked


def _holds(plan: Plan, image: Tensor) -> bool:
    """Whether a graph holds for more images than it was traced with."""
    batch = torch.cat([image.roll(shift, 3) for shift in range(COORDINATES + 1)])
    try:
        with tapped(replace(plan, layers=(), taps=()), lambda _at, _value: None) as forward:
            again = tensors_in(forward(batch.clone()))
    except Exception:  # it may fail in any way
        return False
    return agree(tensors_in(_run(plan.module, batch)), again)


def _chosen(module: nn.Module, source: Trace | Seen, images: Tensor, expression: str | None) -> Plan:
    wanted = _compiled(expression)
    found = _found_layers(module, source, images, only_default=wanted is None)
    chosen = [item for item in found if _is_wanted(item, wanted)]
    if not chosen:
        raise LayerError(_nothing(_found_layers(module, source, images), expression))
    layers, taps = tuple(item.info for item in chosen), tuple(item.tap for item in chosen)
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    if isinstance(source, Seen):
        return Plan(module, shape, layers, taps)
    return Plan(module, shape, layers, taps, source.graph, source.constants)


def _found_layers(
    module: nn.Module, source: Trace | Seen, images: Tensor, *, only_default: bool = False
) -> list[_Found]:
    """Find layers in a trace, or in what was seen of a run on three images."""
    if isinstance(source, Seen):
        return _raw_layers(module, source)
    return _traced_layers(module, source, images, only_default=only_default)


def _without_mixed(plan: Plan, checked: Checked, random: str = "") -> Plan:
    """Leave out the layers, and the class scores, that mix the images of a batch or give them in another order."""
    kept = checked.kept
    mixed = tuple(layer.name for at, layer in enumerate(plan.layers) if at not in kept)
    differs = f"the model answers differently each time, from {random} on: make it repeat itself" if random else ""
    if not kept:
        listed = ", ".join(mixed[:SHOWN])
        raise LayerError(differs or f"no layer keeps the images of a batch apart and in order: {listed}")
    layers, taps = tuple(plan.layers[at] for at in kept), tuple(plan.taps[at] for at in kept)
    missing = differs or "the model's scores for an image depend on the other images of its batch"
    scores = ClassScores(missing=missing) if checked.mixes_outputs else plan.scores
    found = replace(plan, layers=layers, taps=taps, left_out=mixed, random=random)
    return replace(found, scores=scores, fastest_format=checked.memory_format)


def _compiled(expression: str | None) -> re.Pattern[str] | None:
    try:
        return None if expression is None else re.compile(expression)
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        raise LayerError(f"--layers {expression!r} is no regular expression: {error.msg}{where}") from None


def _is_wanted(item: _Found, wanted: re.Pattern[str] | None) -> bool:
    if wanted is None:
        return item.default
    names = (item.info.name, item.name)
    if item.default and any(wanted.search(name) for name in names):
        return True
    return any(wanted.fullmatch(name) for name in (*names, item.path))


def _nothing(found: list[_Found], expression: str | None) -> str:
    names = [item.info.name for item in found if item.default] or [item.info.name for item in found]
    if not names:
        return "the model has no parts whose values can be read: it must compute with modules, such as nn.Conv2d"
    listed = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    if expression is None:
        lacking = "no convolution, linear layer or residual block of the model gives a value for each image of a batch"
        return f"{lacking}; choose with --layers among: {listed}"
    return f"--layers {expression!r} matches no layer; the layers are: {listed}"


def _probe(module: nn.Module, input_shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    noise = torch.randn(1, *input_shape, generator=torch.Generator().manual_seed(seed))
    return noise.to(device_of(module), dtype_of(module))


def _run(forward: Callable[[Tensor], Returned], batch: Tensor) -> Returned:
    try:
        with torch.no_grad():
            return forward(batch)
    except Exception as error:  # the model is the user's code
        first = (str(error).splitlines() or [""])[0]
        shape = "×".join(str(size) for size in batch.shape[1:])
        what = "an image" if len(batch) == 1 else f"{len(batch)} images"
        raise ModelError(f"the model fails on {what} of {shape}: {type(error).__name__}: {first}") from error


def _traced_layers(module: nn.Module, trace: Trace, images: Tensor, *, only_default: bool) -> list[_Found]:
    follower, image = Follower(module, trace), (images.shape[2], images.shape[3])
    activations = LayerActivations(module, trace, follower, images)
    maps, sequences = cache(partial(_grids, trace)), Sequences()
    calls = [call for call in trace.calls if call.output in trace.values and trace.values[call.output].shape]
    calls.sort(key=lambda call: follower.order[call.output] if call.output else 0)
    found = [
        (one.order, _Found(one.info, one.tap, one.name, one.name, default=True))
        for one in find_heads(module, trace, follower)
    ]
    for call in calls:
        part = module.get_submodule(call.path)
        is_weighted = isinstance(part, (*CONVOLUTIONS, nn.Linear))
        is_residual = not is_weighted and follower.is_residual(call)
        default = is_weighted or is_residual
        if call.output is None or (only_default and not default):
            continue
        node, function = follower.after_activation(call.output)
        value = trace.values[node]
        if value.field is None or value.shape is None or not value.floating:
            continue
        axes = axes_of(value.field, _usual(part, len(value.shape)))
        in_order = is_map(value.field, axes.channels)
        positions = None if in_order else positions_by_coordinates(value.field, axes.channels)
        guess = partial(sequences.find, grids=partial(_grids_before, maps, follower.order[node]))
        upright = in_order or is_upright(value.field, axes)
        layouts = arrange(value.shape, axes, COORDINATES, positions, guess, upright=upright)
        extras = name_tokens(kinds_of(trace, node, len(layouts) - 1))
        own = (trace.values[call.output].shape or ())[1:]
        words = "residual block" if is_residual else module_words(part)
        bare = LayerInfo(call.name, type(part).__name__, 0, (), None, None, "post", words=words)
        whole, before, done = activations.described(bare, node, function, axes.channels)
        for info, layout in zip(describe_layers(whole, layouts, extras), layouts, strict=True):
            size = located(value.field, layout, image)
            if sorted(own) == sorted(info.shape):  # the normalisation that follows may have its axes in another order
                info = replace(info, shape=own)  # noqa: PLW2901 - filled in
            if size is not None:
                info = replace(info, receptive_field=size[0], jump=size[1], offset=size[2])  # noqa: PLW2901 - filled in
            tap = Tap(node.name, layout, before, threshold=done.threshold, cut=done.cut)
            item = _Found(info, tap, call.name, call.path, default)
            found.append((follower.order[call.output], item))
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


def _grids(trace: Trace) -> list[tuple[int, Grid]]:
    """Find the (rows, columns) of each map in a trace, with its place in the graph."""
    found = [(at, trace.values.get(node)) for at, node in enumerate(trace.graph.nodes)]
    return [
        (at, grid)
        for at, value in found
        if value is not None and value.field is not None and value.field.dim() == 4 and (grid := grid_of(value.field))
    ]


def _grids_before(maps: Callable[[], Sequence[tuple[int, Grid]]], place: int) -> list[Grid]:
    return [grid for at, grid in maps() if at <= place]


def _usual(part: nn.Module, rank: int) -> Axes:
    last = isinstance(part, nn.Linear) or rank == 3
    return Axes(0, rank - 1 if last and not isinstance(part, CONVOLUTIONS) else 1)


def _is_reduced(shape: tuple[int, ...], axes: Axes, grids: Sequence[Grid]) -> bool:
    """Whether the positions of a shape are the rows and columns of a map before it: all, or every second, or third."""
    rows, cols = ([size for dim, size in enumerate(shape) if dim not in (axes.images, axes.channels)] + [1, 1])[:2]
    return any(
        rows - high // step in (0, 1) and cols - wide // step in (0, 1)
        for high, wide in set(grids)
        for step in range(1, max(high, wide) + 1)
    )


def _raw_layers(module: nn.Module, seen: Seen) -> list[_Found]:
    found: list[_Found] = []
    grids: list[Grid] = []
    sequences = Sequences()
    for name, shape in seen.shapes.items():
        path = name.partition(":")[0]
        part = module.get_submodule(path)
        if len(shape) < 2:
            continue
        axes = _usual(part, len(shape))
        upright = isinstance(part, CONVOLUTIONS) or _is_reduced(shape, axes, grids)
        if len(shape) == 4 and axes.channels == 1 and upright:
            grids.append((shape[2], shape[3]))
        default = isinstance(part, (*CONVOLUTIONS, nn.Linear))
        guess = partial(sequences.find, grids=lambda: grids, constant=seen.constant)
        unfit = [Layout(tuple(range(len(shape))), (1, 1), shape)]  # not for each image: the check leaves it out
        layouts = arrange(shape, axes, IMAGES, None, guess, upright=upright) or unfit
        extras = name_tokens([None] * (len(layouts) - 1))
        bare = LayerInfo(name, type(part).__name__, 0, (), None, None, "raw", words=module_words(part))
        infos = describe_layers(bare, layouts, extras)
        found += [_Found(i, Tap(name, layout), name, path, default) for i, layout in zip(infos, layouts, strict=True)]
    return found
