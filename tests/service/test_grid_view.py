import numpy as np

from lurk.service.grid_view import grid


def test_grid_in_order_of_units(toy_index):
    shown = grid(toy_index, "conv")
    assert shown["order"] == [0, 1, 2]
    assert shown["units"] == 3
    assert shown["state"] == ["ok", "dead", "saturated"]
    assert len(shown["sprites"]) == 1
    assert "never active on these images" in shown["labels"][1]
    assert shown["names"] is None


def test_grid_sorted_by_highest_score(toy_index):
    shown = grid(toy_index, "conv", sort="max")
    assert shown["score"] == sorted(shown["score"], reverse=True)
    assert shown["order"][0] == 2
    assert shown["order"][-1] == 1


def test_grid_sorted_by_sparsity_begins_with_the_rarest(toy_index):
    assert grid(toy_index, "conv", sort="sparsity")["order"] == [1, 0, 2]


def test_grid_sorted_by_selectivity(toy_index):
    index = toy_index.selectivity("conv")
    assert grid(toy_index, "conv", sort="selectivity")["order"] == np.argsort(-index, kind="stable").tolist()


def test_a_tile_names_the_class_with_the_highest_mean(toy_index):
    shown, classes = grid(toy_index, "fc", sort="max"), toy_index.manifest.classes
    for unit, found, label in zip(shown["order"], shown["top_class"], shown["labels"], strict=True):
        means = toy_index.unit("fc", unit).class_max
        assert found == classes[int(np.nanargmax(means))]
        assert label.endswith(f"; most for {found}")


def test_a_tile_of_a_unit_that_is_never_active_names_no_class(toy_index):
    shown = grid(toy_index, "conv")
    assert shown["state"][1] == "dead"
    assert shown["top_class"][1] is None


def test_grid_limit_and_offset(toy_index):
    assert grid(toy_index, "conv", limit=1, offset=1)["order"] == [1]
