import inspect
from dataclasses import fields

import numpy as np
import pytest

import lurk
from lurk.config.options import Settings
from lurk.errors import LurkError
from lurk.sweeps.sweep_options import SweepOptions


def test_the_index_knows_model_and_images_also_when_it_was_there_already(index, model, folder):
    again = lurk.sweep(model, folder, cache=index.folder.parent.parent, top=5)
    assert again.folder == index.folder
    assert again.model is model
    assert len(again.images) == 13


def test_numbers_of_numpy_are_numbers_and_other_types_are_named(index, model, folder):
    cache = index.folder.parent.parent
    assert lurk.sweep(model, folder, cache=cache, top=np.int64(5)).folder == index.folder
    for wrong, reason in (
        ({"top": "9"}, "^top is a whole number, not '9'$"),
        ({"layers": ["conv"]}, "^layers are given as a regular expression, such as 'layer4', not list$"),
    ):
        with pytest.raises(LurkError, match=reason):
            lurk.sweep(model, folder, cache=cache, **wrong)
    with pytest.raises(LurkError, match=r"^classes of images are given as a file of names, not list$"):
        lurk.load_images(folder, classes=["cat", "dog"])
    with pytest.raises(LurkError, match=r"^sample is a whole number, not '3'$"):
        lurk.load_images(folder, sample="3")
    with pytest.raises(LurkError, match=r"^what is served is an index of lurk\.sweep, not str$"):
        lurk.serve(str(index.folder), block=False)


def test_the_defaults_are_those_of_the_options():
    defaults = {name: one.default for name, one in inspect.signature(lurk.sweep).parameters.items()}
    for option in fields(SweepOptions):
        if option.name != "store":  # opened by the size that `keep_images` says
            assert defaults[option.name] == option.default
    assert defaults["keep_images"] == Settings().keep_images
