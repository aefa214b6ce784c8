import pytest
import torch
from torch.nn import functional

from lurk.errors import Cancelled
from lurk.methods.attribution.target import Target
from tests.methods.family import ask, image_of, model_of, small


@torch.no_grad()
def slowly(module, image, label, channels=None):
    """One channel at a time, as the paper says it."""
    maps = module[:5](image[None])[0].detach()
    spread = functional.interpolate(maps[None], image.shape[1:], mode="bilinear")[0]
    ranges = [float(m.max() - m.min()) for m in maps]
    order = sorted(range(len(maps)), key=lambda k: -ranges[k])[: channels or len(maps)]
    kept = [k for k in order if ranges[k] > 0]
    scores = []
    for k in kept:
        mask = (spread[k] - spread[k].min()) / (spread[k].max() - spread[k].min())
        scores.append(float(module(image[None] * mask)[0, label]))
    weights = torch.tensor(scores).softmax(0)
    cam = sum(w * maps[k] for w, k in zip(weights, kept, strict=True)).clamp(min=0)
    return functional.interpolate(cam[None, None], image.shape[1:], mode="bilinear")[0]


@pytest.mark.parametrize("channels", [0, 3])
def test_equals_one_channel_at_a_time(channels):
    model, image = model_of(small), image_of(3, 16, 16)
    target = Target("3", 0, "class", label=2)
    ours = ask("score_cam", model, image, target, channels=channels).values
    wanted = slowly(model.module, image, 2, channels)
    assert float(wanted.max()) > 0
    assert torch.allclose(ours, wanted.detach(), atol=1e-4 * float(wanted.max()))


def test_a_layer_of_flat_maps_gives_an_empty_map():
    model = model_of(small)
    found = ask("score_cam", model, torch.zeros(3, 16, 16), Target("0", 0, "class"), at="6").values
    assert found.shape == (1, 16, 16)
    flat = model_of(lambda: torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Conv2d(4, 4, 1)))
    assert float(ask("score_cam", flat, torch.zeros(3, 16, 16), Target("1", 0)).values.abs().max()) == 0


def test_it_can_be_stopped():
    def report(done, _total):
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        ask("score_cam", model_of(small), image_of(3, 16, 16), Target("6", 0), report=report)
