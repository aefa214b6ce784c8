"""What every method of the table keeps to, on small networks of every kind."""

import json
import re
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

import lurk
import lurk.methods
from lurk.errors import LurkError, Paused
from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, Map, MapMethod, MapRequest, PictureRequest, Pictures
from lurk.methods.attribution.run_map import run_map_method
from lurk.methods.attribution.target import Target
from tests.methods.feature_vis.test_image_spectrum import image_set, painted
from tests.methods.networks import SHAPES, image_of, network, state_of

FEW = {
    "steps": 3, "samples": 2, "maps": 4, "channels": 4, "size": 16, "image_size": 16, "octaves": 1, "crops": 2,
    "stride": 6, "window": 6, "batch": 4,
}  # fmt: skip
QUANTILES = {0.0: -1.0, 0.5: 0.0, 0.99: 0.2, 0.995: 0.3, 1.0: 2.0}
BACK = ("gradient", "deconvnet", "guided_backprop", "gradient_x_input", "smoothgrad", "integrated_gradients")


@cache
def model_of(name: str) -> lurk.Model:
    return network(name)


def fitted(option: Option) -> object:
    """A value that makes a method quick, within the option's bounds; else its default."""
    if option.name not in FEW or isinstance(option.default, (bool, str)):
        return option.default
    low, high = option.low or 0, option.high if option.high is not None else float("inf")
    return type(option.default)(min(max(FEW[option.name], low), high))


def options_of(spec: MethodSpec) -> dict[str, object]:
    return spec.read({option.name: fitted(option) for option in spec.options})


def middle_layer(model: lurk.Model) -> str:
    """A layer that has positions, neither the first nor the last."""
    layers = [layer for layer in model.plan().layers if len(layer.shape) == 3] or list(model.plan().layers)
    return layers[len(layers) // 2].name


def result(name: str, model: lurk.Model, **changes) -> Tensor:
    entry, plan = METHODS[name], model.plan()
    image, options = image_of(*model.input_shape), options_of(entry.spec) | changes
    if isinstance(entry, MapMethod):
        made: Map | Pictures = entry.run(
            MapRequest(model, plan, image[None], Target(middle_layer(model), 1), options, QUANTILES)
        )
        assert isinstance(made, Map)
        return made.values[0]
    layer, units = (middle_layer(model), (1, 2)) if "class" not in entry.spec.needs else ("", (1, 2))
    units = units if {"unit", "class"} & set(entry.spec.needs) else ()
    given = image if "image" in entry.spec.needs else None
    made = entry.run(PictureRequest(model, plan, layer, units, options, given))
    assert isinstance(made, Pictures)
    return made.pictures


CASES = [(method, name) for method in METHODS for name in SHAPES]


@pytest.mark.parametrize(("method", "name"), CASES)
def test_a_method_keeps_its_contract_or_refuses_clearly(method, name):
    entry, model = METHODS[method], model_of(name)
    before = state_of(model.module)
    why = entry.refuse(model.plan())
    assert isinstance(why, str)
    assert state_of(model.module) == before
    state, values, refused = torch.get_rng_state(), None, ""
    try:
        values = result(method, model)
    except LurkError as error:
        refused = str(error)
    finally:
        assert state_of(model.module) == before
    if values is None:
        assert refused.strip()
        assert "\n" not in refused
        return
    assert not why, f"{method} says that it cannot be had, and can"
    channels, height, width = model.input_shape
    assert values.dtype == torch.float32
    assert bool(values.isfinite().all())
    assert not values.requires_grad
    if isinstance(entry, MapMethod):
        assert values.shape in ((channels, height, width), (1, height, width))
    else:
        assert values.dim() == 4
        assert values.shape[1] == channels
        assert float(values.min()) >= 0
        assert float(values.max()) <= 1
    assert torch.equal(result(method, model), values)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].spec.gives == "map"])
