"""What pipelines do to colours, measured, against what their authors wrote into them."""

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image, ImageFilter, ImageOps
from torchvision import transforms

from lurk.models.normalisation_probe import measure
from lurk.models.preprocess import Preprocess
from lurk.models.preprocess_probe import examine

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEAN_255, STD_255 = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SIZED = [transforms.Resize(40), transforms.CenterCrop(32), transforms.ToTensor()]
NORMALIZE = transforms.Normalize(MEAN, STD)
R, G, B, NONE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)
GREY = ((1.0,),) * 3
ZEROS, ONES = (0.0,) * 3, (1.0,) * 3


def array(image: Image.Image) -> torch.Tensor:
    """Samples of 0 to 255, float32 (3, 24, 32)."""
    return torch.from_numpy(np.array(image.resize((32, 24)), np.float32)).permute(2, 0, 1)


def chain(*steps) -> transforms.Compose:
    return transforms.Compose([*SIZED, *steps])


def before(step) -> transforms.Compose:
    return transforms.Compose([step, *SIZED])


def times_255(tensor: torch.Tensor) -> torch.Tensor:
    return tensor * 255


class Swap:
    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor[[2, 1, 0]]


AFFINE = {
    "ImageNet": (chain(NORMALIZE), MEAN, STD, None),
    "samples in [0, 1]": (chain(), ZEROS, ONES, None),
    "times 255, then ImageNet's numbers for that": (
        chain(times_255, transforms.Normalize(MEAN_255, STD_255)),
        MEAN,
        STD,
        None,
    ),
    "two Normalize": (
        chain(transforms.Normalize((0.5,) * 3, (0.5,) * 3), NORMALIZE),
        tuple((m + 1) / 2 for m in MEAN),  # (2x - 1 - m) / s
        tuple(s / 2 for s in STD),
        None,
    ),
    "BGR by a lambda": (chain(lambda x: x.flip(0), NORMALIZE), MEAN, STD, (B, G, R)),
    "BGR by a class in a chain in a chain": (
        transforms.Compose([chain(Swap()), transforms.Compose([NORMALIZE])]),
        MEAN,
        STD,
        (B, G, R),
    ),
    "BGR after Normalize": (chain(NORMALIZE, lambda x: x.flip(0)), MEAN[::-1], STD[::-1], (B, G, R)),
    "Caffe": (
        lambda image: array(image).flip(0) - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1),
        (103.939 / 255, 116.779 / 255, 123.68 / 255),
        (1 / 255,) * 3,
        (B, G, R),
    ),
    "TensorFlow": (lambda image: array(image) / 127.5 - 1, (0.5,) * 3, (0.5,) * 3, None),
    "127 and 128": (lambda image: (array(image) - 127) / 128, (127 / 255,) * 3, (128 / 255,) * 3, None),
    "another order": (lambda image: array(image)[[1, 2, 0]] / 255, ZEROS, ONES, (G, B, R)),
    "inverted": (before(ImageOps.invert), (1.0,) * 3, (-1.0,) * 3, None),
    "uint8": (transforms.Compose([transforms.Resize((32, 24)), transforms.PILToTensor()]), ZEROS, (1 / 255,) * 3, None),
    "float64": (chain(NORMALIZE, torch.Tensor.double), MEAN, STD, None),
    "grey to three channels": (before(transforms.Grayscale(3)), ZEROS, ONES, GREY),
    "grey tensor, then normalised": (  # by weights whose sum is 0.9999
        chain(transforms.Grayscale(3), NORMALIZE),
        tuple(m / 0.9999 for m in MEAN),
        tuple(s / 0.9999 for s in STD),
        GREY,
    ),
    "grey": (
        transforms.Compose([transforms.Grayscale(), *SIZED, transforms.Normalize((0.1307,), (0.3081,))]),
        (0.1307,),
        (0.3081,),
        None,
    ),
    "one channel, red": (lambda image: array(image)[:1] / 255, (0.0,), (1.0,), None),
    "red and green": (lambda image: array(image)[:2] / 255, (0.0,) * 2, (1.0,) * 2, (R, G)),
    "opacity": (before(lambda image: image.convert("RGBA")), (0.0, 0.0, 0.0, -1.0), (1.0,) * 4, (R, G, B, NONE)),
    "three and two": (chain(lambda x: torch.cat([x, x[[2, 0]]])), (0.0,) * 5, (1.0,) * 5, (R, G, B, B, R)),
    "padded": (before(transforms.Pad(70, fill=90)), ZEROS, ONES, None),
    "crop beyond the picture": (transforms.Compose([transforms.CenterCrop(400), *SIZED[2:]]), ZEROS, ONES, None),
    "flipped": (before(transforms.RandomHorizontalFlip(1)), ZEROS, ONES, None),
    "cut at random": (transforms.Compose([transforms.RandomResizedCrop(32), transforms.ToTensor()]), ZEROS, ONES, None),
    "sharpened": (before(lambda image: image.filter(ImageFilter.UnsharpMask())), ZEROS, ONES, None),
    "four pixels": (transforms.Compose([transforms.Resize((2, 2)), transforms.ToTensor()]), ZEROS, ONES, None),
}  # fmt: skip


