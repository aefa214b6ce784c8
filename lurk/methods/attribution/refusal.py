"""Whether a method works for a network, and whether the network has the unit that is asked for."""

from weakref import WeakKeyDictionary

from lurk.errors import LayerError, LurkError
from lurk.graph.plan import Plan
from lurk.methods import MapMethod, PictureMethod

_REFUSALS: WeakKeyDictionary[Plan, dict[str, str]] = WeakKeyDictionary()


def refusal(method: MapMethod | PictureMethod, plan: Plan) -> str:
    """Why a method does not work for a network; found out once for a network whose graph is known."""
    known = _REFUSALS.setdefault(plan, {}) if plan.graph is not None else {}
    if method.spec.name not in known:
        known[method.spec.name] = method.refuse(plan)
    return known[method.spec.name]


def check_method(method: MapMethod | PictureMethod, plan: Plan) -> None:
    """Raise a LurkError if a method does not work for a network."""
    why = refusal(method, plan)
    if why:
        raise LurkError(f"{method.spec.name} cannot be had for this model: {why}")


def check_unit(plan: Plan, layer: str, unit: int) -> None:
    """Raise a LayerError if a network has no such layer, or the layer no such unit."""
    found = {info.name: info for info in plan.layers}
    if layer not in found:
        some = ", ".join(list(found)[:8]) + (", …" if len(found) > 8 else "")
        raise LayerError(f"the model has no layer {layer!r}; its layers are {some}")
    if not 0 <= unit < found[layer].units:
        raise LayerError(f"layer {layer!r} has no unit {unit}; its units are 0 to {found[layer].units - 1}")
