import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

import lurk
from lurk.graph.hooks import frozen
from lurk.graph.partial_forward import partial_forward
from lurk.method_spec import MethodSpec
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.target import Target
from lurk.methods.randomization_test import check_sanity, compare_rules, randomize_weights, similarity
from lurk.models.model import hash_weights
from tests.methods.family import Functional, image_of, model_of, small


def made(run, **options) -> MapMethod:
    return MapMethod(MethodSpec("toy", "Toy", "A toy.", "map", ("layer", "unit", "image"), "", 1), run)


def request_of(model, image, target, **more) -> MapRequest:
    return MapRequest(model, model.plan(), image[None], target, {"at": ""}, **more)


@pytest.mark.parametrize("ties", [False, True])
def test_similarity_is_spearmans_with_ties_averaged(ties):
    one, two = image_of(3, 12, 9), image_of(3, 12, 9, seed=1) + 0.4 * image_of(3, 12, 9)
    if ties:
        one, two = (one * 2).round(), (two * 2).round()
    a, b = (values.abs().sum(0).flatten().numpy() for values in (one, two))
    assert similarity(one, two) == pytest.approx(spearmanr(a, b).statistic, abs=1e-9)


def test_similarity_looks_only_into_the_box_unless_a_map_reaches_beyond_it():
    one, two = torch.zeros(1, 20, 20), torch.zeros(1, 20, 20)
    one[0, 5, 5:9] = torch.tensor([1.0, 2, 3, 4])
    two[0, 5, 5:9] = torch.tensor([4.0, 3, 2, 1])
    assert similarity(one, two) > 0.9
    assert similarity(one, two, (5, 5, 6, 9)) == pytest.approx(-1)
    assert similarity(one, -one, (5, 5, 6, 9)) == pytest.approx(1)
    assert similarity(one, two, (5, 6, 6, 9)) == similarity(one, two)


def test_masks_that_differ_are_not_alike():
    one, two = torch.zeros(1, 20, 20), torch.zeros(1, 20, 20)
    one[0, :5], two[0, 10:15] = 1, 1
    assert similarity(one, two) == pytest.approx(-1 / 3)
    assert similarity(one, one) == pytest.approx(1)


def test_a_unit_at_a_position_is_compared_in_the_box_that_it_sees():
    model, image = model_of(small), image_of(3, 16, 16)

    def run(asked):
        found = torch.zeros(1, 16, 16)
        top, left, bottom, right = asked.plan.layers[0].box(asked.target.row, asked.target.col, (16, 16))
        flat = torch.arange(256.0).view(16, 16) + 1
        area = (slice(max(top, 0), bottom), slice(max(left, 0), right))
        found[0][area] = flat[area] if asked.model is model else -flat[area] + 300
        return Map(found[None])

    found = check_sanity(made(run), request_of(model, image, Target("0", 1)))
    assert found.similarity == pytest.approx(-1)


