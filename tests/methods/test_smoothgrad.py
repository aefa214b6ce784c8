import pytest
import torch

from lurk.errors import Cancelled
from lurk.methods import METHODS, MapRequest
from lurk.methods.attribution.backsignal import target_signal
from lurk.methods.attribution.target import Target, locate_maximum
from lurk.methods.smoothgrad import BATCH
from tests.methods.networks import image_of, network

METHOD = METHODS["smoothgrad"]
TARGET = Target("7", 2)


def asked(image, report=lambda _done, _total: None, **options):
    model = network("plain")
    return METHOD.run(
        MapRequest(model, model.plan(), image[None], TARGET, METHOD.spec.read(options), report=report)
    ).values[0]


def test_it_is_the_mean_gradient_over_noise_that_scales_with_the_images_range():
    """The published noise level is the deviation as a share of the largest value less the smallest."""
    image, plan = 5 * image_of(3, 16, 16), network("plain").plan()
    generator, target = torch.Generator().manual_seed(4), locate_maximum(plan, TARGET, image[None])
    deviation = 0.2 * (image.max() - image.min())
    maps = [
        target_signal(plan, target, (image + deviation * torch.randn(3, 16, 16, generator=generator))[None])[0]
        for _ in range(11)
    ]
    found = asked(image, samples=11, noise=0.2, seed=4)
    assert (found - torch.stack(maps).mean(0)).abs().max() < 1e-5 * found.abs().max()


def test_without_noise_it_is_the_gradient():
    image = image_of(3, 16, 16)
    plan = network("plain").plan()
    expected = target_signal(plan, locate_maximum(plan, TARGET, image[None]), image[None])[0]
    torch.testing.assert_close(asked(image, samples=2, noise=0.0), expected)


def test_the_seed_alone_decides_and_the_global_generator_is_left_alone():
    image = image_of(3, 16, 16)
    first = asked(image, samples=3, seed=1)
    torch.rand(5)
    state = torch.get_rng_state()
    assert torch.equal(asked(image, samples=3, seed=1), first)
    assert not torch.equal(asked(image, samples=3, seed=2), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_reports_each_batch():
    image = image_of(3, 16, 16)
    told = []
    asked(image, lambda done, total: told.append((done, total)), samples=BATCH + 3)
    assert told == [(BATCH, BATCH + 3), (BATCH + 3, BATCH + 3)]


def test_it_stops_when_it_is_told_to():
    def stop(_done, _total):
        raise Cancelled

    with pytest.raises(Cancelled):
        asked(image_of(3, 16, 16), stop)


def test_its_defaults_are_those_that_it_states():
    assert METHOD.spec.read({}) == {"samples": 25, "noise": 0.15, "seed": 0}
