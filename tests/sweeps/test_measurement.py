"""What is measured of a batch, against NumPy in float64."""

import dataclasses
import math

import numpy as np
import pytest
import torch
import torchvision

from lurk.errors import ModelError
from lurk.graph.hooks import tapped
from lurk.graph.layers import find_layers
from lurk.records import LayerInfo
from lurk.sweeps.measurement import Measurement

LAYERS = (
    LayerInfo("conv", "Conv2d", 3, (3, 4, 5), (3, 3), (1, 1), "post", grid=(4, 5), bound=6.0),
    LayerInfo("fc", "Linear", 2, (2,), None, None, "post", grid=(1, 1)),
)
IMAGES = torch.tensor([4, 5, 6, 7, 8])
KINDS = {
    "signed": (0.0, 1.0),
    "negative only": (-50.0, 1.0),
    "far from zero": (1e4, 1e-2),
    "above the bound": (9.0, 1.0),
}


def activations(kind):
    """float32 (n, c, rows, columns) of both layers."""
    generator, (center, spread) = torch.Generator().manual_seed(0), KINDS[kind]
    shapes = [(len(IMAGES), layer.units, *layer.grid) for layer in LAYERS]
    return [center + spread * torch.randn(shape, generator=generator) for shape in shapes]


def measured(values):
    found = Measurement(LAYERS, len(IMAGES))
    found.begin(IMAGES)
    for number, activation in enumerate(values):
        found.receive(number, activation)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_of_a_batch_equals_numpys(kind):
    batch = measured(activations(kind)).batch(torch.zeros(5, dtype=torch.int64))
    assert batch.images.tolist() == IMAGES.tolist()
    assert batch.positions.tolist() == [20, 20, 20, 1, 1]
    first = 0
    for layer, activation in zip(LAYERS, activations(kind), strict=True):
        units = slice(first, first + layer.units)
        first += layer.units
        rows = activation.double().flatten(2).numpy()
        assert np.array_equal(batch.maximum[:, units].numpy(), rows.max(2).astype(np.float32))
        assert np.array_equal(batch.position[:, units].numpy(), rows.argmax(2))
        np.testing.assert_allclose(batch.mean[:, units], rows.mean(2), rtol=1e-13)
        expected = ((rows - rows.mean(2, keepdims=True)) ** 2).sum(2)
        np.testing.assert_allclose(batch.squares[:, units], expected, rtol=1e-9, atol=1e-20)
        assert np.array_equal(batch.positive[:, units].numpy(), (rows > 0).sum(2))
        assert np.array_equal(batch.bounded[:, units].numpy(), (rows >= (layer.bound or math.inf)).sum(2))
        assert batch.before[:, units].isnan().all()
        flat = rows.max(2) == rows.min(2)
        assert np.array_equal(batch.lowest[:, units].numpy(), np.where(flat, rows.max(2), -math.inf).astype(np.float32))
    assert [drawn.shape for drawn in batch.drawn] == [(5, 3, 20), (5, 2, 1)]


@pytest.mark.parametrize("has_before", [False, True])
def test_of_several_positions_with_the_highest_value_the_first_in_row_major_order_is_kept(has_before):
    generator = torch.Generator().manual_seed(2)
    value = torch.randint(0, 3, (5, 3, 4, 5), generator=generator).float()
    expected = np.array(
        [[next(p for p in range(20) if row[p] == max(row)) for row in image.tolist()] for image in value.flatten(2)]
    )
    assert (value.flatten(2) == 2).sum(2).min() > 1
    for memory_format in (torch.contiguous_format, torch.channels_last):
        found = Measurement(LAYERS[:1], 5)
        found.begin(IMAGES)
        if has_before:
            found.receive_before(0, value.to(memory_format=memory_format))
        found.receive(0, value.clamp(max=1) if has_before else value.to(memory_format=memory_format))
        assert np.array_equal(found.batch(torch.zeros(5, dtype=torch.int64)).position.numpy(), expected)


def test_an_image_with_nan_or_infinity_is_named_with_its_first_layer():
    values = activations("signed")
    values[0][1, 2, 3, 4], values[1][1, 0], values[1][3, 1] = math.nan, math.inf, -math.inf
    assert measured(values).unusable() == {5: "conv", 7: "fc"}


def test_a_layer_that_did_not_run_is_named():
    with pytest.raises(ModelError, match="layer fc does not run on every image"):
        measured(activations("signed")[:1]).batch(torch.zeros(5, dtype=torch.int64))


SIGMOID = (LayerInfo("conv", "Conv2d", 3, (3, 4, 5), (3, 3), (1, 1), "post", grid=(4, 5), bound=1.0, lower_bound=0.0),)


