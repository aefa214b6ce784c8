"""Views of pictures, against steps done one after the other."""

import math

import pytest
import torch

from lurk.methods.feature_vis.transforms import ANGLES, SCALES, Transform, Views, random_transform, resize, transform


def smooth(rows, cols, height, width):
    """A picture without detail, at places in pixels from its middle."""
    return 0.5 + 0.2 * torch.cos(rows / height * 3 + 0.4) + 0.2 * torch.sin(cols / width * 4 - 0.3)


def places(height, width):
    return torch.meshgrid(torch.arange(height) + 0.5 - height / 2, torch.arange(width) + 0.5 - width / 2, indexing="ij")


def sequential(move, rows, cols):
    """Where each place of the view comes from: the steps undone in turn, last jitter, turn, scaling, first jitter."""
    rows, cols = rows + move.last[0], cols + move.last[1]
    angle = math.radians(move.angle)  # anticlockwise on the screen, whose rows go down
    rows, cols = (
        rows * math.cos(angle) + cols * math.sin(angle),
        cols * math.cos(angle) - rows * math.sin(angle),
    )
    return rows / move.scale + move.first[0], cols / move.scale + move.first[1]


@pytest.mark.parametrize(("size", "shown"), [((60, 60), (60, 60)), ((50, 80), (100, 160)), ((64, 40), (72, 45))])
def test_one_resampling_does_what_the_steps_do_in_turn(size, shown):
    move = Transform((3.0, -2.0), 1.08, 9.0, (1.5, 2.5))
    picture = smooth(*places(*size), *size)[None, None]
    rows, cols = places(*shown)
    expected = smooth(*sequential(move, rows * size[0] / shown[0], cols * size[1] / shown[1]), *size)
    found = transform(picture, move, shown)[0, 0]
    inner = tuple(slice(side // 4, -side // 4) for side in shown)
    assert float((found - expected)[inner].abs().max()) < 2e-3


def test_shifts_move_the_view_by_whole_pixels_and_grey_comes_in():
    picture = torch.rand(1, 2, 5, 7, generator=torch.Generator().manual_seed(0))
    for move in (Transform(first=(2.0, -1.0)), Transform(last=(2.0, -1.0))):
        shown = transform(picture, move, (5, 7))
        assert torch.allclose(shown[:, :, :3, 1:], picture[:, :, 2:, :-1], atol=1e-6)
        assert torch.allclose(shown[:, :, 3:], torch.full((1, 2, 2, 7), 0.5), atol=1e-6)
        assert torch.allclose(shown[:, :, :, 0], torch.full((1, 2, 5), 0.5), atol=1e-6)


def test_a_quarter_turn_is_anticlockwise_also_where_the_picture_is_not_square():
    picture = torch.rand(1, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    turned = torch.rot90(picture, 1, (2, 3))  # 8 x 4
    shown = transform(picture, Transform(angle=90.0), (4, 8))
    assert torch.allclose(shown[:, :, :, 2:6], turned[:, :, 2:6], atol=1e-5)


def test_a_larger_scale_shows_the_middle():
    picture = smooth(*places(40, 40), 40, 40)[None, None]
    shown = transform(picture, Transform(scale=2.0), (40, 40))
    assert torch.allclose(shown, resize(picture[:, :, 10:30, 10:30], (40, 40)), atol=5e-3)


def test_a_picture_much_larger_than_the_view_is_smoothed_first():
    picture = (torch.arange(64) % 2).float().expand(1, 1, 64, 64)
    shown = transform(picture, Transform((0.3, 0.4)), (16, 16))
    assert float((shown[..., 2:-2, 2:-2] - 0.5).abs().max()) < 0.1


def test_every_picture_of_a_batch_is_shown_alike():
    pictures = torch.rand(3, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    views = Views((24, 24))
    together = views(pictures, torch.Generator().manual_seed(5))
    alone = views(pictures[1:2], torch.Generator().manual_seed(5))
    assert torch.allclose(together[1:2], alone, atol=1e-6)


def test_moves_are_the_published_ones():
    chance = torch.Generator().manual_seed(0)
    moves = [random_transform(chance, 128) for _ in range(400)]
    assert {move.scale for move in moves} == set(SCALES)
    assert {move.angle for move in moves} == set(ANGLES)
    assert (min(SCALES), max(SCALES)) == (0.9, 1.1)
    assert ANGLES.count(0) == 6
    for name, most in (("first", 4), ("last", 2)):
        shifts = [shift for move in moves for shift in getattr(move, name)]
        assert 0.95 * most < max(shifts) <= most
        assert -most <= min(shifts) < -0.95 * most


def test_moves_come_from_the_seed():
    one, two, three = (random_transform(torch.Generator().manual_seed(seed), 100) for seed in (1, 1, 2))
    assert one == two != three


def test_a_view_without_moves_is_the_picture():
    pictures = torch.rand(2, 1, 6, 10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Views((6, 10), robust=False)(pictures, torch.Generator()), pictures)
    assert Views((12, 20), robust=False)(pictures, torch.Generator()).shape == (2, 1, 12, 20)
    assert Views((12, 20)).robust
