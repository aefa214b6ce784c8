import numpy as np
import pytest

from lurk.errors import LurkError, expect, whole_number


@pytest.mark.parametrize("number", [3, np.int64(3), np.uint8(3)])
def test_a_whole_number_of_any_type_becomes_pythons_own(number):
    assert type(whole_number(number, "top")) is int
    assert whole_number(number, "top") == 3


@pytest.mark.parametrize("value", ["3", 3.0, None, [3]])
def test_what_is_no_whole_number_is_named(value):
    with pytest.raises(LurkError, match=r"^top is a whole number, not "):
        whole_number(value, "top")


def test_a_value_of_another_type_is_named():
    expect("conv", str, "a layer is given by its name")
    with pytest.raises(LurkError, match=r"^a layer is given by its name, not list$"):
        expect(["conv"], str, "a layer is given by its name")