@pytest.mark.parametrize("spread", [1.0, 400.0])
def test_the_value_before_the_activation_gives_position_and_range(spread):
    before = spread * torch.randn(5, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    found = Measurement(SIGMOID, 5)
    found.begin(IMAGES)
    value = before.clone()
    found.receive_before(0, value)
    found.receive(0, value.sigmoid_())
    batch = found.batch(torch.zeros(5, dtype=torch.int64))
    rows, scores = before.flatten(2).numpy(), before.sigmoid().flatten(2).numpy()
    assert np.array_equal(batch.before.numpy(), rows.max(2))
    assert np.array_equal(batch.position.numpy(), rows.argmax(2))
    assert (batch.lowest == -torch.inf).all()
    np.testing.assert_allclose(batch.before_mean, rows.mean(2), rtol=1e-4, atol=1e-6 * spread)
    assert np.array_equal(batch.maximum.numpy(), scores.max(2))
    assert np.array_equal(batch.bounded.numpy(), ((scores >= 1) | (scores <= 0)).sum(2))
    assert (batch.bounded > 0).any() == (spread > 100)


@pytest.mark.parametrize("value", [0.0, 0.1, -2.7, 1e-42, 3.4e38, -3.4e38])
@pytest.mark.parametrize("grid", [(4, 5), (112, 113), (1, 1)])
def test_the_lowest_value_is_known_of_flat_maps_alone(value, grid):
    before = torch.full((3, 3, *grid), value)
    before[1, 2, -1, -1] = float(np.nextafter(np.float32(value), np.float32(0 if value else 1)))
    found = Measurement((dataclasses.replace(SIGMOID[0], shape=(3, *grid), grid=grid),), 3)
    found.begin(IMAGES[:3])
    found.receive_before(0, before)
    found.receive(0, before.sigmoid())
    expected = before[:, :, 0, 0].clone()
    if grid != (1, 1):
        expected[1, 2] = -torch.inf
    assert torch.equal(found.batch(torch.zeros(3, dtype=torch.int64)).lowest, expected)


def test_infinity_and_nan_before_a_finite_score_are_ranked_as_highest_and_lowest():
    before = torch.zeros(1, 3, 4, 5)
    before[0, 0, 1, 2], before[0, 1, 0, 0], before[0, 2] = math.inf, math.nan, -math.inf
    found = Measurement(SIGMOID, 1)
    found.begin(torch.tensor([0]))
    found.receive_before(0, before)
    found.receive(0, torch.full_like(before, 0.5))
    assert found.unusable() == {}
    batch = found.batch(torch.zeros(1, dtype=torch.int64))
    largest = torch.finfo(torch.float32).max
    assert batch.before.tolist() == [[largest, 0.0, -largest]]
    assert batch.position.tolist() == [[7, 1, 0]]
    assert torch.isfinite(batch.before_mean).all()


def test_a_layer_that_ran_on_some_images_of_the_batch_only_is_told():
    with pytest.raises(ModelError, match="layer conv does not run on every image; leave it out with --layers"):
        measured([values[:3] for values in activations("signed")])


def test_a_cut_value_gives_all_that_the_value_and_its_score_give():
    before = 4 * torch.randn(5, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    before[1, 1], before[2, 2], before[3, 0] = -1.5, 7.25, 3.5
    twice, once = Measurement(LAYERS[:1], 5), Measurement(LAYERS[:1], 5)
    for found in (twice, once):
        found.begin(IMAGES)
    twice.receive_before(0, before)
    twice.receive(0, before.clamp(0, 6))
    once.receive_uncut(0, (0.0, 6.0), before)
    expected, batch = (found.batch(torch.zeros(5, dtype=torch.int64)) for found in (twice, once))
    for field in dataclasses.fields(batch):
        if field.name != "drawn":
            assert torch.equal(getattr(batch, field.name), getattr(expected, field.name)), field.name
    assert torch.equal(batch.drawn[0], expected.drawn[0])
    assert batch.bounded.any()
    assert (batch.before > batch.maximum).any()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "googlenet"])
def test_a_pass_without_norms_of_its_own_gives_what_the_network_gives(name):
    torch.manual_seed(0)
    more = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    network, generator = torchvision.models.get_model(name, **more).eval(), torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):  # as after training: all four count
            for value in (part.running_mean, part.running_var, part.weight, part.bias):
                value.data.copy_(0.5 + torch.rand(value.shape, generator=generator))
    plan, images = find_layers(network, (3, 64, 64)), torch.randn(2, 3, 64, 64, generator=generator)
    lean, plain = (Measurement(plan.layers, 2) for _ in range(2))
    passes = lean.tapped(plan), tapped(plan, plain.receive, plain.receive_before, receive_uncut=plain.receive_uncut)
    found = []
    for measurement, context in zip((lean, plain), passes, strict=True):
        with torch.inference_mode(), context as forward:
            measurement.begin(torch.arange(2))
            forward(images)
            found.append(measurement.batch(torch.full((2,), -1)))
    for figure in ("maximum", "mean", "before"):
        one, other = (getattr(batch, figure) for batch in found)
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True), figure
    changed = (found[0].position != found[1].position).double().mean()
    assert changed < 1e-3  # of equal or nearly equal values
