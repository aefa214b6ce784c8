"""Maps as a worker draws them: real queue, real tasks; what is stored is what the methods say."""

import numpy as np
import pytest
import torch

import lurk
from lurk.methods.run_method import attribute
from lurk.service.method_results import stored_map
from lurk.storage.results import read_result, result_folder
from lurk.worker import map_tasks


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


def stored(bench, result):
    return stored_map(read_result(bench.folder, result["url"].split("/")[4]))


@pytest.mark.parametrize("target", ["maximum", "class"])
@pytest.mark.parametrize("method", ["guided_backprop", "lrp", "layer_cam", "smoothgrad"])
def test_maps_of_several_images_are_those_of_each_image(bench, method, target):
    answer = bench.ask("maps", method=method, images=(5, 0, 3), target=target)
    assert answer["state"] == "done"
    assert list(answer["result"]["maps"]) == ["5", "0", "3"]
    images = lurk.load_images(bench.settings.data)
    for number, result in answer["result"]["maps"].items():
        image = images.read(int(number))
        expected = attribute(bench.model, image, "3", 1, method=method, target=target, device="cpu")
        assert np.abs(stored(bench, result) - expected).max() <= 1e-3 * np.abs(expected).max()
        assert result == bench.submit("map", method=method, image=int(number), target=target)["result"]


def test_a_map_that_is_there_is_not_drawn_again(bench, monkeypatch):
    asked = {"method": "gradient_x_input", "target": "map"}
    first = bench.ask("map", image=1, **asked)["result"]
    answer = bench.submit("maps", images=(0, 1, 2), **asked)
    assert answer["ready"] == [1]
    drawn, store = [], map_tasks._store
    monkeypatch.setattr(
        map_tasks, "_store", lambda study, request, *given: drawn.append(request.image) or store(study, request, *given)
    )
    bench.submit("maps", images=(2, 3), **asked)  # overlaps
    bench.work()
    assert sorted(drawn) == [0, 2, 3]
    answer = bench.submit("maps", images=(0, 1, 2), **asked)
    assert answer["result"]["maps"]["1"] == first
    assert answer["ready"] == [0, 1, 2]


def test_an_image_that_cannot_be_read_does_not_spoil_the_others(bench):
    asked = {"method": "gradient", "target": "map"}
    file = sorted((bench.cache.parent / "images" / "a").iterdir())[4]
    kept = file.read_bytes()
    file.write_bytes(b"damaged")
    try:
        key = bench.submit("maps", images=(3, 4, 5), **asked)["key"]
        bench.work()
        view = bench.service.job(key)
    finally:
        file.write_bytes(kept)
    assert view["state"] == "done"
    assert list(view["result"]["maps"]) == ["3", "5"]
    assert list(view["errors"]) == ["4"]
    assert view["ready"] == [3, 5]
    assert bench.ask("maps", images=(3, 4, 5), **asked)["ready"] == [3, 4, 5]


def test_the_next_method_reuses_the_forward_pass_of_the_same_images(bench, monkeypatch):
    asked = {"images": (1, 4), "target": "maximum"}
    options = {"layer": "3", "units": (2,)}
    bench.ask("maps", method="grad_cam", **asked, **options)
    runs = []
    monkeypatch.setattr(bench.model.module[0], "forward", lambda *_: runs.append(1))
    for method in ("gradient", "guided_backprop", "layer_cam", "activation_map"):
        assert bench.ask("maps", method=method, **asked, **options)["state"] == "done"
    assert not runs


def test_slow_maps_step_aside_for_what_takes_less_and_are_the_same_in_the_end(bench, monkeypatch):
    drawn, store = [], map_tasks._store

    def stored_now(study, request, *given):
        drawn.append((request.method, request.image))
        store(study, request, *given)
        if request.method == "occlusion" and len(drawn) == 1:
            bench.submit("map", method="gradient", image=0, target="maximum", units=(2,))

    monkeypatch.setattr(map_tasks, "_store", stored_now)
    answer = bench.ask("maps", method="occlusion", images=(4, 2, 5), target="maximum")
    assert drawn == [("occlusion", 4), ("gradient", 0), ("occlusion", 2), ("occlusion", 5)]
    assert answer["state"] == "done"
    images = lurk.load_images(bench.settings.data)
    for number, result in answer["result"]["maps"].items():
        expected = attribute(bench.model, images.read(int(number)), "3", 1, method="occlusion", device="cpu")
        assert np.abs(stored(bench, result) - expected).max() <= 1e-3 * np.abs(expected).max()


def test_coarse_maps_that_are_asked_for_later_come_before_the_final_ones(bench, monkeypatch):
    offer = next(one for one in bench.service.methods(bench.settings.study) if one.name == "occlusion")
    drawn, store = [], map_tasks._store

    def stored_now(study, request, *given):
        drawn.append((request.image, dict(request.options) | dict(offer.draft) == dict(request.options)))
        store(study, request, *given)

    monkeypatch.setattr(map_tasks, "_store", stored_now)
    asked = {"method": "occlusion", "images": (1, 3), "target": "map"}
    bench.submit("maps", **asked)
    bench.submit("maps", options=offer.draft, **asked)
    bench.work()
    assert drawn == [(1, True), (3, True), (1, False), (3, False)]
