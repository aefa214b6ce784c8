import math

import pytest

from lurk.service.unit_view import UnitView


def test_bars_are_the_best_classes_with_n_and_interval(toy_index):
    view = UnitView(toy_index, "fc", 0)
    bars = view.bars("max")
    assert [bar["class"] for bar in bars] == (
        ["cat", "dog"] if view.record.class_max[0] > view.record.class_max[1] else ["dog", "cat"]
    )
    assert bars[0]["mean"] >= bars[1]["mean"]
    assert bars[0]["n"] == 3
    label = ["cat", "dog", "owl"].index(bars[0]["class"])
    assert bars[0]["half_width"] == pytest.approx(1.96 * view.record.class_max_std[label] / math.sqrt(3))
    assert view.overall("max") == pytest.approx(view.record.class_max[:2].mean())


def test_outline_is_the_box_cut_to_the_view(toy_index):
    for hit in UnitView(toy_index, "conv", 0).hits("max"):
        left, top, width, height = hit["outline"]
        row0, col0, row1, col1 = hit["box"]
        assert left == max(col0, 0) / 8
        assert top == max(row0, 0) / 8
        assert (left + width) * 8 == min(col1, 8)
        assert (top + height) * 8 == min(row1, 8)
        assert not hit["whole"]


def test_a_global_field_is_the_whole_image(toy_index):
    view = UnitView(toy_index, "fc", 0)
    assert view.info.receptive_field is None
    assert all(hit["whole"] and hit["outline"] == [0, 0, 1, 1] for hit in view.hits("mean"))


def test_json_holds_no_nan(toy_index):
    import json

    text = json.dumps(UnitView(toy_index, "conv", 1).to_json(), allow_nan=False)
    assert '"class_max": [' in text
    assert "null" in text


def test_histogram_counts_all_positions(toy_index):
    view = UnitView(toy_index, "conv", 0)
    assert sum(view.histogram["counts"]) == pytest.approx(view.record.count)