@pytest.mark.parametrize("name", AFFINE)
def test_order_mean_and_deviation_are_found_exactly(name):
    transform, mean, std, mix = AFFINE[name]
    found = examine(transform, None, 3).normalisation
    assert found.problem == ""
    assert found.mix == mix
    rtol = 1e-12 if "grey tensor" not in name else 1e-6
    np.testing.assert_allclose(found.mean, mean, rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(found.std, std, rtol=rtol)


def standardised(image: Image.Image) -> torch.Tensor:
    samples = array(image)
    return (samples - samples.mean()) / (samples.std() + 1e-6)


def stretched(image: Image.Image) -> torch.Tensor:
    samples = array(image)
    return (samples - samples.min()) / (samples.max() - samples.min() + 1e-6)


def no_plain_picture(image: Image.Image) -> torch.Tensor:
    if array(image).std((1, 2)).max() == 0:
        raise ValueError("nothing to see")
    return array(image) / 255


def edges(image: Image.Image) -> torch.Tensor:
    samples = array(image).mean(0, keepdim=True) / 255
    return torch.cat([samples, samples, samples - samples.roll(1, 2)])


NOT_AFFINE = {
    "gamma": (lambda image: (array(image) / 255) ** 2.2, "no fixed mix"),
    "logarithm": (lambda image: (array(image) + 1).log(), "no fixed mix"),
    "HSV": (before(lambda image: image.convert("HSV")), "no fixed mix"),
    "Lab": (before(lambda image: image.convert("LAB")), "no fixed mix"),
    "clipped": (lambda image: (array(image) / 170).clamp(0, 1), "no fixed mix"),
    "clipped a little": (lambda image: (array(image) / 255).clamp(0.03, 0.97), "no fixed mix"),
    "posterized": (before(lambda image: ImageOps.posterize(image, 3)), "no fixed mix"),
    "solarized": (before(ImageOps.solarize), "no fixed mix"),
    "equalised": (before(ImageOps.equalize), "depends on the rest"),
    "stretched by the picture's own range": (before(ImageOps.autocontrast), "depends on the rest"),
    "standardised": (standardised, ""),
    "each image from 0 to 1": (stretched, ""),
    "each image without its mean": (lambda image: array(image) - array(image).mean((1, 2), keepdim=True), "the same"),
    "the same for all": (lambda image: torch.zeros(3, 8, 8), "the same"),
    "random": (lambda image: torch.rand(3, 8, 8), "all pixels alike"),
    "a darker edge": (lambda image: array(image) * torch.linspace(0.2, 1, 32), "all pixels alike"),
    "a mean picture": (lambda image: array(image) - torch.linspace(0, 99, 32), "all pixels alike"),
    "coordinates": (lambda image: torch.cat([array(image), torch.arange(32.0).expand(1, 24, 32)]), "all pixels alike"),
    "differences of colours": (lambda image: array(image) - array(image).roll(1, 0), "apart"),
    "edges in a channel": (edges, "channel 2"),
    "edges only": (lambda image: array(image.resize((32, 24)).filter(ImageFilter.FIND_EDGES)), "pixels differ"),
    "embossed": (lambda image: array(image.resize((32, 24)).filter(ImageFilter.EMBOSS)), "pixels differ"),
    "NaN": (lambda image: array(image) / array(image).sum(), "NaN"),
    "a failure for plain pictures": (no_plain_picture, "nothing to see"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NOT_AFFINE)
def test_what_has_no_inverse_is_said_and_its_range_measured(name):
    transform, words = NOT_AFFINE[name]
    found = examine(transform, None, None).normalisation
    assert found.problem
    assert words in found.problem
    assert found.mix is None
    ends = found.forward(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, len(found.mean), 1, 1))
    assert (ends[1] > ends[0]).all()
    assert torch.allclose(found.inverse(ends), torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), atol=1e-5)


def test_the_range_of_what_has_no_inverse_is_that_of_its_outputs():
    found = measure(lambda image: (array(image) / 255) ** 2 * 3 - 1, [])
    assert found.forward(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)).flatten(1).tolist() == [
        pytest.approx([-1.0] * 3),
        pytest.approx([2.0] * 3),
    ]


def test_colours_mixed_by_a_matrix_come_back():
    matrix = torch.tensor([[0.5, 0.3, 0.2], [-0.1, 0.8, 0.1], [0.2, 0.2, 0.7]])
    found = measure(lambda image: 255 * torch.einsum("dc,chw->dhw", matrix, array(image) / 255) - 40, [])
    pictures = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    wanted = 255 * torch.einsum("dc,chw->dhw", matrix, pictures) - 40
    assert torch.allclose(found.forward(pictures), wanted, atol=1e-3)
    assert torch.allclose(found.inverse(wanted), pictures, atol=1e-5)


def test_what_pillow_rounds_to_8_bits_comes_back_within_three_levels():
    found = measure(before(lambda image: image.convert("YCbCr")), [])
    samples = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    picture = Image.fromarray(samples)
    given = transforms.ToTensor()(picture.convert("YCbCr"))
    apart = (found.inverse(given) * 255 - transforms.ToTensor()(picture) * 255).abs()
    assert float(apart.max()) < 3


@pytest.mark.slow
def test_the_numbers_of_every_torchvision_preset_are_found_to_the_bit():
    presets = set()
    for name in torchvision.models.list_models(module=torchvision.models):
        for weights in torchvision.models.get_model_weights(name):
            preset = weights.transforms()
            presets.add((tuple(preset.mean), tuple(preset.std)))
    assert presets
    for mean, std in presets:
        found = measure(transforms.Compose([*SIZED, transforms.Normalize(mean, std)]), [])
        assert (found.mean, found.std) == (mean, std)


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        (MEAN, STD),
        ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ((127 / 255,) * 3, (128 / 255,) * 3),
        ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ((0.5, 0.0, 1.0), (0.5, 1.0, 2.0)),
    ],
)
def test_the_numbers_of_usual_pipelines_are_found_to_float_rounding(mean, std):
    found = measure(Preprocess(20, (16, 24), mean=mean, std=std), [])
    assert torch.equal(torch.tensor(found.mean), torch.tensor(mean))
    assert torch.equal(torch.tensor(found.std), torch.tensor(std))