def test_the_maps_of_a_batch_are_those_of_each_image_alone(method, name):
    entry, model = METHODS[method], model_of(name)
    images = torch.stack([image_of(*model.input_shape, seed=seed) for seed in range(3)])
    whole = MapRequest(model, model.plan(), images, Target(middle_layer(model), 1), options_of(entry.spec), QUANTILES)
    try:
        together = run_map_method(entry, whole)
    except LurkError as error:
        with pytest.raises(LurkError, match=re.escape(str(error))):
            run_map_method(entry, whole.of([1]))
        return
    alone = [run_map_method(entry, whole.of([at])) for at in range(3)]
    expected = torch.cat([one.values for one in alone])
    assert (together.values - expected).abs().max() <= 1e-5 * expected.abs().max()
    for table, values in together.more.items():
        assert np.allclose(values, np.concatenate([one.more[table] for one in alone]), rtol=1e-4, atol=1e-5)
    assert dict(together.notes) == {at: one.notes[0] for at, one in enumerate(alone) if one.notes}


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].spec.gives == "picture"])
def test_a_picture_that_is_paused_at_each_step_is_the_one_that_was_not(method):
    entry, model, paused = METHODS[method], model_of("plain"), []

    def show(done, total, pictures):
        if (done, total) not in paused:
            paused.append((done, total))
            raise Paused

    layer = "" if "class" in entry.spec.needs else middle_layer(model)
    units = (1, 2) if {"unit", "class"} & set(entry.spec.needs) else ()
    image = image_of(*model.input_shape) if "image" in entry.spec.needs else None
    images = image_set(painted, name="for pauses") if "images" in entry.spec.needs else None
    options = options_of(entry.spec) | ({"octaves": 2} if method == "deep_dream" else {})
    whole = PictureRequest(model, model.plan(), layer, units, options, image, images)
    before, request = state_of(model.module), replace(whole, show=show, kept={})
    while True:
        try:
            found = entry.run(request)
        except Paused:
            assert state_of(model.module) == before
            continue
        break
    expected = entry.run(replace(whole, kept={}))
    assert len(paused) == paused[-1][1] >= 3
    assert torch.equal(found.pictures, expected.pictures)
    assert (found.opacity is None) == (expected.opacity is None)
    assert found.opacity is None or torch.equal(found.opacity, expected.opacity)


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].spec.gives == "map"])
def test_a_map_comes_out_the_same_in_inference_mode_without_gradients_and_from_a_model_that_trains(method):
    model = model_of("plain")
    expected = result(method, model)
    with torch.inference_mode():
        inside = result(method, model)
    with torch.no_grad():
        without = result(method, model)
    model.module.train()
    for weight in model.module.parameters():
        weight.requires_grad_(False)
    before = state_of(model.module)
    training = result(method, model)
    assert torch.equal(inside, expected)
    assert torch.equal(without, expected)
    assert torch.equal(training, expected)
    assert state_of(model.module) == before
    model.module.eval()
    model.module.requires_grad_(True)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("method", BACK)
def test_the_back_signal_is_refused_for_none_of_these_networks_and_says_something(method, name):
    model = model_of(name)
    assert METHODS[method].refuse(model.plan()) == ""
    assert result(method, model).any()


@pytest.mark.parametrize("method", list(METHODS))
def test_a_spec_says_what_its_method_is(method):
    spec = METHODS[method].spec
    assert spec.name == method
    assert spec.gives == ("map" if isinstance(METHODS[method], MapMethod) else "picture")
    assert all(text.strip() for text in (spec.label, spec.shows, spec.paper))
    assert "arXiv" in spec.paper or "http" in spec.paper or any(digit in spec.paper for digit in "0123456789")
    assert spec.version >= 1
    assert spec.needs
    assert not spec.refusal
    names = [option.name for option in spec.options]
    assert len(names) == len(set(names))
    for option in spec.options:
        assert option.help.strip()
        assert option.read(option.default) == option.default
        assert option.read(str(option.default)) == option.default
    assert MethodSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_names_and_labels_are_unique():
    specs = [METHODS[name].spec for name in METHODS]
    assert len({spec.name for spec in specs}) == len(specs)
    assert len({spec.label for spec in specs}) == len(specs)


def test_a_spec_with_a_refusal_keeps_it_on_its_way_through_json():
    spec = replace(METHODS["gradient"].spec, refusal="it cannot be had")
    assert MethodSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_one_file_in_the_folder_adds_a_method(tmp_path, monkeypatch):
    """The file is found by its table, named by its function, explained by its docstring and run by `attribute`."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("lurk.methods.__path__", [*lurk.methods.__path__, str(tmp_path)])
    monkeypatch.setattr(METHODS, "_entries", {name: METHODS[name] for name in METHODS})
    monkeypatch.delitem(vars(METHODS), "_modules")  # as in a process that has not looked yet
    (tmp_path / "brightness.py").write_text(
        '"""Brightness."""\n\nfrom lurk.methods import Map, MapRequest, map_method\n\n\n'
        '@map_method(label="Brightness", paper="Nobody, 2026", caution="It looks at no unit.")\n'
        "def brightness(request: MapRequest) -> Map:\n"
        '    """How bright each pixel is."""\n'
        "    return Map(request.images.mean(1, keepdim=True))\n"
    )
    try:
        spec = METHODS["brightness"].spec
        assert (spec.name, spec.shows, spec.gives) == ("brightness", "How bright each pixel is.", "map")
        image = image_of(3, 16, 16)
        found = lurk.attribute(model_of("plain"), image, middle_layer(model_of("plain")), 1, method="brightness")
        assert np.allclose(found[0], image.mean(0).numpy())
    finally:
        sys.modules.pop("lurk.methods.brightness", None)
        vars(lurk.methods).pop("brightness", None)


def test_a_method_is_a_function_named_as_its_file():
    for name in METHODS:
        assert METHODS[name].run.__module__ == f"lurk.methods.{name}"
        assert METHODS[name].run.__name__ == name
