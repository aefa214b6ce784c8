"""Data sets that give tensors: how their samples were normalised is known here, since the tests do it themselves."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lurk
from lurk.errors import ImagesError
from lurk.models.normalisation import Normalisation
from lurk.models.tensor_normalisation import MOST, fit, measure

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5,) * 3, (0.5,) * 3
CIFAR = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def pictures(brightest=256, count=6, channels=3):
    """Noise of 8 bits, uint8 (n, c, h, w); the first picture holds the darkest and the brightest sample."""
    made = np.random.default_rng(0).integers(0, brightest, (count, channels, 24, 24), np.uint8)
    made[0, :, 0, 0], made[0, :, 0, 1] = 0, brightest - 1
    return torch.from_numpy(made)


def scaled(samples, mean, std):
    shape = (-1, 1, 1)
    return (samples - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)


def halved(samples):
    """Resized after it was scaled to [0, 1], so that no sample is a whole level."""
    return nn.functional.interpolate(samples, scale_factor=0.5, mode="bilinear", antialias=True)


def fitted(stack, own=IMAGENET):
    return fit(measure(lambda number: stack[number], len(stack)), Normalisation(*own))


@pytest.mark.parametrize("brightest", [256, 100])
@pytest.mark.parametrize("own", [IMAGENET, HALF])
@pytest.mark.parametrize(("mean", "std"), [IMAGENET, HALF, ((0.0,) * 3, (1.0,) * 3), ((0.0,) * 3, (1 / 255,) * 3)])
def test_a_usual_normalisation_is_recognised(mean, std, own, brightest):
    shown = pictures(brightest).float() / 255
    found = fitted(scaled(shown, mean, std), own)
    assert found.is_certain
    assert bool(found.name) == ((mean, std) != own)
    torch.testing.assert_close(found.normalisation.inverse(scaled(shown, mean, std)), shown, atol=1e-5, rtol=0)


def test_red_and_blue_exchanged_are_recognised():
    shown = pictures().float() / 255
    found = fitted(scaled(shown, *IMAGENET).flip(1))
    assert "blue, green, red" in found.name
    torch.testing.assert_close(found.normalisation.inverse(scaled(shown, *IMAGENET).flip(1)), shown, atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_an_unusual_one_is_measured_if_pictures_hold_black_and_white(channels):
    mean, std = [0.3 + 0.05 * at for at in range(channels)], [0.2 + 0.03 * at for at in range(channels)]
    found = fitted(scaled(pictures(channels=channels).float() / 255, mean, std))
    assert found.is_certain
    np.testing.assert_allclose(found.normalisation.mean, mean, atol=1e-4)
    np.testing.assert_allclose(found.normalisation.std, std, atol=1e-4)


def test_samples_without_levels_are_told_by_their_ends():
    # photographs that are made smaller keep some black and some white areas
    shown = pictures().float() / 255
    shown[:, :, :8], shown[:, :, 8:16] = 0, 1
    assert fitted(scaled(halved(shown), *HALF)).name == "mean 0.5 and deviation 0.5"
    assert fitted(scaled(halved(shown), *IMAGENET)).name == ""
    assert fitted(scaled(halved(shown), *IMAGENET)).is_certain


def test_each_picture_scaled_by_its_own_samples_fits_none_and_is_shown_by_its_range():
    raw = pictures().float() * torch.linspace(0.3, 1, 6).view(-1, 1, 1, 1)
    stack = torch.stack([(one - one.mean()) / one.std() for one in raw])
    found = fitted(stack, ((0.9,) * 3, (0.01,) * 3))
    assert found.normalisation.problem == "the data set's samples have no usual normalisation"
    shown = found.normalisation.inverse(stack)
    assert shown.amin((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert shown.amax((0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_a_mix_that_does_not_hold_for_the_samples_is_not_theirs():
    grey = Normalisation((0.5,) * 3, (0.5,) * 3, ((1.0,),) * 3)
    coloured = scaled(pictures().float() / 255, *HALF)
    found = fit(measure(lambda number: coloured[number], 6), grey)
    assert (found.name, found.normalisation.samples) == ("mean 0.5 and deviation 0.5", 3)
    flat = coloured[:, :1].expand(-1, 3, -1, -1)
    assert fit(measure(lambda number: flat[number], 6), grey).normalisation is grey


class Tensors:
    def __init__(self, stack):
        self.stack = stack

    def __len__(self):
        return len(self.stack)

    def __getitem__(self, number):
        return self.stack[number], number % 2


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()


def declared(normalisation):
    return lurk.load_model(net(), preprocess=lurk.Preprocess(24, (24, 24), "bilinear", *normalisation))


def images(stack):
    return lurk.load_images(Tensors(stack))


def test_a_set_of_pictures_leaves_the_model_as_it_is(tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    model = declared(IMAGENET)
    assert model.for_images(lurk.load_images(tmp_path)) is model


def test_tensors_of_the_models_own_normalisation_are_told_in_a_note():
    swept = declared(IMAGENET).for_images(images(scaled(pictures().float() / 255, *IMAGENET)))
    assert swept.notice == ""
    assert "samples from -2.12 to 2.64" in swept.notes[-1]
    assert "they look normalised as the model's preprocessing does it, mean (0.485" in swept.notes[-1]


def test_tensors_of_another_normalisation_are_told_to_everybody():
    model = declared(IMAGENET)
    swept = model.for_images(images(scaled(pictures().float() / 255, *HALF)))
    assert "samples from -1 to 1, mean " in swept.notice
    assert "preprocessed with mean 0.5 and deviation 0.5, by whose inverse they are shown" in swept.notice
    assert "the model's preprocessing is another one (mean (0.485, 0.456, 0.406)" in swept.notice
    assert swept.preprocessing == "none, since the data set gives tensors; mean 0.5, std 0.5"
    assert (model.notice, model.normalisation.mean) == ("", IMAGENET[0])
    assert swept.for_images(images(scaled(pictures().float() / 255, *HALF))) is swept


def test_tensors_that_fit_nothing_are_shown_with_their_range():
    stack = torch.randn(6, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 9
    swept = declared(IMAGENET).for_images(images(stack))
    low, high = (f"{float(end):.3g}" for end in (stack[:, 0].min(), stack[:, 0].max()))
    assert f"they fit no usual normalisation, so pictures show them as they are, {low} to {high}, " in swept.notice
    assert swept.notice.endswith(" drawn as black to white")


def test_a_model_without_preprocessing_takes_that_of_the_data_set_and_its_size():
    model = lurk.load_model(net())
    assert "usual one is assumed" in model.notice
    swept = model.for_images(images(scaled(pictures().float() / 255, *CIFAR)))
    assert (swept.notice, swept.input_shape) == ("", (3, 24, 24))
    assert "preprocessed with mean (0.4914, 0.4822, 0.4465), std (0.247, 0.2435, 0.2616)" in swept.notes[-1]
    assert next(info.shape for info in swept.layers) == (4, 22, 22)
    assert next(info.shape for info in model.layers) == (4, 222, 222)


@pytest.mark.parametrize("normalisation", [HALF, IMAGENET, CIFAR])
def test_a_sweep_shows_the_pictures_that_the_tensors_were_made_of(normalisation, tmp_path):
    shown = pictures()[:, :, :3, :3].repeat_interleave(8, 2).repeat_interleave(8, 3)  # squares, which WebP keeps well
    found = lurk.sweep(declared(IMAGENET), images(scaled(shown.float() / 255, *normalisation)), cache=tmp_path)
    hit = found.unit("0", 0).hits_max[0]
    view = np.asarray(Image.open(found.view_file(hit.image)).convert("RGB")).astype(int)
    assert np.abs(view - shown[hit.image].permute(1, 2, 0).numpy()).mean() < 4
    assert ("the model's preprocessing is another one" in found.manifest.notice) == (normalisation != IMAGENET)


def test_numbers_are_those_of_the_samples():
    stack = torch.tensor([[[[0.0, 1.0]], [[-2.0, 4.0]]], [[[0.5, 0.25]], [[1.0, 1.0]]]])  # 2 images of 2 channels
    found = measure(lambda number: stack[number], 2)
    assert (found.shape, found.low, found.high) == ((2, 1, 2), (0, -2), (1, 4))
    assert found.step == (0.25, 3.0)
    assert (found.mean, found.deviation) == (pytest.approx(stack.mean()), pytest.approx(stack.std(correction=0)))
    assert sorted(found.pixels) == sorted([(0.0, -2.0), (1.0, 4.0), (0.5, 1.0), (0.25, 1.0)])


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.4914, 0.2023), (0.5, 1 / 255)])
def test_the_step_is_that_of_8_bit_samples_however_they_were_normalised(mean, std):
    samples = torch.from_numpy(np.random.default_rng(0).integers(3, 250, (1, 40, 40))).float() / 255
    found = measure(lambda _: (samples - mean) / std, 3)
    assert found.step[0] == pytest.approx(1 / 255 / std, rel=1e-4)


def test_samples_on_no_even_grid_have_no_step():
    uneven = torch.tensor([[[0.0, 1.0, 1.4]]])
    assert measure(lambda _: uneven, 1).step == (0.0,)
    assert measure(lambda number: torch.rand(1, 30, 30, generator=torch.Generator().manual_seed(number)), 4).step == (
        0,
    )
    assert measure(lambda _: torch.ones(1, 2, 2), 1).step == (0.0,)


def test_few_images_are_read_from_first_to_last():
    read = []
    measure(lambda number: read.append(number) or torch.zeros(1, 2, 2), 1000)
    assert len(read) == MOST
    assert (read[0], read[-1]) == (0, 999)


def test_pictures_and_unreadable_images_have_none():
    def broken(_number):
        raise ImagesError("is broken")

    assert measure(lambda _: np.zeros((2, 2, 3), np.uint8), 3) is None
    assert measure(broken, 3) is None
    assert measure(lambda _: torch.full((3, 2, 2), torch.nan), 3) is None


def test_infinite_samples_count_as_none():
    found = measure(lambda _: torch.tensor([[[0.0, torch.inf, 1.0]]]), 1)
    assert (found.low, found.high) == ((0.0,), (1.0,))


def test_tensors_of_several_sizes_have_no_shape():
    assert measure(lambda number: torch.zeros(1, 2, 2 + number), 2).shape is None
