import pytest
import torch

from lurk.methods import METHODS, MapRequest
from lurk.methods.attribution.target import Target
from tests.methods.networks import image_of, network, through

TARGETS = {
    "maximum": Target("7", 2),
    "position": Target("7", 2, "position", 2, 1),
    "map": Target("7", 2, "map"),
    "class": Target("7", 2, "class", label=3),
}


def number(module, image, target):
    """The target's number, from the network's own forward pass; layer 7 is measured after its ReLU."""
    if target.where == "class":
        return module(image)[0, target.label]
    values = through(module, 9, image)[0, target.unit]
    return {"maximum": values.max(), "position": values[target.row, target.col], "map": values.sum()}[target.where]


@pytest.mark.parametrize("where", TARGETS)
def test_it_is_the_derivative_of_the_target_found_by_finite_differences(where):
    model, target = network("plain"), TARGETS[where]
    made, module, image = model.plan(), model.module.double(), image_of(3, 16, 16).double()
    found = METHODS["gradient"].run(MapRequest(model, made, image[None], target, {})).values[0]
    assert found.shape == (3, 16, 16)
    assert found.any()
    with torch.no_grad():
        for at in range(0, image.numel(), 37):
            step = torch.zeros_like(image).view(-1)
            step[at] = 1e-6
            step = step.view_as(image)
            slope = number(module, (image + step)[None], target) - number(module, (image - step)[None], target)
            assert abs(float(slope) / 2e-6 - float(found.view(-1)[at])) < 1e-4 * float(found.abs().max())


def test_its_report_comes_when_it_is_done():
    model, told = network("plain"), []
    request = MapRequest(
        model, model.plan(), image_of(1, 3, 16, 16), TARGETS["map"], {}, report=lambda *given: told.append(given)
    )
    METHODS["gradient"].run(request)
    assert told == [(1, 1)]


def test_its_values_have_a_sign():
    assert METHODS["gradient"].spec.signed
    model = network("plain")
    values = (
        METHODS["gradient"]
        .run(MapRequest(model, model.plan(), image_of(3, 16, 16)[None], TARGETS["map"], {}))
        .values[0]
    )
    assert (values < 0).any()
    assert (values > 0).any()
