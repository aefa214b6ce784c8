"""Whether two indexes hold the same."""

from dataclasses import replace

import numpy as np

from lurk.storage.index import Index

RELATIVE = 1e-9
FLOAT32_STEP = 2**-23


def arrays(index: Index) -> dict[str, np.ndarray]:
    """Every array of an index's last checkpoint by name."""
    folder = index.folder / f"generation-{index.manifest.generation:06d}"
    return {file.stem: np.load(file) for file in folder.glob("*.npy")}


def assert_identical(one: Index, other: Index) -> None:
    """Every array of two indexes is the same to the last bit."""
    first, second = arrays(one), arrays(other)
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype, name
        assert np.array_equal(array, second[name], equal_nan=array.dtype.kind == "f"), name


def assert_same_but_for_rounding(one: Index, other: Index) -> None:
    """Top lists, positions, counts and sketch are the same to the last entry; means and deviations within 1e-9.

    A finished index keeps those of classes as float32, of which one step is allowed. Where the values of a unit differ
    in the last digits of a float32 only, its deviation may differ by as much as its mean is rounded.
    """
    first, second = arrays(one), arrays(other)
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype, name
        if name == "classes_profile":
            assert_close(array[..., 0], second[name][..., 0], array[..., 1], second[name][..., 1], FLOAT32_STEP)
        elif name == "distribution_moments":
            count = first["distribution_counts"][:, 0]
            deviations = [np.sqrt(moments[:, 1] / count) for moments in (array, second[name])]
            assert_close(array[:, 0], second[name][:, 0], *deviations, RELATIVE)
        else:
            assert np.array_equal(array, second[name], equal_nan=array.dtype.kind == "f"), name


def assert_close(mean, expected_mean, deviation, expected_deviation, relative):
    """Means and deviations are equal within rounding."""
    np.testing.assert_allclose(mean, expected_mean, rtol=relative)
    assert np.array_equal(np.isnan(deviation), np.isnan(expected_deviation))
    difference, allowed = np.abs(deviation - expected_deviation), relative * expected_deviation
    assert (np.isnan(difference) | (difference <= allowed + 1e-15 * np.abs(expected_mean))).all()


def assert_same_index(one: Index, other: Index) -> None:
    """Two indexes are the same but for rounding, and so are their lists of images, their views and their manifests."""
    assert_same_but_for_rounding(one, other)
    assert images_and_views(one) == images_and_views(other)
    assert replace(one.manifest, generation=0) == replace(other.manifest, generation=0)


def images_and_views(index: Index) -> dict[str, bytes]:
    """The list of images and the views of an index, by file name."""
    files = [*(index.folder / "views").glob("*/*"), index.folder / "images.jsonl", index.folder / "images_at.npy"]
    return {str(file.relative_to(index.folder)): file.read_bytes() for file in files}
