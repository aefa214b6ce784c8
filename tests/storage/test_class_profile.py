import math

import numpy as np
import pytest

from lurk.storage.class_profile import best_class, class_profile, rounded_profile, selectivity


def moments_of(*classes):
    """Moments (1, y, 2, 2) of the images of each class; the mean's are those of the max."""
    rows = [[np.mean(scores), np.sum((scores - np.mean(scores)) ** 2)] if len(scores) else [0, 0] for scores in classes]
    return np.array(rows)[None, :, None].repeat(2, axis=2), np.array([len(scores) for scores in classes])


def test_means_and_sample_deviations_are_numpys():
    scores = np.array([-4.0, 1.5, 2.0, 8.0])
    profile = class_profile(*moments_of(scores))
    np.testing.assert_allclose(profile[0, 0, 0], [scores.mean(), scores.std(ddof=1)], rtol=1e-15)
    assert np.array_equal(profile[0, 0, 1], profile[0, 0, 0])


def test_a_class_of_one_image_has_no_deviation_and_one_without_images_has_neither():
    profile = class_profile(*moments_of(np.array([3.0]), np.array([]), np.array([1.0, 1.0])))[0, :, 0]
    np.testing.assert_array_equal(profile, [[3.0, math.nan], [math.nan, math.nan], [1.0, 0.0]])


def test_a_finished_profile_is_the_nearest_float32_and_may_be_infinite():
    moments, count = moments_of(np.array([1e4 + 0.01, 1e4 - 0.003]), np.array([3e38, -3e38]))
    rounded = rounded_profile(moments, count)
    assert rounded.dtype == np.float32
    assert np.array_equal(rounded[0, 0], class_profile(moments, count)[0, 0].astype(np.float32))
    assert rounded[0, 1, 0].tolist() == [0.0, math.inf]


@pytest.mark.parametrize(
    ("means", "index"),
    [
        ([3.0, 1.0], 0.5),
        ([1.0, math.nan, 3.0], 0.5),
        ([4.0, 1.0, 1.0, 1.0], 0.6),
        ([-1.0, -3.0], 0.5),
        ([1.0, -1.0], 1.0),
        ([0.0, 0.0], 0.0),
        ([2.0], math.nan),
        ([2.0, math.nan], math.nan),
        ([], math.nan),
    ],
)
def test_selectivity_by_hand(means, index):
    assert selectivity(np.array([means, means])) == pytest.approx([index, index], nan_ok=True)


@pytest.mark.parametrize(
    ("means", "best"),
    [
        ([1.0, 3.0, 2.0], 1),
        ([-4.0, -3.0, -5.0], 1),
        ([1.0, np.nan, 0.5], 0),
        ([2.0, 2.0, 1.0], -1),  # two classes share it
        ([np.nan, 2.0, np.nan], -1),  # the only class
        ([np.nan, np.nan, np.nan], -1),
        ([0.0, 0.0, 0.0], -1),
    ],
)
def test_the_best_class_by_hand(means, best):
    assert best_class(np.array([means, means])).tolist() == [best, best]