@pytest.mark.parametrize("flat", [torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
def test_similarity_with_a_flat_map_is_not_known(flat):
    assert similarity(flat, flat) is None
    assert similarity(flat, image_of(1, 4, 4)) is None


def test_randomised_weights_keep_their_values_in_another_order_and_leave_the_model():
    model = lurk.load_model("efficientnet_lite0")
    before = hash_weights(model.module)
    one, plan = randomize_weights(model, model.plan(), 3)
    again, _ = randomize_weights(model, model.plan(), 3)
    other, _ = randomize_weights(model, model.plan(), 4)
    assert hash_weights(model.module) == before
    assert hash_weights(one.module) == hash_weights(again.module) != hash_weights(other.module)
    assert plan.module is one.module
    for (name, was), now in zip(model.module.named_parameters(), one.module.parameters(), strict=True):
        assert torch.equal(was.flatten().sort().values, now.flatten().sort().values), name
        if was.unique().numel() > 8:
            assert not torch.equal(was, now), name
    flags = [part.training for part in one.module.modules()]
    assert flags == [part.training for part in model.module.modules()]
    moment = {part.momentum for part in one.module.modules() if isinstance(part, nn.BatchNorm2d)}
    assert moment == {part.momentum for part in model.module.modules() if isinstance(part, nn.BatchNorm2d)}


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
def test_activations_stay_in_range_with_randomised_weights(name):
    model = lurk.load_model(name, weights=None if name == "efficientnet_lite0" else "random")
    _, plan = randomize_weights(model, model.plan(), 0)
    image = image_of(1, *model.input_shape)
    sizes = []
    for which in (model.plan(), plan):
        with partial_forward(which, [layer.name for layer in plan.layers]) as reach, torch.no_grad():
            reached = reach(image)
            sizes.append([float(reached[layer.name].std()) for layer in plan.layers])
    for layer, real, drawn in zip(plan.layers, *sizes, strict=True):
        assert 1e-3 < drawn < 1e3, layer.name
        assert drawn > real / 100 - 1e-3, layer.name


def test_a_map_that_ignores_the_weights_is_warned_of():
    model, image = model_of(Functional), image_of(3, 16, 16)
    request = request_of(model, image, Target("two", 1))
    found = check_sanity(made(lambda asked: Map(asked.images.abs())), request)
    assert found.similarity == pytest.approx(1)
    assert "Toy barely changes when the weights are randomised (similarity 1.00)" in found.warning
    assert "the field that a position sees" in found.warning
    assert np.array_equal(found.values, image.abs().numpy())


def test_a_map_of_the_weights_is_not_warned_of():
    model, image = model_of(Functional), image_of(3, 16, 16)

    def run(asked):
        return Map(asked.model.module.one.weight.detach().flatten()[:100].reshape(1, 1, 10, 10).clone())

    found = check_sanity(made(run), request_of(model, image, Target("two", 1)))
    assert abs(found.similarity) < 0.5
    assert found.warning == ""


def test_the_position_of_the_maximum_stays_that_of_the_real_weights():
    model, image = model_of(small), image_of(3, 16, 16)
    targets = []

    def run(asked):
        targets.append(asked.target)
        return Map(asked.images)

    check_sanity(made(run), request_of(model, image, Target("3", 1)))
    assert targets[0].where == targets[1].where == "position"
    assert (targets[0].row, targets[0].col) == (targets[1].row, targets[1].col)


def test_the_randomised_target_is_alive_where_it_can_be():
    model, image = model_of(small), image_of(3, 16, 16)
    for seed in range(4):
        numbers = []

        def run(asked):
            with partial_forward(asked.plan, ["3"]) as reach:
                numbers.append(float(asked.target.value(reach(asked.images))))  # noqa: B023
            return Map(asked.images)

        check_sanity(made(run), request_of(model, image, Target("3", 1)), seed)
        assert min(numbers) > 0


def test_a_mask_uses_the_randomised_units_own_quantiles():
    model, image = model_of(small), image_of(3, 16, 16)
    given = []

    def run(asked):
        given.append(asked.quantiles)
        return Map(asked.images)

    check_sanity(made(run), request_of(model, image, Target("3", 1), quantiles={0.5: 99.0, 1.0: 100.0}))
    assert given[0] == {0.5: 99.0, 1.0: 100.0}
    assert set(given[1]) == {0.5, 1.0}
    assert given[1][1.0] < 99


def test_the_rules_agree_fully_where_there_is_nothing_to_rectify():
    model = model_of(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)))
    found = compare_rules(model.plan(), image_of(3, 16, 16), Target("1", 0))
    assert found == pytest.approx({"gradient-deconvnet": 1, "gradient-guided": 1, "deconvnet-guided": 1})


def test_the_rules_differ_behind_rectifiers():
    model = model_of(Functional)
    with frozen(model.module):
        found = compare_rules(model.plan(), image_of(3, 16, 16), Target("two", 1, "class", label=1))
    assert set(found) == {"gradient-deconvnet", "gradient-guided", "deconvnet-guided"}
    assert all(-1 <= value < 0.99 for value in found.values())


def test_a_real_method_is_checked_and_the_model_left_alone():
    model, image = model_of(Functional), image_of(3, 16, 16)
    before = hash_weights(model.module)
    with frozen(model.module):
        found = check_sanity(METHODS["grad_cam"], request_of(model, image, Target("two", 1, "class", label=1)))
    assert found.values.shape == (1, 16, 16)
    assert found.values.dtype == np.float32
    assert hash_weights(model.module) == before
    assert all(weight.requires_grad for weight in model.module.parameters())
