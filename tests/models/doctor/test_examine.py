"""Planted mistakes and right set-ups, on a network that knows eight colours, and on the bundled one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lurk
from lurk.errors import ImagesError
from lurk.images.image_set import ImageSet
from lurk.models.doctor.examine import examine_model
from lurk.models.preprocess import Preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLOURS = {
    "red": (230, 40, 60),
    "blue": (60, 40, 230),
    "orange": (240, 150, 40),
    "sky": (40, 150, 240),
    "grass": (90, 200, 40),
    "teal": (40, 200, 90),
    "rose": (200, 90, 150),
    "dusk": (150, 90, 200),
}
EACH = 12


class Nearest(nn.Module):
    """Scores of classes: minus the squared distance from the mean of the input to what each colour becomes."""

    def __init__(self, mean=MEAN, std=STD) -> None:
        super().__init__()
        known = (torch.tensor(list(COLOURS.values())) / 255 - torch.tensor(mean)) / torch.tensor(std)
        self.conv = nn.Conv2d(3, len(COLOURS), 1)
        self.conv.weight.data = 2 * known.view(-1, 3, 1, 1)
        self.conv.bias.data = -known.square().sum(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x.mean((2, 3), keepdim=True)).flatten(1)


def picture(number: int) -> Image.Image:
    """A picture of a class's colour, with noise and a shift of its own."""
    chance = np.random.default_rng(number)
    colour = np.array(list(COLOURS.values())[number % len(COLOURS)])
    samples = colour + chance.normal(0, 25, 3) + chance.normal(0, 10, (20, 20, 3))
    return Image.fromarray(samples.clip(0, 255).astype(np.uint8))


def images(classes=tuple(COLOURS), reader=picture) -> ImageSet:
    count = EACH * len(COLOURS)
    numbers = tuple(range(count))
    paths = tuple(f"{number:03}" for number in numbers)
    labels = None if classes is None else tuple(number % len(COLOURS) for number in numbers)
    return ImageSet("colours", paths, labels or (None,) * count, classes, reader, paths, numbers)


def samples(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.resize((8, 8)), np.float32)).permute(2, 0, 1) / 255


def normalised(x: torch.Tensor, mean=MEAN, std=STD) -> torch.Tensor:
    return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def model(preprocess, module=None, classes=tuple(COLOURS)) -> lurk.Model:
    return lurk.load_model((module or Nearest()).eval(), preprocess=preprocess, classes=classes)


RIGHT = {
    "as trained": lambda image: normalised(samples(image)),
    "with numbers for 0 to 255": lambda image: (
        (samples(image) * 255 - torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1))
        / torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    ),
    "with another size": lambda image: normalised(samples(image.resize((10, 10)))),
}
MISTAKES = {
    "red and blue exchanged": (lambda image: normalised(samples(image).flip(0)), "red and blue exchanged"),
    "no normalisation": (samples, "ImageNet's mean and deviation"),
    "0 to 255": (lambda image: samples(image) * 255, "ImageNet's mean and deviation"),
    "another mean and deviation": (lambda image: samples(image) * 2 - 1, "ImageNet's mean and deviation"),
    "twice": (lambda image: normalised(normalised(samples(image))), "ImageNet's mean and deviation"),
    "grey": (lambda image: normalised(samples(image.convert("L").convert("RGB"))), "ImageNet's mean and deviation"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_set_up_is_not_blamed(name):
    found = model(RIGHT[name]).doctor(images())
    assert found.warnings == ()
    assert (found.images, found.labelled) == (96, 96)
    assert found.right >= 80
    assert "nothing looks wrong" in repr(found)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_what_it_costs(name):
    preprocess, words = MISTAKES[name]
    found = model(preprocess).doctor(images())
    right = sum(int(Nearest()(normalised(samples(picture(n)))[None]).argmax()) == n % len(COLOURS) for n in range(96))
    own = sum(int(Nearest()(preprocess(picture(n))[None]).argmax()) == n % len(COLOURS) for n in range(96))
    assert len(found.warnings) == 1
    assert f"with {words} it is right for {right} of 96 labelled images" in found.warnings[0]
    assert f"for {own} (" in found.warnings[0]
    assert f"right for {own} of 96" in repr(found)
    assert "nothing looks wrong" not in repr(found)


def test_a_network_for_0_to_255_in_blue_green_red_is_recognised():
    mean = tuple(m for m in MEAN)
    module = Nearest(mean, (1 / 255,) * 3)
    module.conv.weight.data = module.conv.weight.data.flip(1)
    module.conv.weight.data /= 2000
    module.conv.bias.data /= 2000
    assert (
        model(lambda image: normalised(samples(image), MEAN, (1 / 255,) * 3).flip(0), module).doctor(images()).warnings
        == ()
    )
    (warning,) = model(RIGHT["as trained"], module).doctor(images()).warnings
    assert "samples from 0 to 255 less ImageNet's mean, in the order blue, green, red" in warning


def test_classes_in_another_order_are_said():
    names = tuple(COLOURS)
    shifted = (names[-1], *names[:-1])  # the name of output k is that of output k - 1
    (warning,) = model(RIGHT["as trained"], classes=shifted).doctor(images()).warnings
    assert "classes seem to stand in another order: it is right for" in warning
    assert "one earlier" in warning
    by_name = tuple(sorted(names))
    (warning,) = model(RIGHT["as trained"], classes=by_name).doctor(images()).warnings
    assert "another order" in warning


def test_without_labels_only_the_statistics_of_the_input_tell():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=None), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)
    )
    module.train()
    module(torch.stack([RIGHT["as trained"](picture(number)) for number in range(48)]))
    found = model(RIGHT["as trained"], module, None).doctor(images(None))
    assert (found.warnings, found.right, found.labelled, found.images) == ((), None, 0, 32)
    assert found.misfit[0] < 0.2
    assert 1 <= found.misfit[1] < 1.2
    assert "no classes" in repr(found)
    (warning,) = model(lambda image: samples(image) * 255, module, None).doctor(images(None)).warnings
    assert "first batch normalisation meets" in warning
    assert "with ImageNet's mean and deviation: 1" in warning


