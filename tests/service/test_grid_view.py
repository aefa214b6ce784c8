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


def test_grid_limit_and_offset(toy_index):
    assert grid(toy_index, "conv", limit=1, offset=1)["order"] == [1]
