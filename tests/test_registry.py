import pytest

from lurk.errors import ModelError
from lurk.registry import Registry


def test_an_unknown_name_lists_the_good_ones_and_the_flag():
    table = Registry[int]("lurk.commands", "--shape", ModelError)
    table.register("square")(4)
    table.register("circle")(1)
    with pytest.raises(ModelError, match=r"--shape 'star'; known are: circle, square"):
        table["star"]


def test_entries_are_found_by_name():
    table = Registry[int]("lurk.commands", "--shape")
    table.register("square")(4)
    assert table["square"] == 4
    assert list(table) == ["square"]
    assert "square" in table
    assert "star" not in table
