"""What is told of a stored map beside its image."""

from types import SimpleNamespace

import numpy as np
import pytest

from lurk.service.colormaps import MODES, scale
from lurk.service.method_results import _channel_scales, _why_silent


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({"scale": 2.0, "value": 1.0}, ""),
        ({"scale": 0.0, "value": 0.0}, "what it explains is 0 on this image"),
        ({"scale": 0.0, "value": 1.0}, "by this method, no pixel changes what it explains"),
        (
            {"scale": 0.0, "value": 0.0, "note": "the network runs without gradients"},
            "the network runs without gradients",
        ),
    ],
)
def test_a_map_that_is_zero_everywhere_says_why(figures, why):
    assert _why_silent(SimpleNamespace(figures=figures)) == why


def test_each_of_many_channels_has_scales_of_its_own():
    values = np.random.default_rng(0).normal(size=(5, 9, 9)).astype(np.float32)
    found = _channel_scales(values)
    assert len(found) == 5
    assert found[3] == {mode: list(scale(values[3:4], mode)) for mode in MODES}
    assert _channel_scales(values[:3]) == _channel_scales(values[:1]) == []
