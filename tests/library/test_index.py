import dataclasses
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import lurk
from lurk.errors import ImagesError, LayerError, LurkError, ModelError
from lurk.storage.index import Index as StoredIndex
from tests.library.conftest import Net, to_tensor


def test_units_and_layers_are_records_with_the_same_values(toy_index):
    index = lurk.Index(toy_index.folder)
    for info in toy_index.layers:
        assert isinstance(index.layer(info.name), lurk.LayerInfo)
        assert index.layer(info.name) == info
        assert info == index.layer(info.name)
        for number in range(info.units):
            unit, record = index.unit(info.name, number), toy_index.unit(info.name, number)
            assert isinstance(unit, lurk.UnitRecord)
            assert unit == record
            assert dataclasses.asdict(unit).keys() == dataclasses.asdict(record).keys()
    assert index.layers == toy_index.layers
    assert index.unit("conv", 0) != index.unit("conv", 2)


def test_a_unit_that_is_not_there_is_named(toy_index):
    with pytest.raises(LayerError, match="no unit 9"):
        lurk.Index(toy_index.folder).unit("conv", 9)
    with pytest.raises(LurkError, match=r"^a unit is a whole number, not 'cat'$"):
        lurk.Index(toy_index.folder).unit("conv", "cat")
    with pytest.raises(LurkError, match=r"^a layer is given by its name, not list$"):
        lurk.Index(toy_index.folder).layer(["conv"])
    assert lurk.Index(toy_index.folder).unit("conv", np.int32(1)).unit == 1


def test_units_layers_and_index_come_back_from_a_pickle(index):
    unit, layer = index.unit("conv", 0), index.layer("conv")
    unit.view  # noqa: B018 - it is kept once it is made, and must not be pickled
    assert pickle.loads(pickle.dumps(unit)) == unit
    assert pickle.loads(pickle.dumps(layer)) == layer
    again = pickle.loads(pickle.dumps(index))
    assert again.unit("conv", 1).mean == index.unit("conv", 1).mean
    assert again.model is None


def test_a_pickle_is_small_and_holds_no_arrays_of_the_index(index):
    assert len(pickle.dumps(index.unit("conv", 0))) < 20_000


def test_a_changed_copy_of_a_unit_says_that_it_has_no_figures(index):
    copy = dataclasses.replace(index.unit("conv", 0), count=3)
    assert copy.count == 3
    with pytest.raises(LurkError, match=r"index\.unit\(layer, unit\)"):
        copy.plot_top()
    with pytest.raises(LurkError, match=r"index\.layer\(name\)"):
        dataclasses.replace(index.layer("conv"), units=1).plot_grid()


def test_units_can_be_put_into_a_set(index):
    assert len({index.unit("conv", 0), index.unit("conv", 0), index.unit("conv", 1)}) == 2


def test_another_model_or_other_images_are_refused(index, model, folder, tmp_path):
    torch.manual_seed(1)
    other = lurk.load_model(Net(), preprocess=to_tensor, name="other net")
    with pytest.raises(ModelError, match="other net has other weights"):
        lurk.Index(index.folder, model=other)
    with pytest.raises(ImagesError, match="is not that of this index"):
        lurk.Index(index.folder, images=lurk.load_images(folder / "class1"))
    again = lurk.Index(index.folder, model=model, images=lurk.load_images(folder))
    assert again.unit("conv", 0).hits_max == index.unit("conv", 0).hits_max


def test_a_model_that_has_learned_since_is_told(index, folder, tmp_path):
    torch.manual_seed(0)
    network = Net()
    found = lurk.sweep(lurk.load_model(network, preprocess=to_tensor), folder, cache=tmp_path / "cache")
    assert found.stale == ""
    nn.init.zeros_(network.fc.bias)
    assert "have changed since they were swept; sweep again" in found.stale
    assert found.stale in found.unit("conv", 0)._repr_html_()
    with pytest.raises(ModelError, match="have changed"):
        found.unit("conv", 0).plot_picture()


def test_the_page_gets_paths_below_the_folder_and_python_gets_files(index, folder):
    stored = StoredIndex(index.folder).unit("conv", 0).hits_max[0]
    hit = index.unit("conv", 0).hits_max[0]
    assert not stored.path.startswith("/")
    assert hit.path == str(folder / stored.path)
    assert str(folder) not in index.unit("conv", 0)._repr_html_()
    assert str(folder) not in index.unit("conv", 0).plot_top().to_json()


def test_class_profiles_are_those_of_the_units(index):
    profile = index.class_profile("conv")
    for unit in range(4):
        np.testing.assert_array_equal(profile[unit, :, 0, 0], index.unit("conv", unit).class_max)
        np.testing.assert_array_equal(profile[unit, :, 1, 1], index.unit("conv", unit).class_mean_std)
