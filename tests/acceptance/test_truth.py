"""The sweep against references that share no code with it, on real photographs.

Differences are relative to the unit's largest score, or to the layer's median one for a unit that is hardly ever active:
what is left of such a unit after cancellation carries the rounding of the values that cancelled.
"""

import numpy as np
import pytest
import torch

import lurk
from tests import reference

RELATIVE = 1e-5
photographs = pytest.mark.skipif(
    not reference.PHOTOS.is_dir(), reason="the 400 photographs are not beside this checkout"
)


def compare_lists(hits, scores, scale, top):
    """A list equals the full sort; entries whose scores lie within rounding may trade places."""
    expected = torch.sort(scores, descending=True).values[:top]
    assert len(hits) == min(top, len(scores))
    assert len({hit.image for hit in hits}) == len(hits)
    allowed = RELATIVE * scale
    for hit, best in zip(hits, expected.tolist(), strict=True):
        assert abs(hit.score - best) <= allowed
        assert abs(scores[hit.image].item() - best) <= allowed


def compare(model, forward, images, index, batch=20):
    """Every unit's lists and class means against the reference; positions against the activation itself."""
    scores = reference.Scores()
    tensors = [model.preprocess(images.read(i)) for i in range(len(images))]
    for start in range(0, len(tensors), batch):
        scores.run(forward, model.module, torch.stack(tensors[start : start + batch]))
    labels = torch.tensor([label for label in images.labels])
    assert [layer.name for layer in index.layers] == list(scores.maximum)
    units = 0
    for layer in index.layers:
        maximum, mean = reference.joined(scores.maximum[layer.name]), reference.joined(scores.mean[layer.name])
        scales = maximum.abs().amax(0)
        for unit in range(layer.units):
            record = index.unit(layer.name, unit)
            scale = max(scales[unit].item(), scales.median().item())
            compare_lists(record.hits_max, maximum[:, unit], scale, index.manifest.top)
            compare_lists(record.hits_mean, mean[:, unit], scale, index.manifest.top)
            for label in range(len(images.classes)):
                members = labels == label
                assert abs(record.class_max[label] - maximum[members, unit].mean().item()) <= RELATIVE * scale
                assert abs(record.class_mean[label] - mean[members, unit].mean().item()) <= RELATIVE * scale
            units += 1
    return units


def compare_positions(model, forward, images, index, count=5):
    """At the stored position of the best hits the activation has the stored score."""
    generator = np.random.default_rng(0)
    for number in generator.choice(len(images), count, replace=False).tolist():
        tensor = model.preprocess(images.read(number))[None]
        with torch.no_grad():
            for name, activation in forward(model.module, tensor):
                spatial = activation[0] if activation.dim() == 4 else activation[0][:, None, None]
                for unit in range(spatial.shape[0]):
                    record = index.unit(name, unit)
                    for hit in (hit for hit in (*record.hits_max, *record.hits_mean) if hit.image == number):
                        best = spatial[unit].max().item()
                        assert abs(spatial[unit, hit.row, hit.col].item() - best) <= RELATIVE * max(abs(best), 1)


CASES = {
    "efficientnet_lite0": (None, reference.efficientnet_lite0, 8),
    "resnet18": ("random", reference.resnet18, 6),
    "vgg16": ("random", reference.vgg16, 2),
}


@pytest.mark.slow
@photographs
@pytest.mark.parametrize("name", CASES)
def test_every_unit_equals_a_full_sort_of_all_activations_on_photographs(name, tmp_path):
    weights, forward, sample = CASES[name]
    model = lurk.load_model(name, weights=weights)
    images = lurk.load_images(reference.PHOTOS, sample=sample)
    index = lurk.sweep(model, images, cache=tmp_path, batch_size=11)
    assert compare(model, forward, images, index) == sum(layer.units for layer in index.layers)
    compare_positions(model, forward, images, index)


def test_resnet18_on_the_demo_images_equals_a_full_sort(tmp_path):
    model = lurk.load_model("resnet18", weights="random")
    images = lurk.load_images("demo", sample=1, cache=tmp_path)
    index = lurk.sweep(model, images, cache=tmp_path, batch_size=16)
    compare(model, reference.resnet18, images, index)
    compare_positions(model, reference.resnet18, images, index, count=2)
