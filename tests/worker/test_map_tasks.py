"""Maps as a worker draws them: real queue, real tasks; what is stored is what the methods say."""

import numpy as np
import pytest
import torch

import lurk
from lurk.methods.run_method import attribute
from lurk.service.method_results import stored_map
from lurk.storage.results import read_result, result_folder


def test_a_stored_map_is_the_one_that_attribute_makes(bench):
    answer = bench.ask("map", method="deconvnet", image=2, target="maximum")
    result = answer["result"]
    image = lurk.load_images(bench.settings.data).read(2)
    expected = attribute(bench.model, image, "3", 1, method="deconvnet", device="cpu")
    found = read_result(bench.folder, result["url"].split("/")[4])
    assert np.abs(stored_map(found) - expected).max() <= 1e-3 * np.abs(expected).max()
    with torch.no_grad():
        value = torch.relu(bench.model.module[:4](bench.model.preprocess(image)[None]))[0, 1]
    assert result["value"] == pytest.approx(float(value.max()), rel=1e-5)
    assert divmod(int(value.argmax()), value.shape[1]) == (result["row"], result["col"])


def test_a_map_of_a_class_explains_the_most_probable_one(bench):
    result = bench.ask("map", method="gradient", image=4, target="class")["result"]
    image = bench.model.preprocess(lurk.load_images(bench.settings.data).read(4))
    with torch.no_grad():
        scores = bench.model.module(image[None])[0]
    assert result["label"] == int(scores.argmax())
    assert result["label_name"] == bench.model.classes[result["label"]]
    assert result["value"] == pytest.approx(float(scores.max()), rel=1e-5)


def test_the_mask_of_netdissect_uses_the_units_own_quantile(bench):
    assert bench.ask("map", method="netdissect_mask", image=1, target="maximum")["state"] == "done"


def test_a_sanity_check_compares_with_randomised_weights_and_leaves_the_model_as_it_is(bench):
    before = bench.model.weight_hash
    result = bench.ask("sanity", method="guided_backprop", image=0, target="map")["result"]
    assert bench.model.weight_hash == before
    assert len(result["agreement"]) == 3
    assert result["similarity"] is None or -1 <= result["similarity"] <= 1
    real = bench.ask("map", method="guided_backprop", image=0, target="map")["result"]
    shown = [stored_map(read_result(bench.folder, one["url"].split("/")[4])) for one in (real, result["randomised"])]
    assert np.abs(shown[0] - shown[1]).max() > 0


def test_a_damaged_result_is_computed_anew(bench):
    asked = {"method": "gradient", "image": 3, "target": "maximum"}
    bench.ask("map", **asked)
    result = bench.ask("map", **asked)["result"]
    folder = result_folder(bench.folder, result["url"].split("/")[4])
    (folder / "map.npy").write_bytes(b"damaged")
    assert bench.ask("map", **asked)["result"] == result | {"seconds": pytest.approx(result["seconds"], abs=60)}
