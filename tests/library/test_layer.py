import numpy as np
import pytest
import torch
from PIL import Image

import lurk
from lurk.errors import LurkError
from lurk.storage.index_writer import write_index
from tests.conftest import make_manifest, make_statistics
from tests.library.conftest import to_tensor


@pytest.fixture(scope="module")
def activations(model, folder):
    """The layer's values on every image in the set's order, float32 (n, 4, 16, 16), by a plain forward pass."""
    images = lurk.load_images(folder)
    usable = [n for n, path in enumerate(images.paths) if "broken" not in path]
    batch = torch.stack([to_tensor(Image.open(folder / images.paths[n])) for n in usable])
    with torch.no_grad():
        return usable, model.module.conv(batch).relu().numpy()


def test_scores_images_and_positions_are_those_of_a_full_sort(index, activations):
    usable, values = activations
    layer = index.layer("conv")
    highest = values.reshape(len(values), 4, -1).max(2)
    for unit in range(3):
        order = np.argsort(-highest[:, unit], kind="stable")[:5]
        assert layer.images()[unit].tolist() == [usable[n] for n in order]
        np.testing.assert_allclose(layer.scores()[unit], highest[order, unit], rtol=1e-6)
        for n, (row, col) in zip(order, layer.positions()[unit], strict=True):
            assert values[n, unit, row, col] == highest[n, unit]
        assert layer.before()[unit].tolist() == layer.scores()[unit].tolist()  # above 0 the rectifier changes nothing
    assert (layer.before()[3] < -90).all()
    means = values.mean((2, 3))
    np.testing.assert_allclose(layer.scores("mean")[0], np.sort(means[:, 0])[::-1][:5], rtol=1e-5)


def test_moments_and_shares_are_those_of_all_values(index, activations):
    values = activations[1].astype(np.float64)
    layer = index.layer("conv")
    np.testing.assert_allclose(layer.means, values.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(layer.stds, values.std((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(layer.fraction_positive, (values > 0).mean((0, 2, 3)))
    assert layer.states[3] == "dead"


def test_class_means_and_deviations_are_those_of_the_images(index, activations):
    usable, values = activations
    labels = np.array(lurk.load_images(index.images.root).labels)[usable]
    highest = values.reshape(len(values), 4, -1).max(2).astype(np.float64)
    for label in range(3):
        chosen = highest[labels == label]
        np.testing.assert_allclose(index.layer("conv").class_means()[:, label], chosen.mean(0), rtol=1e-5)
        np.testing.assert_allclose(index.layer("conv").class_stds()[:, label], chosen.std(0, ddof=1), rtol=1e-5)


def test_lists_shorter_than_top_are_filled(tmp_path):
    with write_index(tmp_path, make_manifest(2), [("a.png", 0), ("b.png", 1)]) as writer:
        statistics, _ = make_statistics(2)
        writer.finish(statistics.state(), done=2, skipped=())
        index = lurk.Index(writer.folder)
    layer = index.layer("conv")
    assert layer.images()[0, 2:].tolist() == [-1, -1]
    assert np.isnan(layer.scores()[0, 2:]).all()
    assert (layer.positions()[0, 2:] == -1).all()


def test_before_the_first_checkpoint_there_is_nothing_and_no_error(tmp_path):
    with write_index(tmp_path, make_manifest(), [(f"{n}.png", 0) for n in range(6)]) as writer:
        index = lurk.Index(writer.folder)
    layer = index.layer("conv")
    assert layer.images().shape == (3, 0)
    assert np.isnan(layer.means).all()
    assert layer.class_means().shape == (3, 3)
    assert layer.plot_grid().data[0].x is not None
    assert "0 of 6 images" in layer._repr_html_()
    assert index.frame().best_path.isna().all()
    unit = index.unit("conv", 0)
    for drawn in (unit.plot_top(), unit.plot_patches(), unit.plot_classes(), unit.plot_distribution()):
        assert len(drawn.layout.annotations) == 1
    assert "No image has been through this unit yet" in unit._repr_html_()


def test_another_ranking_is_refused(index):
    with pytest.raises(LurkError, match="'max' or by 'mean', not by 'avg'"):
        index.layer("conv").scores("avg")


def test_the_grid_has_a_place_for_each_unit_with_the_page_s_words(index):
    from lurk.service.grid_view import grid

    drawn = index.layer("conv").plot_grid()
    assert [words[0] for words in drawn.data[0].customdata] == grid(index.stored, "conv")["labels"]
    assert drawn.layout.images[0].source.startswith("data:image/jpeg;base64,")
    assert "1 dead" in drawn.layout.title.text
