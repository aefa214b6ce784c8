"""The sweep against references that share no code with it and compute in float64, on real photographs.

Differences are relative to the largest score of the layer: what is left of a hardly active unit after cancellation
carries the rounding of the values that cancelled. LURK_TRUTH_SAMPLE=100 takes all photographs.
"""

import copy
import os

import numpy as np
import pytest
import torch
from torchvision.transforms.functional import to_tensor

import lurk
from tests import reference

RELATIVE = 1e-5
photographs = pytest.mark.skipif(
    not reference.PHOTOS.is_dir(), reason="the 400 photographs are not beside this checkout"
)


def compare_lists(index, kind, rows, scores, scale):
    """The lists of a layer's units equal the full sort; entries whose scores lie within rounding may trade places."""
    expected = torch.sort(scores, dim=0, descending=True).values[: index.manifest.top].T.numpy()
    images, found = index.array(f"top_{kind}_image")[rows], index.array(f"top_{kind}_score")[rows]
    assert (np.diff(np.sort(images, axis=1), axis=1) > 0).all()
    allowed = RELATIVE * scale[:, None]
    assert (np.abs(found - expected) <= allowed).all()
    assert (np.abs(np.take_along_axis(scores.T.numpy(), images, 1) - expected) <= allowed).all()


def compare_classes(index, rows, scores, labels, place, scale):
    """The class means of a layer's units; `place` 0 for the spatial max and 1 for the spatial mean."""
    means = index.array("classes_profile")[rows][:, :, place, 0]
    for label in range(len(index.classes)):
        expected = scores[labels == label].mean(0).numpy()
        assert (np.abs(means[:, label] - expected) <= RELATIVE * scale).all()


def compare(model, forward, images, index, batch=20):
    """Every unit's lists and class means against the reference."""
    scores, precise = reference.Scores(), copy.deepcopy(model.module).double()
    tensors = [model.preprocess(images.read(i)).double() for i in range(len(images))]
    for start in range(0, len(tensors), batch):
        scores.run(forward, precise, torch.stack(tensors[start : start + batch]))
    labels = torch.tensor(list(images.labels))
    assert [layer.name for layer in index.layers] == list(scores.maximum)
    first = 0
    for layer in index.layers:
        rows = slice(first, first + layer.units)
        first += layer.units
        maximum, mean = reference.joined(scores.maximum[layer.name]), reference.joined(scores.mean[layer.name])
        scale = np.full(layer.units, maximum.abs().max().item())
        compare_lists(index, "max", rows, maximum, scale)
        compare_lists(index, "mean", rows, mean, scale)
        compare_classes(index, rows, maximum, labels, 0, scale)
        compare_classes(index, rows, mean, labels, 1, scale)
        record = index.unit(layer.name, layer.units // 2)
        stored = index.array("top_max_image")[rows][layer.units // 2].tolist()
        if record.state == "constant":
            stored = []
            assert np.ptp(maximum[:, layer.units // 2].numpy()) <= RELATIVE * scale.max()
        assert [hit.image for hit in record.hits_max] == stored
        assert abs(record.class_max[0] - maximum[labels == 0, layer.units // 2].mean().item()) <= RELATIVE * scale.max()
    return first


def compare_positions(model, forward, images, index, count=5):
    """At the stored position of the best hits the activation has the stored score."""
    generator, precise = np.random.default_rng(0), copy.deepcopy(model.module).double()
    for number in generator.choice(len(images), count, replace=False).tolist():
        tensor = model.preprocess(images.read(number))[None].double()
        with torch.no_grad():
            for name, activation in forward(precise, tensor):
                spatial = activation[0] if activation.dim() == 4 else activation[0][:, None, None]
                for unit in range(0, spatial.shape[0], 11):
                    record = index.unit(name, unit)
                    for hit in (hit for hit in (*record.hits_max, *record.hits_mean) if hit.image == number):
                        best = spatial[unit].max().item()
                        assert abs(spatial[unit, hit.row, hit.col].item() - best) <= RELATIVE * max(abs(best), 1)


CASES = {
    "efficientnet_lite0": (None, reference.efficientnet_lite0, 4),
    "resnet18": ("random", reference.resnet18, 3),
    "vgg16": ("random", reference.vgg16, 1),
}


@pytest.mark.slow
@photographs
@pytest.mark.parametrize("name", CASES)
def test_every_unit_equals_a_full_sort_of_all_activations_on_photographs(name, tmp_path):
    weights, forward, sample = CASES[name]
    model = lurk.load_model(name, weights=weights)
    images = lurk.load_images(reference.PHOTOS, sample=int(os.environ.get("LURK_TRUTH_SAMPLE", sample)))
    index = lurk.sweep(model, images, cache=tmp_path, batch_size=11)
    assert compare(model, forward, images, index) == sum(layer.units for layer in index.layers)
    compare_positions(model, forward, images, index)


def small(image):
    return to_tensor(image.convert("RGB").resize((96, 64)))


def test_resnet18_on_the_demo_images_equals_a_full_sort(put_demo_set, tmp_path):
    model = lurk.load_model("resnet18", weights="random", preprocess=small)
    images = lurk.load_images("demo", sample=1, cache=put_demo_set(tmp_path))
    index = lurk.sweep(model, images, cache=tmp_path, batch_size=16)
    compare(model, reference.resnet18, images, index)
    compare_positions(model, reference.resnet18, images, index, count=2)
