import inspect
from dataclasses import fields

import lurk
from lurk.sweeps.sweep_options import SweepOptions


def test_the_index_knows_model_and_images_also_when_it_was_there_already(index, model, folder):
    again = lurk.sweep(model, folder, cache=index.folder.parent.parent, top=5)
    assert again.folder == index.folder
    assert again.model is model
    assert len(again.images) == 13


def test_the_defaults_are_those_of_the_options():
    defaults = {name: one.default for name, one in inspect.signature(lurk.sweep).parameters.items()}
    for option in fields(SweepOptions):
        assert defaults[option.name] == option.default