def test_an_almost_constant_input_is_said_without_a_batch_normalisation():
    (warning,) = model(lambda image: samples(image) / 255, None, None).doctor(images(None)).warnings
    assert "almost constant" in warning
    assert model(lambda image: samples(image) * 255, None, None).doctor(images(None)).warnings == ()


def test_the_network_is_left_as_it_was():
    module = Nearest()
    module.train()
    module.conv.bias.requires_grad_(False)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    chance = torch.get_rng_state()
    one = lurk.load_model(module, preprocess=samples, classes=tuple(COLOURS))
    assert examine_model(one, images()) == examine_model(one, images())
    assert module.training
    assert [weight.requires_grad for weight in module.parameters()] == [True, False]
    assert not module._forward_hooks
    assert not module.conv._forward_hooks
    assert torch.equal(torch.get_rng_state(), chance)
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def test_images_that_cannot_be_used_are_left_out_and_none_at_all_is_an_error():
    def broken(number: int) -> Image.Image:
        if number % 2:
            raise ImagesError("is damaged")
        return picture(number)

    found = model(RIGHT["as trained"]).doctor(images(reader=broken))
    assert (found.labelled, found.warnings) == (48, ())

    def damaged(number: int) -> Image.Image:
        raise ImagesError("is damaged")

    with pytest.raises(ImagesError, match="not one image"):
        model(RIGHT["as trained"]).doctor(images(reader=damaged))


def test_progress_is_reported_and_may_stop_it():
    seen = []
    examine_model(model(samples), images(), report=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 96) for number in range(1, 97)]


def tensors(preprocess):
    return images(reader=lambda number: preprocess(picture(number)))


def test_a_data_set_of_tensors_is_examined_with_other_normalisations_only():
    found = model(RIGHT["as trained"]).doctor(tensors(RIGHT["as trained"]))
    assert found.warnings == ()
    assert found.right >= 80
    assert "red and blue exchanged" in [trial.name for trial in found.trials]
    assert not [trial.name for trial in found.trials if "crop" in trial.name or "resize" in trial.name]


@pytest.mark.parametrize("name", ["no normalisation", "0 to 255", "another mean and deviation"])
def test_tensors_normalised_otherwise_than_the_network_was_trained_with_are_found(name):
    preprocess, _ = MISTAKES[name]
    found = model(RIGHT["as trained"]).doctor(tensors(preprocess))
    own = sum(int(Nearest()(preprocess(picture(n))[None]).argmax()) == n % len(COLOURS) for n in range(96))
    assert len(found.warnings) == 1
    assert "with the model's own normalisation (mean (0.485, 0.456, 0.406), std (0.229" in found.warnings[0]
    assert f"with that of the data set ({model(preprocess).normalisation.describe()}) for {own} (" in found.warnings[0]


PHOTOS = Path(__file__).resolve().parents[4] / "shared" / "data" / "photos"


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the shared photographs are not on this machine")
def test_the_bundled_network_with_imagenets_usual_normalisation_is_found():
    from benchmarks.preprocessing_doctor import by_wordnet_id

    own = lurk.load_model("efficientnet_lite0")
    wrong = lurk.load_model(own.module, preprocess=Preprocess(interpolation="bicubic"), classes=own.classes)
    photographs = by_wordnet_id(PHOTOS)
    found = wrong.doctor(photographs)
    assert found.labelled == 100
    assert len(found.warnings) == 1
    assert "mean 0.5 and deviation 0.5" in found.warnings[0]
    assert own.doctor(photographs).warnings == ()


def test_a_sample_is_spread_over_the_classes_and_the_same_each_time():
    few = replace(images(), labels=(0,) * 80 + (1,) * 16)
    found = model(RIGHT["as trained"]).doctor(few)
    assert found == model(RIGHT["as trained"]).doctor(few)
