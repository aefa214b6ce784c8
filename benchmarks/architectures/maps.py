"""The maps of a network, against torch.autograd and captum."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import captum.attr
import torch
from torch import Tensor

import lurk
from benchmarks.architectures.case import Case, Fault, evaluated
from lurk.errors import LurkError
from lurk.methods import METHODS, MapMethod
from lurk.records import LayerInfo

FEWER = {
    "occlusion": {"size": 16, "stride": 16},
    "score_cam": {"channels": 4},
    "smoothgrad": {"samples": 3},
    "integrated_gradients": {"steps": 8},
}
QUANTILES = dict.fromkeys((0.5, 0.9, 0.99, 0.995), -1e9)
BLACK = -2.0  # what `Pipeline` makes of it
LONGEST = 300


def maps(case: Case) -> str:
    """Maps of a class and of a unit are those of the references; of the others, finite and not blank; or refused."""
    last, middle = case.model.layers[-1], case.middle
    scores = case.model.plan().scores
    label = None if scores.missing or scores.form != "columns" else 0
    refused: dict[str, str] = {}
    for name in METHODS:
        if not isinstance(METHODS[name], MapMethod):
            continue
        target = {"target": "map"} if label is None else {"target": "class", "label": label}
        found = attributed(case, last, name, refused, target)
        if found is not None and label is not None and case.has_gradients:
            agree(case, f"{name} of a class", found, REFERENCES.get(name), class_score(case, label))
    found = attributed(case, middle, "gradient", refused, {"target": "maximum"})
    if found is not None and case.has_gradients:
        agree(case, f"gradient of {middle.name}", found, gradient, unit_value(case, middle))
    return f"refused: {', '.join(refused)}" if refused else ""


def attributed(
    case: Case, info: LayerInfo, name: str, refused: dict[str, str], target: dict[str, object]
) -> Tensor | None:
    """The map of a method; None if it is refused. A blank map must come with the reason."""
    known = {option.name for option in METHODS[name].spec.options}
    options = {key: value for key, value in FEWER.get(name, {}).items() if key in known}
    try:
        with warnings_of("lurk") as said:
            found = torch.from_numpy(
                lurk.attribute(
                    case.model, case.images[0], info.name, 0, method=name, quantiles=QUANTILES, **target, **options
                )
            )
    except LurkError as error:
        if "\n" in str(error) or len(str(error)) > LONGEST:
            raise Fault(f"{name} is refused in more than one line") from error
        refused[name] = str(error)
        return None
    if not torch.isfinite(found).all() or found.shape[-2:] != case.images[0].shape[-2:]:
        raise Fault(f"{name} is not finite, or of shape {tuple(found.shape)}")
    if not found.any() and not said:
        raise Fault(f"{name} of {info.name} is zero everywhere, and no reason is given")
    return found


@contextmanager
def warnings_of(logger: str) -> Iterator[list[str]]:
    """Collect what a logger says."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]  # as short as can be
    logging.getLogger(logger).addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger(logger).removeHandler(handler)


Run = Callable[[Tensor], Tensor]


def agree(
    case: Case, what: str, found: Tensor, reference: Callable[[Case, Run], Tensor] | None, run: Run | None
) -> None:
    """Compare a map with its reference, but for rounding, which may turn a rectifier near 0 on or off."""
    if reference is None or run is None:
        return
    expected = reference(case, run).float()
    near = 1e-2 if case.model.dtype in (torch.float32, torch.float64) else 5e-2
    if not (found - expected).norm() <= near * expected.norm() + 1e-12:
        raise Fault(f"{what} differs from its reference by {float((found - expected).abs().max()):.3g}")


def class_score(case: Case, label: int) -> Run:
    scores = case.model.plan().scores

    def run(x: Tensor) -> Tensor:
        parts = x.to(case.model.dtype).split(1)
        return torch.cat([scores.read(case.run(part), 1)[:, label] for part in parts])

    return run


def unit_value(case: Case, info: LayerInfo) -> Run | None:
    """A layer's unit 0 where it is highest, by a hook on the part that gives it; None if there is no such part."""
    reading = case.reading(info, case.readings[0])
    laid = None if reading is None else case.laid(info, reading.own if info.tap == "raw" else reading.value)
    if reading is None or laid is None:
        return None
    value, at = (reading.own if info.tap == "raw" else reading.value), int(laid.values[0].argmax())
    if info.bound is not None and float(laid.values[0, at]) >= info.bound:
        return None

    def run(x: Tensor) -> Tensor:
        kept: list[Tensor] = []

        def see(_part: object, _given: object, output: object) -> None:
            if isinstance(output, Tensor) and not kept and output.shape == value.shape and torch.equal(output, value):
                kept.append(output.clone())

        handles = [part.register_forward_hook(see) for part in case.module.modules()]
        case.run(x.to(case.model.dtype))
        for handle in handles:
            handle.remove()
        found = case.laid(info, kept[0]) if kept else None
        return x.new_zeros(0) if found is None else found.values[0, at][None]

    return run if len(run(case.images[0][None])) else None


def gradient(case: Case, run: Run) -> Tensor:
    x = case.batch(case.images[0]).requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(run(x).sum(), x)
    return found[0]


def integrated(case: Case, run: Run) -> Tensor:
    image = case.images[0][None].float()
    steps = FEWER["integrated_gradients"]["steps"]
    with evaluated(case.module), torch.enable_grad():
        found = captum.attr.IntegratedGradients(run).attribute(image, torch.full_like(image, BLACK), n_steps=steps)
    return found[0].detach()


REFERENCES: dict[str, Callable[[Case, Run], Tensor]] = {
    "gradient": gradient,
    "integrated_gradients": integrated,
    "gradient_x_input": lambda case, run: gradient(case, run) * case.batch(case.images[0])[0],
}
