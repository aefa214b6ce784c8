import math
import sys

import pytest

import lurk
from lurk.errors import LurkError


def test_each_unit_has_a_row_with_the_values_of_its_record(index):
    frame = index.frame()
    assert len(frame) == sum(layer.units for layer in index.layers)
    for row in frame.itertuples():
        unit = index.unit(row.layer, row.unit)
        assert (row.state, row.mean, row.std) == (unit.state, unit.mean, pytest.approx(unit.std))
        assert row.fraction_positive == unit.fraction_positive
        assert (row.best_score, row.best_image) == (unit.hits_max[0].score, unit.hits_max[0].image)
        assert row.best_before == unit.hits_max[0].before or math.isnan(row.best_before)
        assert math.isnan(row.best_before) == (row.layer == "fc")
        assert row.best_path == unit.hits_max[0].path
        assert row.best_class == index.classes[unit.hits_max[0].label]
        label = unit.class_max.argmax()
        assert (row.strongest_class, row.strongest_class_mean) == (index.classes[label], unit.class_max[label])


def test_a_class_without_images_is_never_the_strongest(toy_index):
    frame = lurk.Index(toy_index.folder).frame()
    assert set(frame.strongest_class) <= {"cat", "dog"}


def test_without_pandas_one_line_says_what_to_install(toy_index, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(LurkError, match=r"^index\.frame\(\) needs pandas: pip install pandas$"):
        lurk.Index(toy_index.folder).frame()
