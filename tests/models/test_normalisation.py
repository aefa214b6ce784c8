"""Colours there and back, with numbers worked out by hand."""

import numpy as np
import pytest
import torch

from lurk.models.normalisation import Normalisation

BGR = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def pixel(*samples: float) -> torch.Tensor:
    return torch.tensor(samples, dtype=torch.float32).view(-1, 1, 1)


def test_without_a_mix_each_channel_takes_its_own_sample():
    plain = Normalisation((0.25, 0.5, 0.75), (0.5, 0.25, 1.0))
    assert plain.forward(pixel(1, 1, 1)).flatten().tolist() == [1.5, 2.0, 0.25]
    assert plain.inverse(pixel(1.5, 2.0, 0.25)).flatten().tolist() == [1, 1, 1]
    assert plain.samples == 3


def test_every_8_bit_sample_survives_there_and_back():
    samples = torch.arange(256).float().view(1, 16, 16).expand(3, 16, 16) / 255
    for plain in (
        Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        Normalisation((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255,) * 3, BGR),
    ):
        back = plain.inverse(plain.forward(samples)) * 255
        assert torch.equal(back.round(), samples * 255)


def test_blue_green_red_changes_places_and_numbers_of_maps_are_put_back_in_order():
    swapped = Normalisation((0.0,) * 3, (1 / 255,) * 3, BGR)
    assert swapped.forward(pixel(1, 0.6, 0)).flatten().tolist() == pytest.approx([0, 153, 255])
    assert swapped.inverse(pixel(0, 153, 255)).flatten().tolist() == pytest.approx([1, 0.6, 0])
    values = np.arange(3, dtype=np.float32).reshape(3, 1, 1)
    assert swapped.in_order(values).ravel().tolist() == [2, 1, 0]
    turned = Normalisation((0.0,) * 3, (1.0,) * 3, (BGR[0], BGR[2], BGR[1]))  # channels are blue, red, green
    assert turned.in_order(values).ravel().tolist() == [1, 2, 0]


def test_numbers_of_maps_stay_where_channels_are_no_other_order():
    values = np.arange(3, dtype=np.float32).reshape(3, 1, 1)
    for one in (
        Normalisation((0.0,) * 3, (1.0,) * 3),
        Normalisation((0.0,) * 3, (1.0,) * 3, ((1.0,),) * 3),
        Normalisation((0.0,) * 3, (1.0,) * 3, ((0.5, 0.5, 0.0), *BGR[:2])),
    ):
        assert one.in_order(values).ravel().tolist() == [0, 1, 2]
    swapped = Normalisation((0.0,) * 3, (1.0,) * 3, BGR)
    assert swapped.in_order(values[:1]).ravel().tolist() == [0]


def test_a_grey_picture_goes_into_three_channels_and_comes_back():
    grey = Normalisation((0.0, 0.5, 0.0), (1.0, 0.5, 2.0), ((1.0,),) * 3)
    assert grey.samples == 1
    assert grey.forward(pixel(0.75)).flatten().tolist() == [0.75, 0.5, 0.375]
    assert grey.inverse(pixel(0.75, 0.5, 0.375)).flatten().tolist() == pytest.approx([0.75])


def test_mixed_colours_are_unmixed():
    rows = ((0.5, 0.5, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5))
    mixed = Normalisation((0.1, 0.2, 0.3), (1.0, 2.0, 0.5), rows)
    given = mixed.forward(pixel(0.2, 0.4, 0.8))
    assert given.flatten().tolist() == pytest.approx([0.3 - 0.1, (0.6 - 0.2) / 2, (0.5 - 0.3) / 0.5])
    assert mixed.inverse(given).flatten().tolist() == pytest.approx([0.2, 0.4, 0.8])


def test_constant_channels_are_made_and_left_out():
    padded = Normalisation((0.0, 0.0, 0.0, -7.0), (1.0,) * 4, (*BGR[::-1], (0.0, 0.0, 0.0)))
    given = padded.forward(pixel(0.1, 0.2, 0.3))
    assert given.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3, 7])
    assert padded.inverse(given).flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_the_bounds_are_those_over_all_pictures():
    like = torch.zeros(1, dtype=torch.float64)
    low, high = Normalisation((0.5, 1.0), (0.25, -1.0), ((0.5, -0.5, 0.0), (0.0, 0.0, 1.0))).bounds(like)
    assert low.flatten().tolist() == [-4, 0]
    assert high.flatten().tolist() == [0, 1]


def test_a_description_names_order_mean_and_deviation():
    assert Normalisation((0.5,) * 3, (0.25, 0.5, 1.0), BGR).describe() == "channels BGR, mean 0.5, std (0.25, 0.5, 1)"
    assert Normalisation((0.0,) * 2, (1.0,) * 2, ((1.0,), (0.0,))).describe() == "channels L-, mean 0, std 1"
    assert "mixed" in Normalisation((0.0,) * 2, (1.0,) * 2, ((0.5, 0.5, 0.0), BGR[0])).describe()
